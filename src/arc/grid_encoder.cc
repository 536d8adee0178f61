#include "arc/grid_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/json.h"

namespace thresher {
namespace {

constexpr std::string_view kFence = "```";
constexpr std::string_view kBlockHeader = "```grid";
constexpr std::string_view kShapeHeader = "```grid shape: ";

constexpr std::array<std::string_view, kArcColorCount> kSymbols = {"ñ", "ò", "÷", "û", "ą",
                                                                   "ć", "ď", "ę", "Ě", "Ğ"};

bool IsDigit(char character) { return character >= '0' && character <= '9'; }

void CheckGrid(const ArcGrid& grid) {
  THRESHER_CHECK(grid.rows >= 1 && grid.rows <= kMaxArcGridSide);
  THRESHER_CHECK(grid.columns >= 1 && grid.columns <= kMaxArcGridSide);
  THRESHER_CHECK(grid.cells.size() == static_cast<size_t>(grid.rows) * grid.columns);
}

// The first line of `text`, which it loses; nothing if no text is left. A text that ends in a line
// break has an empty last line.
std::optional<std::string_view> TakeLine(std::optional<std::string_view>& text) {
  if (!text) return std::nullopt;
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text = end == text->npos ? std::nullopt : std::optional(text->substr(end + 1));
  return line;
}

Status LineError(int line, std::string_view expected, std::string_view found) {
  return InvalidArgument(
      fmt::format("line {}: expected {}, found {}", line, expected, Quoted(found)));
}

// Each cell is `repeats` equal digits, with `separator` between neighbours.
std::string EncodeRows(const ArcGrid& grid, int repeats, std::string_view separator) {
  CheckGrid(grid);
  std::string text;
  text.reserve(grid.cells.size() * (static_cast<size_t>(repeats) + separator.size()));
  for (int row = 0; row < grid.rows; ++row) {
    if (row > 0) text += '\n';
    const uint8_t* cells = &grid.cells[static_cast<size_t>(row) * grid.columns];
    for (int column = 0; column < grid.columns; ++column) {
      if (column > 0) text += separator;
      text.append(static_cast<size_t>(repeats), static_cast<char>('0' + cells[column]));
    }
  }
  return text;
}

// Adds the line's cells to the grid; their number.
Result<int> DecodeRow(std::string_view line, int line_number, int repeats,
                      std::string_view separator, ArcGrid& grid) {
  const auto width = static_cast<size_t>(repeats);
  std::string_view rest = line;
  int columns = 0;
  while (true) {
    const std::string_view cell = rest.substr(0, width);
    if (cell.size() < width || !IsDigit(cell.front()) ||
        cell.find_first_not_of(cell.front()) != cell.npos) {
      return LineError(line_number,
                       fmt::format("{} for cell {}",
                                   repeats == 1 ? "a digit" : fmt::format("{} equal digits", width),
                                   columns + 1),
                       rest.substr(0, width));
    }
    grid.cells.push_back(static_cast<uint8_t>(cell.front() - '0'));
    ++columns;
    rest.remove_prefix(width);
    if (rest.empty()) return columns;
    if (columns == kMaxArcGridSide) {
      return LineError(line_number, fmt::format("at most {} cells", kMaxArcGridSide), line);
    }
    if (!rest.starts_with(separator)) {
      return LineError(line_number,
                       fmt::format("the separator {} after cell {}", Quoted(separator), columns),
                       rest.substr(0, separator.size()));
    }
    rest.remove_prefix(separator.size());
  }
}

Result<ArcGrid> DecodeRows(std::string_view text, int first_line, int repeats,
                           std::string_view separator) {
  ArcGrid grid;
  std::optional<std::string_view> rest = text;
  while (const std::optional<std::string_view> line = TakeLine(rest)) {
    const int line_number = first_line + grid.rows;
    if (grid.rows == kMaxArcGridSide) {
      return LineError(line_number, fmt::format("the end after {} rows", kMaxArcGridSide), *line);
    }
    ASSIGN_OR_RETURN(const int columns, DecodeRow(*line, line_number, repeats, separator, grid));
    if (grid.rows == 0) grid.columns = columns;
    if (columns != grid.columns) {
      return InvalidArgument(fmt::format("line {}: expected {} cells as in the first row, found {}",
                                         line_number, grid.columns, columns));
    }
    ++grid.rows;
  }
  return grid;
}

// What stands between a header line and the closing fence.
struct Block {
  std::string_view header;
  std::string_view body;
};

Result<Block> TakeBlock(std::string_view text, int first_line, std::string_view header) {
  const size_t header_end = text.find('\n');
  const std::string_view first = text.substr(0, header_end);
  if (!first.starts_with(header)) {
    return LineError(first_line, fmt::format("'{}'", header), first);
  }
  const auto last_line = first_line + static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  const size_t last_begin = header_end == text.npos ? text.npos : text.rfind('\n');
  if (last_begin == text.npos || text.substr(last_begin + 1) != kFence) {
    return LineError(last_line, fmt::format("'{}' as the last line", kFence),
                     last_begin == text.npos ? "" : text.substr(last_begin + 1));
  }
  if (last_begin == header_end) {
    return LineError(last_line, "a grid before the closing fence", kFence);
  }
  return Block{first, text.substr(header_end + 1, last_begin - header_end - 1)};
}

std::string ShapeHeader(const ArcGrid& grid) {
  return fmt::format("{}{}x{}", kShapeHeader, grid.rows, grid.columns);
}

// A Python-like string literal.
std::string Literal(std::string_view text) {
  std::string literal = "'";
  for (const char character : text) {
    if (character == '\'' || character == '\\') literal += '\\';
    literal += character;
  }
  return literal + "'";
}

bool IsValidUtf8(const std::string& text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

std::string MinimalGridEncoder::Encode(const ArcGrid& grid) const {
  return EncodeRows(grid, 1, "");
}

std::string MinimalGridEncoder::Spec() const { return "MinimalGridEncoder()"; }

Result<ArcGrid> MinimalGridEncoder::DecodeFrom(std::string_view text, int first_line) const {
  return DecodeRows(text, first_line, 1, "");
}

Status GridWithSeparationEncoder::CheckSeparator(std::string_view separator) {
  constexpr size_t kMaxBytes = 32;
  if (separator.empty()) {
    return InvalidArgument("an empty separator; MinimalGridEncoder() writes digits side by side");
  }
  if (separator.size() > kMaxBytes) {
    return InvalidArgument(fmt::format("a separator of {} bytes; at most {} are possible",
                                       separator.size(), kMaxBytes));
  }
  for (const char character : separator) {
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) {
      return InvalidArgument("the separator " + Quoted(separator) + " holds a control character");
    }
    if (IsDigit(character)) {
      return InvalidArgument("the separator " + Quoted(separator) +
                             " holds a digit, which would be taken for a cell");
    }
  }
  for (const std::string_view symbol : kSymbols) {
    if (separator.find(symbol) != separator.npos) {
      return InvalidArgument("the separator " + Quoted(separator) +
                             " holds a symbol that ReplaceNumberEncoder writes for a digit");
    }
  }
  if (!IsValidUtf8(std::string(separator))) {
    return InvalidArgument("the separator " + Quoted(separator) + " is not valid UTF-8");
  }
  return OkStatus();
}

GridWithSeparationEncoder::GridWithSeparationEncoder(std::string separator)
    : separator_(std::move(separator)) {
  THRESHER_CHECK(CheckSeparator(separator_).ok());
}

std::string GridWithSeparationEncoder::Encode(const ArcGrid& grid) const {
  return EncodeRows(grid, 1, separator_);
}

std::string GridWithSeparationEncoder::Spec() const {
  return fmt::format("GridWithSeparationEncoder({})", Literal(separator_));
}

Result<ArcGrid> GridWithSeparationEncoder::DecodeFrom(std::string_view text, int first_line) const {
  return DecodeRows(text, first_line, 1, separator_);
}

RepeatNumberEncoder::RepeatNumberEncoder(int repeats) : repeats_(repeats) {
  THRESHER_CHECK(repeats >= 1 && repeats <= kMaxRepeats);
}

std::string RepeatNumberEncoder::Encode(const ArcGrid& grid) const {
  return EncodeRows(grid, repeats_, "");
}

std::string RepeatNumberEncoder::Spec() const {
  return fmt::format("RepeatNumberEncoder(n={})", repeats_);
}

Result<ArcGrid> RepeatNumberEncoder::DecodeFrom(std::string_view text, int first_line) const {
  return DecodeRows(text, first_line, repeats_, "");
}

std::string GridCodeBlockEncoder::Encode(const ArcGrid& grid) const {
  return fmt::format("{}\n{}\n{}", kBlockHeader, inner_->Encode(grid), kFence);
}

std::string GridCodeBlockEncoder::Spec() const {
  return fmt::format("GridCodeBlockEncoder({})", inner_->Spec());
}

Result<ArcGrid> GridCodeBlockEncoder::DecodeFrom(std::string_view text, int first_line) const {
  ASSIGN_OR_RETURN(const Block block, TakeBlock(text, first_line, kBlockHeader));
  if (block.header != kBlockHeader) {
    return LineError(first_line, fmt::format("'{}'", kBlockHeader), block.header);
  }
  return inner_->DecodeFrom(block.body, first_line + 1);
}

std::string GridShapeEncoder::Encode(const ArcGrid& grid) const {
  return fmt::format("{}\n{}\n{}", ShapeHeader(grid), inner_->Encode(grid), kFence);
}

std::string GridShapeEncoder::Spec() const {
  return fmt::format("GridShapeEncoder({})", inner_->Spec());
}

Result<ArcGrid> GridShapeEncoder::DecodeFrom(std::string_view text, int first_line) const {
  ASSIGN_OR_RETURN(const Block block, TakeBlock(text, first_line, kShapeHeader));
  ASSIGN_OR_RETURN(ArcGrid grid, inner_->DecodeFrom(block.body, first_line + 1));
  if (block.header != ShapeHeader(grid)) {
    return LineError(first_line, fmt::format("'{}', the shape of what follows", ShapeHeader(grid)),
                     block.header);
  }
  return grid;
}

std::string RowNumberEncoder::Encode(const ArcGrid& grid) const {
  const std::string inner = inner_->Encode(grid);
  std::string text;
  text.reserve(inner.size() + static_cast<size_t>(grid.rows + 2) * 3);
  std::optional<std::string_view> rest = inner;
  int number = 0;
  while (const std::optional<std::string_view> line = TakeLine(rest)) {
    if (++number > 1) text += '\n';
    text += std::to_string(number);
    text += ' ';
    text += *line;
  }
  return text;
}

std::string RowNumberEncoder::Spec() const {
  return fmt::format("RowNumberEncoder({})", inner_->Spec());
}

Result<ArcGrid> RowNumberEncoder::DecodeFrom(std::string_view text, int first_line) const {
  std::string inner;
  std::optional<std::string_view> rest = text;
  int number = 0;
  while (const std::optional<std::string_view> line = TakeLine(rest)) {
    const std::string prefix = std::to_string(++number) + " ";
    if (!line->starts_with(prefix)) {
      return LineError(first_line + number - 1, fmt::format("the row number '{}'", prefix), *line);
    }
    if (number > 1) inner += '\n';
    inner += line->substr(prefix.size());
  }
  return inner_->DecodeFrom(inner, first_line);
}

std::string ReplaceNumberEncoder::Encode(const ArcGrid& grid) const {
  const std::string inner = inner_->Encode(grid);
  std::string text;
  text.reserve(inner.size() * 2);
  for (const char character : inner) {
    if (IsDigit(character)) {
      text += kSymbols[static_cast<size_t>(character - '0')];
    } else {
      text += character;
    }
  }
  return text;
}

std::string ReplaceNumberEncoder::Spec() const {
  return fmt::format("ReplaceNumberEncoder({})", inner_->Spec());
}

Result<ArcGrid> ReplaceNumberEncoder::DecodeFrom(std::string_view text, int first_line) const {
  std::string inner;
  int line = first_line;
  for (size_t at = 0; at < text.size();) {
    const char character = text[at];
    if (IsDigit(character))
      return LineError(line, "a symbol in place of each digit", {&character, 1});
    if (character == '\n') ++line;
    const auto* symbol = std::find_if(kSymbols.begin(), kSymbols.end(), [&](std::string_view s) {
      return text.substr(at).starts_with(s);
    });
    if (symbol == kSymbols.end()) {
      inner += character;
      ++at;
    } else {
      inner += static_cast<char>('0' + (symbol - kSymbols.begin()));
      at += symbol->size();
    }
  }
  return inner_->DecodeFrom(inner, first_line);
}

}  // namespace thresher
