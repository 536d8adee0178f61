#include "arc/arc_task.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "base/json.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

const Json* Member(const Json& object, std::string_view name) {
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

Status ParseRow(const Json& row, size_t row_number, ArcGrid& grid) {
  const std::string place = fmt::format("row {}", row_number);
  if (!row.is_array()) {
    return InvalidArgument(
        fmt::format("{}: expected a list of cells, found {}", place, DescribeJson(&row)));
  }
  if (row_number == 1) {
    if (row.empty() || row.size() > kMaxArcGridSide) {
      return InvalidArgument(
          fmt::format("{}: expected 1 to {} cells, found {}", place, kMaxArcGridSide, row.size()));
    }
    grid.columns = static_cast<int>(row.size());
  } else if (row.size() != static_cast<size_t>(grid.columns)) {
    return InvalidArgument(fmt::format("{}: expected {} cells as in row 1, found {}", place,
                                       grid.columns, row.size()));
  }
  for (size_t column = 0; column < row.size(); ++column) {
    const Json& cell = row[column];
    // As unsigned, a negative integer is too large as well.
    if (!cell.is_number_integer() || cell.get<uint64_t>() >= kArcColorCount) {
      return InvalidArgument(fmt::format("{} cell {}: expected an integer from 0 to {}, found {}",
                                         place, column + 1, kArcColorCount - 1,
                                         DescribeJson(&cell)));
    }
    grid.cells.push_back(cell.get<uint8_t>());
  }
  return OkStatus();
}

Result<ArcGrid> ParseGrid(const Json* rows) {
  if (rows == nullptr || !rows->is_array()) {
    return InvalidArgument("expected a grid (a list of rows), found " + DescribeJson(rows));
  }
  if (rows->empty() || rows->size() > kMaxArcGridSide) {
    return InvalidArgument(
        fmt::format("expected 1 to {} rows, found {}", kMaxArcGridSide, rows->size()));
  }
  ArcGrid grid;
  grid.rows = static_cast<int>(rows->size());
  for (size_t row = 0; row < rows->size(); ++row) {
    RETURN_IF_ERROR(ParseRow((*rows)[row], row + 1, grid));
  }
  return grid;
}

// Puts the name of a grid in front of what is wrong in it: a colon, unless the message begins with
// a row of the grid.
Status InGrid(const Status& status, const std::string& grid_name) {
  const bool names_row = status.message().starts_with("row ");
  return {status.code(), grid_name + (names_row ? " " : ": ") + status.message()};
}

Result<std::vector<ArcPair>> ParsePairs(const Json& record, std::string_view name,
                                        bool output_required) {
  const Json* list = Member(record, name);
  if (list == nullptr || !list->is_array() || list->empty()) {
    return InvalidArgument(fmt::format(
        "field '{}': expected a list of at least one {{\"input\": grid, \"output\": grid}}, "
        "found {}",
        name, list != nullptr && list->is_array() ? "an empty list" : DescribeJson(list)));
  }
  std::vector<ArcPair> pairs;
  for (size_t index = 0; index < list->size(); ++index) {
    const Json& entry = (*list)[index];
    const std::string place = fmt::format("{}[{}]", name, index);
    if (!entry.is_object()) {
      return InvalidArgument(
          fmt::format("{}: expected {{\"input\": grid, \"output\": grid}}, "
                      "found {}",
                      place, DescribeJson(&entry)));
    }
    ArcPair pair;
    Result<ArcGrid> input = ParseGrid(Member(entry, "input"));
    if (!input.ok()) return InGrid(input.status(), place + ".input");
    pair.input = std::move(input).value();
    if (output_required || HasField(entry, "output")) {
      Result<ArcGrid> output = ParseGrid(Member(entry, "output"));
      if (!output.ok()) return InGrid(output.status(), place + ".output");
      pair.output = std::move(output).value();
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

}  // namespace

Result<ArcTask> ParseArcTask(const nlohmann::json& record) {
  if (!record.is_object()) {
    return InvalidArgument("expected an ARC task (an object), found " + DescribeJson(&record));
  }
  ArcTask task;
  ASSIGN_OR_RETURN(task.train, ParsePairs(record, "train", /*output_required=*/true));
  ASSIGN_OR_RETURN(task.test, ParsePairs(record, "test", /*output_required=*/false));
  return task;
}

}  // namespace thresher
