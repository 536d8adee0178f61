#ifndef THRESHER_CLI_ROW_PASS_H_
#define THRESHER_CLI_ROW_PASS_H_

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "cli/output_file.h"
#include "dataset/dataset.h"

namespace thresher {

// The rows [first, end) of a data set, counted from 0.
struct RowRange {
  int64_t first = 0;
  int64_t end = 0;

  int64_t count() const { return end - first; }
};

// "1000:2000", "1000:" or ":2000", cut to `row_count` rows, then to the first `max_rows`. An error
// if nothing is left.
Result<RowRange> ParseRowRange(std::string_view text, int64_t row_count,
                               std::optional<int64_t> max_rows);

// What was made of a row: the id and the text that go on, or why there are none.
struct RowResult {
  std::string id = {};  // may be empty
  std::string text = {};
  std::string error = {};  // empty: the row is good
};

// Calls `make` for each row on all processors, and then `take` for each row in order on the calling
// thread, until one returns an error. Memory is bounded by some ten megabytes and the longest row.
Status ForEachRow(
    const Dataset& dataset, RowRange range,
    const std::function<RowResult(const Record& record, int64_t row)>& make,
    const std::function<Status(RowResult result, int64_t row, const std::string& location)>& take);

// An error if the row was too long to be read.
Status CheckRowLength(const Record& record);

// The record as JSON: an object in valid UTF-8.
Result<nlohmann::json> ParseRow(const Record& record);

// The value of "task_id", else "id", or of `id_column` if that is not empty; empty if there is
// none. Numbers as they are written in JSON.
Result<std::string> ReadRowId(const nlohmann::json& record, const std::string& id_column);

// What is done about an id that an earlier row has.
enum class OnDuplicate { kReject, kRename, kKeep };

// The ids that have been used. Not thread-safe.
class UsedIds {
 public:
  explicit UsedIds(OnDuplicate on_duplicate) : on_duplicate_(on_duplicate) {}

  // The id that the row gets: `id`, or `id` with a number if that is used and duplicates are
  // renamed. kInvalidArgument if it is used and duplicates are rejected.
  Result<std::string> Claim(const std::string& id, int64_t row);

  // Rows whose id an earlier row had.
  int64_t duplicate_count() const { return duplicate_count_; }

 private:
  struct Use {
    int64_t first_row;
    int64_t next_number = 2;  // for the next id that is made of this one
  };

  const OnDuplicate on_duplicate_;
  int64_t duplicate_count_ = 0;
  std::unordered_map<std::string, Use> uses_;
};

// Rows that cannot be used: the first 20 on the standard error stream, all of them as
// {"row", "location", "reason"} in a JSONL file if a path is given. Not thread-safe.
class RejectedRows {
 public:
  // `path` may be empty. `fail`: the first one is an error.
  static Result<RejectedRows> Create(const std::string& path, bool fail);

  Status Add(int64_t row, const std::string& location, const std::string& reason);
  int64_t count() const { return count_; }

  // Says how many more there were; gives the file its name.
  Status Finish();

 private:
  RejectedRows(std::optional<OutputFile> file, bool fail) : file_(std::move(file)), fail_(fail) {}

  std::optional<OutputFile> file_;
  bool fail_;
  int64_t count_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_CLI_ROW_PASS_H_
