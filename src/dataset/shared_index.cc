#include "dataset/shared_index.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/byte_size.h"
#include "base/fingerprint.h"
#include "dataset/index_maker.h"

namespace thresher {
namespace {

constexpr int64_t kPollMs = 2'000;
// A slow reader: what a worker that makes the index may be expected to manage.
constexpr int64_t kSlowBytesPerSecond = 50'000'000;
constexpr int64_t kLeastWaitMs = 10'000;

class SharedIndex {
 public:
  explicit SharedIndex(const OpenedFiles& files)
      : files_(files),
        options_(files.options()),
        store_(*options_.index_store),
        key_(fmt::format("{}{}.index", kIndexFolder, IndexIdentity(files))),
        claim_key_(fmt::format("{}{}.building", kIndexFolder, IndexIdentity(files))) {
    for (const DataFile& file : files.files()) source_bytes_ += file.bytes;
  }

  Result<RecordIndex> LoadOrMake() {
    std::optional<RecordIndex> index = Load();
    if (index) return *std::move(index);
    const bool is_large = IsLarge();
    if (is_large && !is_broken_ && !Claim()) {
      index = WaitForOther();
      if (index) return *std::move(index);
    }
    if (is_large) {
      Tell(fmt::format("indexing the data set: {} files, {}", files_.files().size(),
                       FormatBytes(static_cast<double>(source_bytes_))));
    }
    ASSIGN_OR_RETURN(RecordIndex made, MakeIndex(files_));
    if (!is_broken_) Share(made);
    if (has_claim_) (void)store_.Delete(claim_key_);
    return made;
  }

 private:
  bool IsLarge() const { return source_bytes_ >= options_.wait_for_index_bytes; }

  void Tell(const std::string& line) const {
    if (options_.events) options_.events(line);
  }

  std::optional<RecordIndex> Load() {
    const Result<std::string> text = store_.GetText(key_);
    if (!text.ok()) {
      if (text.status().code() == Code::kNotFound) return std::nullopt;
      return Unusable(text.status());
    }
    Result<RecordIndex> index = RecordIndex::Parse(*text);
    if (!index.ok()) return Unusable(index.status());
    if (!FitsFiles(*index)) {
      return Unusable(DataLoss("it is of other files"));
    }
    return *std::move(index);
  }

  std::optional<RecordIndex> Unusable(const Status& status) {
    is_broken_ = true;
    Tell(
        fmt::format("{}/{}: {}; the data set is indexed anew by every worker until somebody "
                    "deletes this object",
                    store_.url(), key_, status.message()));
    return std::nullopt;
  }

  bool FitsFiles(const RecordIndex& index) const {
    if (index.files().size() != files_.files().size()) return false;
    for (size_t i = 0; i < index.files().size(); ++i) {
      if (index.files()[i].name != files_.files()[i].name) return false;
    }
    return true;
  }

  // False if another worker was first.
  bool Claim() {
    const std::string text = fmt::format("{{\"unix_ms\": {}}}\n", options_.clock->UnixMs());
    const CreateResult created = store_.CreateIfAbsent(claim_key_, AsBytes(text));
    // Where the outcome is unknown, two may make the same index.
    has_claim_ = created.outcome == CreateOutcome::kWritten;
    return created.outcome != CreateOutcome::kConflict;
  }

  std::optional<RecordIndex> WaitForOther() {
    const int64_t expected_ms = kLeastWaitMs + source_bytes_ / (kSlowBytesPerSecond / 1000);
    Tell(fmt::format("waiting for another worker to index the data set, for at most {}",
                     FormatDuration(2 * expected_ms)));
    const int64_t deadline = options_.clock->MonotonicMs() + 2 * expected_ms;
    while (options_.clock->MonotonicMs() < deadline) {
      options_.clock->SleepMs(kPollMs);
      if (!store_.Stat(key_).ok()) continue;
      return Load();
    }
    Tell("the index of the data set has not come; indexing it here");
    return std::nullopt;
  }

  void Share(const RecordIndex& index) const {
    const std::string bytes = index.Serialize();
    if (static_cast<int64_t>(bytes.size()) > kMaxTextBytes) {
      Tell(fmt::format("the index of the data set has {}: too large to be shared",
                       FormatBytes(static_cast<double>(bytes.size()))));
      return;
    }
    const CreateResult created = store_.CreateIfAbsent(key_, AsBytes(bytes));
    // The index of a small data set is made again in less time than it takes to read about it.
    if (created.outcome != CreateOutcome::kUnknown || !IsLarge()) return;
    Tell(fmt::format("the index of the data set may not be shared: {}", created.status.message()));
  }

  const OpenedFiles& files_;
  const DatasetOptions& options_;
  Store& store_;
  const std::string key_;
  const std::string claim_key_;
  int64_t source_bytes_ = 0;
  bool has_claim_ = false;
  bool is_broken_ = false;  // the index object is there, or the store fails: nothing can be shared
};

}  // namespace

std::string IndexIdentity(const OpenedFiles& files) {
  const DatasetOptions& options = files.options();
  Fingerprinter fingerprinter;
  const auto add_number = [&](int64_t number) { fingerprinter.AddField(std::to_string(number)); };
  fingerprinter.AddField("record index, version 1");
  add_number(static_cast<int64_t>(files.files().size()));
  for (const DataFile& file : files.files()) {
    fingerprinter.AddField(file.name);
    add_number(file.bytes);
    // A local file may be another copy on every machine.
    add_number(file.store ? file.modified_ms : 0);
  }
  for (const std::string& column : options.columns) fingerprinter.AddField(column);
  add_number(static_cast<int64_t>(options.columns.size()));
  fingerprinter.AddField(options.documents);
  add_number(options.document_piece_bytes);
  const std::string text = fingerprinter.Finish();
  return text.substr(text.find(':') + 1);
}

Result<RecordIndex> LoadOrMakeIndex(const OpenedFiles& files) {
  if (files.options().index_store == nullptr) return MakeIndex(files);
  return SharedIndex(files).LoadOrMake();
}

}  // namespace thresher
