#include "verify/shard_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "base/crc32c.h"
#include "shard/safetensors.h"
#include "shard/statistics.h"
#include "verify/index_check.h"

namespace thresher {
namespace {

bool IsClose(double a, double b, double scale) { return std::abs(a - b) <= 1e-9 * scale; }

// The sums of the same values depend on the order in which they were added. A sum's error is
// measured by the sum of absolute values, which is at most sqrt(count * sum of squares).
bool AgreesWith(const TensorStatistics& a, const TensorStatistics& b) {
  const double squares = std::max(a.sum_squares, b.sum_squares);
  return a.count == b.count && a.not_finite == b.not_finite && a.max_abs == b.max_abs &&
         IsClose(a.sum_squares, b.sum_squares, squares) &&
         IsClose(a.sum, b.sum, std::sqrt(static_cast<double>(a.count) * squares));
}

std::string ToText(const TensorStatistics& s) {
  return fmt::format("count {}, not finite {}, sum {}, sum of squares {}, max |x| {}", s.count,
                     s.not_finite, s.sum, s.sum_squares, s.max_abs);
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

class ShardChecker {
 public:
  ShardChecker(Store& store, const ShardToCheck& shard, FindingLog& log,
               const std::function<void(int64_t)>& on_bytes, std::vector<std::byte>& buffer)
      : store_(store),
        commit_(shard.commit),
        expected_(shard.expected),
        samples_(shard.samples),
        log_(log),
        on_bytes_(on_bytes),
        buffer_(buffer),
        is_whole_(expected_.tensors.size(), false),
        statistics_(expected_.hooks.size()) {}

  ShardVerdict Run();

 private:
  void Damage(const std::string& tensor, std::string what) {
    log_.Damage(commit_.unit, tensor, std::move(what));
    ++damage_count_;
  }

  bool CheckSize();
  void CheckHeader();
  void CheckHeaderContent(const SafetensorsHeader& header);
  void CheckHeaderTensors(const SafetensorsHeader& header);
  void CheckTensor(size_t tensor);
  Status StreamTensor(size_t tensor);
  Result<std::vector<float>> ReadScales(size_t hook);
  void CheckWholeFile();
  void CheckStatistics();
  bool HookIsWhole(size_t hook) const;
  std::optional<ShardIndex> CheckIndex();
  std::string ExpectedChecksum(size_t tensor) const;

  Store& store_;
  const Commit& commit_;
  const ExpectedShard& expected_;
  const SampleRange samples_;
  FindingLog& log_;
  const std::function<void(int64_t)>& on_bytes_;
  std::vector<std::byte>& buffer_;

  int64_t stored_bytes_ = 0;
  int64_t damage_count_ = 0;
  uint32_t whole_crc_ = 0;
  std::vector<bool> is_whole_;                // as expected_.tensors
  std::vector<TensorStatistics> statistics_;  // as expected_.hooks
  std::optional<std::vector<std::string>> sample_keys_;
};

// False if there is nothing to read.
bool ShardChecker::CheckSize() {
  const Result<ObjectInfo> info = store_.Stat(commit_.shard);
  if (!info.ok()) {
    Damage("", info.status().code() == Code::kNotFound
                   ? "the shard " + commit_.shard + " does not exist"
                   : "cannot read the shard " + commit_.shard + ": " + info.status().message());
    return false;
  }
  stored_bytes_ = info->bytes;
  if (stored_bytes_ != expected_.file_bytes) {
    Damage("", fmt::format("the shard {} has {} bytes, its commit says {}{}", commit_.shard,
                           stored_bytes_, expected_.file_bytes,
                           stored_bytes_ < expected_.file_bytes ? ": it was cut off" : ""));
  }
  return true;
}

void ShardChecker::CheckHeader() {
  const int64_t header_bytes = expected_.data_begin;
  if (stored_bytes_ < header_bytes) {
    return Damage("header",
                  fmt::format("cut off: {} of {} bytes are there", stored_bytes_, header_bytes));
  }
  std::vector<std::byte> header(static_cast<size_t>(header_bytes));
  if (const Status status = store_.GetRange(commit_.shard, 0, header); !status.ok()) {
    return Damage("header", "cannot be read: " + status.message());
  }
  on_bytes_(header_bytes);
  whole_crc_ = ExtendCrc32c(0, header);
  if (FormatCrc32c(whole_crc_) != commit_.header_checksum) {
    Damage("header", fmt::format("checksum {}, its commit says {}", FormatCrc32c(whole_crc_),
                                 commit_.header_checksum));
  }
  const Result<int64_t> data_begin =
      SafetensorsDataBegin(std::span(header).first(8), expected_.file_bytes);
  if (!data_begin.ok()) return Damage("header", data_begin.status().message());
  if (*data_begin != header_bytes) {
    return Damage("header", fmt::format("says that tensors begin at byte {}, expected {}",
                                        *data_begin, header_bytes));
  }
  const Result<SafetensorsHeader> parsed = ParseSafetensorsHeader(header, expected_.file_bytes);
  if (!parsed.ok()) return Damage("header", parsed.status().message());
  CheckHeaderContent(*parsed);
  CheckHeaderTensors(*parsed);
}

void ShardChecker::CheckHeaderContent(const SafetensorsHeader& header) {
  const std::map<std::string, std::string> wanted = {
      {"format", "thresher"},
      {"format_version", "1"},
      {"run", commit_.run_fingerprint},
      {"unit", std::to_string(commit_.unit)},
      {"first_sample", std::to_string(samples_.first)},
      {"sample_count", std::to_string(samples_.count)}};
  for (const auto& [key, value] : wanted) {
    const auto found = header.metadata.find(key);
    const std::string stored = found == header.metadata.end() ? "nothing" : found->second;
    if (stored != value) {
      Damage("header", fmt::format("metadata '{}': expected {}, found {}", key, value, stored));
    }
  }
  const auto keys = header.metadata.find("sample_keys");
  const nlohmann::json list =
      keys == header.metadata.end()
          ? nlohmann::json()
          : nlohmann::json::parse(keys->second, nullptr, /*allow_exceptions=*/false);
  const bool is_right =
      list.is_array() && static_cast<int64_t>(list.size()) == commit_.sequence_count &&
      std::all_of(list.begin(), list.end(), [](const auto& key) { return key.is_string(); });
  if (!is_right) {
    return Damage("header", fmt::format("metadata 'sample_keys': expected a list of {} strings",
                                        commit_.sequence_count));
  }
  sample_keys_ = list.get<std::vector<std::string>>();
}

void ShardChecker::CheckHeaderTensors(const SafetensorsHeader& header) {
  for (const TensorEntry& wanted : expected_.tensors) {
    const TensorEntry* found = header.Find(wanted.name);
    if (found == nullptr) {
      Damage(wanted.name, "the header has no such tensor");
      continue;
    }
    // Without tokens nothing tells the width.
    const bool shape_fits = found->shape == wanted.shape ||
                            (expected_.token_count == 0 &&
                             found->shape.size() == wanted.shape.size() && found->shape[0] == 0);
    if (found->dtype != wanted.dtype || !shape_fits || found->begin != wanted.begin ||
        found->end != wanted.end) {
      Damage(wanted.name,
             fmt::format("the header says {} {} in bytes {} to {}, expected {} {} in {} to {}",
                         SafetensorsName(found->dtype), ShapeText(found->shape), found->begin,
                         found->end, SafetensorsName(wanted.dtype), ShapeText(wanted.shape),
                         wanted.begin, wanted.end));
    }
  }
  const auto is_expected = [&](const std::string& name) {
    return std::any_of(expected_.tensors.begin(), expected_.tensors.end(),
                       [&](const TensorEntry& entry) { return entry.name == name; });
  };
  for (const TensorEntry& entry : header.tensors) {
    if (!is_expected(entry.name)) Damage(entry.name, "a tensor that the run does not store");
  }
  for (const OpaqueTensor& tensor : header.opaque) {
    Damage(tensor.name, "a tensor that the run does not store");
  }
}

std::string ShardChecker::ExpectedChecksum(size_t tensor) const {
  const std::string& name = expected_.tensors[tensor].name;
  for (const TensorRecord& record : commit_.tensors) {
    if (record.name == name) return record.checksum;
  }
  return "nothing";
}

void ShardChecker::CheckTensor(size_t tensor) {
  const TensorEntry& entry = expected_.tensors[tensor];
  if (entry.end > stored_bytes_) {
    const int64_t there = std::max<int64_t>(0, stored_bytes_ - entry.begin);
    return Damage(entry.name,
                  fmt::format("cut off: {} of {} bytes are there", there, entry.end - entry.begin));
  }
  if (const Status status = StreamTensor(tensor); !status.ok()) {
    Damage(entry.name, "cannot be read: " + status.message());
  }
}

Result<std::vector<float>> ShardChecker::ReadScales(size_t hook) {
  const TensorEntry& entry = expected_.tensors[expected_.scale_tensor(hook)];
  std::vector<float> scales(static_cast<size_t>(expected_.token_count));
  // Where they are cut off their own check says so.
  if (entry.end > stored_bytes_) return scales;
  RETURN_IF_ERROR(
      store_.GetRange(commit_.shard, entry.begin, std::as_writable_bytes(std::span(scales))));
  return scales;
}

// Checksum and, for hook points, statistics, in pieces of whole rows.
Status ShardChecker::StreamTensor(size_t tensor) {
  const TensorEntry& entry = expected_.tensors[tensor];
  const int64_t bytes = entry.end - entry.begin;
  const bool is_hook = tensor < expected_.hooks.size();
  const int64_t width = is_hook ? expected_.hooks[tensor].width : 1;
  const int64_t row_bytes = std::max<int64_t>(1, width * DTypeBytes(entry.dtype));
  const int64_t piece_bytes = std::max<int64_t>(1, kPieceBytes / row_bytes) * row_bytes;
  buffer_.resize(static_cast<size_t>(std::min(piece_bytes, bytes)));
  std::vector<float> scales;
  if (is_hook && HasScale(entry.dtype)) {
    ASSIGN_OR_RETURN(scales, ReadScales(tensor));
  }
  uint32_t crc = 0;
  for (int64_t begin = 0; begin < bytes; begin += piece_bytes) {
    const std::span<std::byte> piece =
        std::span(buffer_).first(static_cast<size_t>(std::min(piece_bytes, bytes - begin)));
    RETURN_IF_ERROR(store_.GetRange(commit_.shard, entry.begin + begin, piece));
    crc = ExtendCrc32c(crc, piece);
    on_bytes_(static_cast<int64_t>(piece.size()));
    if (!is_hook) continue;
    const float* piece_scales = scales.empty() ? nullptr : scales.data() + begin / row_bytes;
    statistics_[tensor].Merge(ComputeStatistics(piece.data(), piece_scales,
                                                static_cast<int64_t>(piece.size()) / row_bytes,
                                                width, entry.dtype));
  }
  whole_crc_ = CombineCrc32c(whole_crc_, crc, bytes);
  is_whole_[tensor] = FormatCrc32c(crc) == ExpectedChecksum(tensor);
  if (!is_whole_[tensor]) {
    Damage(entry.name, fmt::format("checksum {}, its commit says {}", FormatCrc32c(crc),
                                   ExpectedChecksum(tensor)));
  }
  return OkStatus();
}

// Only where every part is right by itself: otherwise the part has been named already.
void ShardChecker::CheckWholeFile() {
  if (damage_count_ > 0 || FormatCrc32c(whole_crc_) == commit_.checksum) return;
  Damage("", fmt::format("checksum of the whole shard {}, its commit says {}",
                         FormatCrc32c(whole_crc_), commit_.checksum));
}

bool ShardChecker::HookIsWhole(size_t hook) const {
  return is_whole_[hook] && (!HasScale(expected_.dtype) || is_whole_[expected_.scale_tensor(hook)]);
}

void ShardChecker::CheckStatistics() {
  for (size_t hook = 0; hook < expected_.hooks.size(); ++hook) {
    // Statistics of damaged bytes say nothing new.
    if (!HookIsWhole(hook)) continue;
    const std::string& name = expected_.hooks[hook].name;
    const TensorStatistics& found = statistics_[hook];
    const auto stored =
        std::find_if(commit_.statistics.begin(), commit_.statistics.end(),
                     [&](const HookStatistics& entry) { return entry.name == name; });
    if (stored == commit_.statistics.end()) {
      Damage(name, "the commit has no statistics of it");
    } else if (!AgreesWith(found, stored->statistics)) {
      Damage(name, fmt::format("statistics: found {}; its commit says {}", ToText(found),
                               ToText(stored->statistics)));
    }
    if (found.not_finite > 0) {
      log_.Add({Severity::kWarning, commit_.unit, name,
                fmt::format("{} of {} values are not finite", found.not_finite, found.count)});
    }
  }
}

std::optional<ShardIndex> ShardChecker::CheckIndex() {
  for (size_t tensor = expected_.row_tensor_count(); tensor < is_whole_.size(); ++tensor) {
    if (!is_whole_[tensor]) return std::nullopt;
  }
  Result<ShardIndex> index = ReadShardIndex(store_, commit_.shard, expected_);
  if (!index.ok()) {
    Damage("", "cannot be read: " + index.status().message());
    return std::nullopt;
  }
  const std::vector<IndexFault> faults = CheckShardIndex(*index, IndexRules::Of(commit_, samples_));
  for (const IndexFault& fault : faults) Damage(fault.tensor, fault.what);
  if (!faults.empty()) return std::nullopt;
  return *std::move(index);
}

ShardVerdict ShardChecker::Run() {
  ShardVerdict verdict;
  if (!CheckSize()) return verdict;
  CheckHeader();
  for (size_t tensor = 0; tensor < expected_.tensors.size(); ++tensor) CheckTensor(tensor);
  CheckWholeFile();
  CheckStatistics();
  verdict.index = CheckIndex();
  verdict.sample_keys = std::move(sample_keys_);
  verdict.hooks_are_whole = true;
  for (size_t hook = 0; hook < expected_.hooks.size(); ++hook) {
    if (!HookIsWhole(hook)) verdict.hooks_are_whole = false;
  }
  return verdict;
}

}  // namespace

ShardVerdict CheckShard(Store& store, const ShardToCheck& shard, FindingLog& log,
                        const std::function<void(int64_t)>& on_bytes,
                        std::vector<std::byte>& buffer) {
  return ShardChecker(store, shard, log, on_bytes, buffer).Run();
}

}  // namespace thresher
