#ifndef THRESHER_ARC_ARC_TASK_H_
#define THRESHER_ARC_ARC_TASK_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/result.h"

namespace thresher {

inline constexpr int kMaxArcGridSide = 30;
inline constexpr int kArcColorCount = 10;

// A rectangle of colours 0..9, both sides 1..30.
struct ArcGrid {
  int rows = 0;
  int columns = 0;
  std::vector<uint8_t> cells;  // [rows, columns], row by row

  uint8_t At(int row, int column) const {
    THRESHER_CHECK(row >= 0 && row < rows && column >= 0 && column < columns);
    return cells[static_cast<size_t>(row) * columns + column];
  }
  bool operator==(const ArcGrid&) const = default;
};

// An example: `output` is what the task's rule makes of `input`. It may be unknown in a test.
struct ArcPair {
  ArcGrid input;
  std::optional<ArcGrid> output;

  bool operator==(const ArcPair&) const = default;
};

// A task of the Abstraction and Reasoning Corpus: at least one pair of each kind; every training
// pair has its output.
struct ArcTask {
  std::vector<ArcPair> train;
  std::vector<ArcPair> test;

  bool operator==(const ArcTask&) const = default;
};

// Reads {"train": [{"input": grid, "output": grid}, ..], "test": [{"input": grid, "output"?: grid},
// ..]}, where a grid is a list of rows and a row a list of integers; other members are passed over.
// kInvalidArgument names the place: "train[2].input row 3: expected 10 cells as in row 1, found 9"
// (pairs counted from 0 as in JSON paths, rows and cells from 1).
Result<ArcTask> ParseArcTask(const nlohmann::json& record);

// Reads a list of pairs [input grid, output grid]: the last one is the test, those before it are
// for training. The layout comes from array libraries and Parquet columns, whose cells may be
// floating-point numbers: whole ones (4.0) are taken. `name` is what messages call the list:
// "examples[2][0] row 3: expected 5 cells as in row 1, found 4" (pairs and their grids counted from
// 0, rows and cells from 1). kInvalidArgument.
Result<ArcTask> ParseArcPairs(const nlohmann::json& examples, std::string_view name = "examples");

// The task in the layout that ParseArcTask reads, on one line without spaces.
std::string ArcTaskJson(const ArcTask& task);

}  // namespace thresher

#endif  // THRESHER_ARC_ARC_TASK_H_
