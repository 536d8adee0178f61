#include "monitor/manifest_totals.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "work/keys.h"

namespace thresher {
namespace {

// Takes the numbers and texts of the outermost object, up to the first list: what comes before it
// are the sums, what comes after may be cut off.
class HeadReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t value) override { return Take(value); }
  bool number_unsigned(uint64_t value) override { return Take(static_cast<int64_t>(value)); }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string& value) override {
    texts_[key_] = value;
    return true;
  }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(size_t) override { return ++depth_ == 1; }
  bool key(std::string& value) override {
    key_ = value;
    return true;
  }
  bool end_object() override { return false; }
  bool start_array(size_t) override {
    is_whole_ = depth_ == 1;
    return false;
  }
  bool end_array() override { return false; }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

  bool is_whole() const { return is_whole_; }
  int64_t Number(const std::string& name) const {
    const auto found = numbers_.find(name);
    return found == numbers_.end() ? 0 : found->second;
  }
  std::string Text(const std::string& name) const {
    const auto found = texts_.find(name);
    return found == texts_.end() ? "" : found->second;
  }

 private:
  bool Take(int64_t value) {
    numbers_[key_] = value;
    return true;
  }

  int depth_ = 0;
  bool is_whole_ = false;
  std::string key_;
  std::map<std::string, int64_t> numbers_;
  std::map<std::string, std::string> texts_;
};

}  // namespace

Result<std::optional<ManifestTotals>> ReadManifestTotals(Store& store, const Run& run) {
  constexpr int64_t kHeadBytes = 4096;
  const Result<ObjectInfo> info = store.Stat(kManifestKey);
  if (info.status().code() == Code::kNotFound) return std::optional<ManifestTotals>();
  RETURN_IF_ERROR(info.status());
  std::string head(static_cast<size_t>(std::min(info->bytes, kHeadBytes)), '\0');
  RETURN_IF_ERROR(
      store.GetRange(kManifestKey, 0, std::as_writable_bytes(std::span(head.data(), head.size()))));
  HeadReader reader;
  (void)nlohmann::json::sax_parse(head, &reader);
  const ManifestTotals totals{.unit_count = reader.Number("unit_count"),
                              .sample_count = reader.Number("sample_count"),
                              .rejected_count = reader.Number("rejected_count"),
                              .truncated_count = reader.Number("truncated_count"),
                              .token_count = reader.Number("token_count"),
                              .bytes = reader.Number("bytes")};
  if (!reader.is_whole() || reader.Text("run") != run.fingerprint ||
      totals.unit_count != run.plan.unit_count()) {
    return std::optional<ManifestTotals>();
  }
  return std::optional(totals);
}

}  // namespace thresher
