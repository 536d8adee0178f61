#include "arc/arc_task.h"

#include <fmt/format.h>

#include <cmath>
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

// What may stand for a cell.
enum class CellKind { kInteger, kIntegerOrWholeFloat };

// The colour that `cell` stands for; nothing if it is none.
std::optional<uint8_t> ColorOf(const Json& cell, CellKind kind) {
  if (cell.is_number_float() && kind == CellKind::kIntegerOrWholeFloat) {
    const double value = cell.get<double>();
    if (!(value >= 0 && value < kArcColorCount) || value != std::floor(value)) return std::nullopt;
    return static_cast<uint8_t>(value);
  }
  // As unsigned, a negative integer is too large as well.
  if (!cell.is_number_integer() || cell.get<uint64_t>() >= kArcColorCount) return std::nullopt;
  return cell.get<uint8_t>();
}

Status ParseRow(const Json& row, size_t row_number, CellKind kind, ArcGrid& grid) {
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
    const std::optional<uint8_t> color = ColorOf(cell, kind);
    if (!color) {
      return InvalidArgument(fmt::format("{} cell {}: expected an integer from 0 to {}, found {}",
                                         place, column + 1, kArcColorCount - 1,
                                         DescribeJson(&cell)));
    }
    grid.cells.push_back(*color);
  }
  return OkStatus();
}

Result<ArcGrid> ParseGrid(const Json* rows, CellKind kind) {
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
    RETURN_IF_ERROR(ParseRow((*rows)[row], row + 1, kind, grid));
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
    Result<ArcGrid> input = ParseGrid(Member(entry, "input"), CellKind::kInteger);
    if (!input.ok()) return InGrid(input.status(), place + ".input");
    pair.input = std::move(input).value();
    if (output_required || HasField(entry, "output")) {
      Result<ArcGrid> output = ParseGrid(Member(entry, "output"), CellKind::kInteger);
      if (!output.ok()) return InGrid(output.status(), place + ".output");
      pair.output = std::move(output).value();
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Result<ArcPair> ParsePair(const Json& entry, const std::string& place) {
  constexpr std::string_view kExpected = "expected a pair [input grid, output grid], found ";
  if (!entry.is_array()) {
    return InvalidArgument(fmt::format("{}: {}{}", place, kExpected, DescribeJson(&entry)));
  }
  if (entry.size() != 2) {
    return InvalidArgument(
        fmt::format("{}: {}a list of {} elements", place, kExpected, entry.size()));
  }
  ArcPair pair;
  Result<ArcGrid> input = ParseGrid(&entry[0], CellKind::kIntegerOrWholeFloat);
  if (!input.ok()) return InGrid(input.status(), place + "[0]");
  pair.input = std::move(input).value();
  Result<ArcGrid> output = ParseGrid(&entry[1], CellKind::kIntegerOrWholeFloat);
  if (!output.ok()) return InGrid(output.status(), place + "[1]");
  pair.output = std::move(output).value();
  return pair;
}

void AppendGrid(const ArcGrid& grid, std::string& text) {
  for (int row = 0; row < grid.rows; ++row) {
    text += row == 0 ? "[[" : ",[";
    const uint8_t* cells = &grid.cells[static_cast<size_t>(row) * grid.columns];
    for (int column = 0; column < grid.columns; ++column) {
      if (column > 0) text += ',';
      text += static_cast<char>('0' + cells[column]);
    }
    text += ']';
  }
  text += ']';
}

void AppendPairs(const std::vector<ArcPair>& pairs, std::string& text) {
  for (size_t index = 0; index < pairs.size(); ++index) {
    text += index == 0 ? "[{\"input\":" : ",{\"input\":";
    AppendGrid(pairs[index].input, text);
    if (pairs[index].output) {
      text += ",\"output\":";
      AppendGrid(*pairs[index].output, text);
    }
    text += '}';
  }
  text += ']';
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

Result<ArcTask> ParseArcPairs(const nlohmann::json& examples, std::string_view name) {
  constexpr std::string_view kExpected =
      "expected a list of pairs [input grid, output grid], the last one being the test, found ";
  if (!examples.is_array()) {
    return InvalidArgument(
        fmt::format("field '{}': {}{}", name, kExpected, DescribeJson(&examples)));
  }
  if (examples.size() < 2) {
    return InvalidArgument(
        fmt::format("field '{}': {}{}", name, kExpected,
                    examples.empty() ? "an empty list" : "one pair; a training pair is missing"));
  }
  ArcTask task;
  for (size_t index = 0; index < examples.size(); ++index) {
    ASSIGN_OR_RETURN(ArcPair pair, ParsePair(examples[index], fmt::format("{}[{}]", name, index)));
    (index + 1 < examples.size() ? task.train : task.test).push_back(std::move(pair));
  }
  return task;
}

std::string ArcTaskJson(const ArcTask& task) {
  THRESHER_CHECK(!task.train.empty() && !task.test.empty());
  std::string text = "{\"train\":";
  AppendPairs(task.train, text);
  text += ",\"test\":";
  AppendPairs(task.test, text);
  return text + "}";
}

}  // namespace thresher
