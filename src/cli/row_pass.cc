#include "cli/row_pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/byte_size.h"
#include "base/json.h"
#include "text/utf8.h"

namespace thresher {
namespace {

constexpr int64_t kWaveRows = 4'096;
constexpr int64_t kWaveBytes = int64_t{16} << 20;
constexpr int64_t kMaxPrintedRejections = 20;

std::optional<int64_t> ParseRowNumber(std::string_view text) {
  int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [parsed_end, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || parsed_end != end || number < 0) return std::nullopt;
  return number;
}

// How many rows from `first` on are worked on at a time.
int64_t WaveRowCount(const Dataset& dataset, int64_t first, int64_t end) {
  const int64_t limit = std::min(end, first + kWaveRows);
  int64_t bytes = dataset.RecordBytes(first);
  int64_t row = first + 1;
  while (row < limit && bytes + dataset.RecordBytes(row) <= kWaveBytes) {
    bytes += dataset.RecordBytes(row++);
  }
  return row - first;
}

}  // namespace

Result<RowRange> ParseRowRange(std::string_view text, int64_t row_count,
                               std::optional<int64_t> max_rows) {
  RowRange range = {.first = 0, .end = row_count};
  if (!text.empty()) {
    const size_t colon = text.find(':');
    const std::string_view first = text.substr(0, colon);
    const std::string_view end = colon == text.npos ? "" : text.substr(colon + 1);
    const std::optional<int64_t> first_row = first.empty() ? 0 : ParseRowNumber(first);
    const std::optional<int64_t> end_row = end.empty() ? row_count : ParseRowNumber(end);
    if (colon == text.npos || !first_row || !end_row) {
      return InvalidArgument(fmt::format(
          "--range: expected FIRST:END, rows counted from 0 and END not included (1000:2000, "
          "1000: or :2000), found {}",
          Quoted(text)));
    }
    if (*first_row >= std::min(*end_row, row_count)) {
      return InvalidArgument(
          fmt::format("--range {}: no row is in it; the data set has {} rows", text, row_count));
    }
    range = {.first = *first_row, .end = std::min(*end_row, row_count)};
  }
  if (max_rows) range.end = std::min(range.end, range.first + *max_rows);
  return range;
}

Status ForEachRow(
    const Dataset& dataset, RowRange range,
    const std::function<RowResult(const Record& record, int64_t row)>& make,
    const std::function<Status(RowResult result, int64_t row, const std::string& location)>& take) {
  const int64_t thread_count = std::max(1U, std::thread::hardware_concurrency());
  for (int64_t first = range.first; first < range.end;) {
    const int64_t count = WaveRowCount(dataset, first, range.end);
    ASSIGN_OR_RETURN(const Records records, dataset.Read(first, count));
    std::vector<RowResult> results(static_cast<size_t>(count));
    const auto make_slice = [&](int64_t slice) {
      for (int64_t i = count * slice / thread_count; i < count * (slice + 1) / thread_count; ++i) {
        results[static_cast<size_t>(i)] = make(records[i], first + i);
      }
    };
    std::vector<std::jthread> threads;
    for (int64_t slice = 1; slice < thread_count; ++slice) threads.emplace_back(make_slice, slice);
    make_slice(0);
    threads.clear();  // waits for them
    for (int64_t i = 0; i < count; ++i) {
      RETURN_IF_ERROR(
          take(std::move(results[static_cast<size_t>(i)]), first + i, records.Location(i)));
    }
    first += count;
  }
  return OkStatus();
}

Status CheckRowLength(const Record& record) {
  if (record.unread_bytes == 0) return OkStatus();
  return InvalidArgument(
      fmt::format("a row of {} is longer than the limit of {}",
                  FormatBytes(static_cast<double>(record.unread_bytes)),
                  FormatBytes(static_cast<double>(DatasetOptions().max_record_bytes))));
}

Result<nlohmann::json> ParseRow(const Record& record) {
  RETURN_IF_ERROR(CheckRowLength(record));
  if (!record.is_json) return InvalidArgument("expected a JSON object, found plain text");
  RETURN_IF_ERROR(CheckUtf8(record.text));
  ASSIGN_OR_RETURN(nlohmann::json json, ParseJson(record.text));
  if (!json.is_object()) {
    return InvalidArgument("expected a JSON object, found " + DescribeJson(&json));
  }
  return json;
}

Result<std::string> ReadRowId(const nlohmann::json& record, const std::string& id_column) {
  // As long as the keys that shards and commit records can hold.
  constexpr size_t kMaxIdBytes = 1024;
  const std::vector<std::string> names =
      id_column.empty() ? std::vector<std::string>{"task_id", "id"} : std::vector{id_column};
  for (const std::string& name : names) {
    if (!HasField(record, name) && id_column.empty()) continue;
    const auto it = record.find(name);
    if (it == record.end() || !(it->is_string() || it->is_number())) {
      return FieldError(record, name, "a string or a number");
    }
    std::string id = it->is_string() ? it->get<std::string>() : it->dump();
    if (id.size() > kMaxIdBytes) {
      return InvalidArgument(fmt::format("field '{}': expected at most {} bytes, found {}", name,
                                         kMaxIdBytes, id.size()));
    }
    return id;
  }
  return std::string();
}

Result<std::string> UsedIds::Claim(const std::string& id, int64_t row) {
  const auto [used, is_new] = uses_.try_emplace(id, Use{.first_row = row});
  if (is_new) return id;
  ++duplicate_count_;
  if (on_duplicate_ == OnDuplicate::kKeep) return id;
  if (on_duplicate_ == OnDuplicate::kReject) {
    return InvalidArgument(fmt::format("the id {} is that of row {} too (rows counted from 0)",
                                       Quoted(id), used->second.first_row));
  }
  int64_t number = used->second.next_number;
  std::string renamed = fmt::format("{}_{}", id, number);
  while (uses_.contains(renamed)) renamed = fmt::format("{}_{}", id, ++number);
  uses_[id].next_number = number + 1;
  uses_.emplace(renamed, Use{.first_row = row});
  return renamed;
}

Result<RejectedRows> RejectedRows::Create(const std::string& path, bool fail) {
  std::optional<OutputFile> file;
  if (!path.empty()) {
    Result<OutputFile> created = OutputFile::Create(path);
    if (!created.ok()) return created.status().WithContext("--rejected");
    file.emplace(std::move(created).value());
  }
  return RejectedRows(std::move(file), fail);
}

Status RejectedRows::Add(int64_t row, const std::string& location, const std::string& reason) {
  if (fail_) {
    return InvalidArgument(
        fmt::format("{}: {} (--on-bad-sample skip goes on without such rows)", location, reason));
  }
  if (++count_ <= kMaxPrintedRejections) {
    std::fprintf(stderr, "thresher: rejected: %s: %s\n", location.c_str(), reason.c_str());
  }
  if (!file_) return OkStatus();
  const nlohmann::ordered_json line = {{"row", row}, {"location", location}, {"reason", reason}};
  return file_->Write(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                      "\n");
}

Status RejectedRows::Finish() {
  if (count_ > kMaxPrintedRejections) {
    std::fprintf(stderr, "thresher: rejected: %lld more rows%s\n",
                 static_cast<long long>(count_ - kMaxPrintedRejections),
                 file_ ? "" : "; --rejected FILE lists them all");
  }
  return file_ ? file_->Commit() : OkStatus();
}

}  // namespace thresher
