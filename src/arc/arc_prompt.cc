#include "arc/arc_prompt.h"

#include <fmt/format.h>

namespace thresher {
namespace {

constexpr std::string_view kInstructions =
    "Below is a puzzle about grids of coloured cells. Each digit from 0 to 9 stands for one "
    "colour. In every example, one and the same hidden rule turns the input grid into the output "
    "grid. Find the rule, then apply it to the test input. Answer with the output grid only, in a "
    "block that opens with ```grid and closes with ```, one row per line and no spaces between "
    "the digits.\n";

void AppendGrid(std::string_view label, const ArcGrid& grid, std::string& text) {
  text += label;
  text += ":\n```grid\n";
  for (int row = 0; row < grid.rows; ++row) {
    for (int column = 0; column < grid.columns; ++column) {
      text += static_cast<char>('0' + grid.At(row, column));
    }
    text += '\n';
  }
  text += "```\n";
}

}  // namespace

std::string ArcPrompt(const ArcTask& task) {
  THRESHER_CHECK(!task.test.empty());
  std::string text(kInstructions);
  for (size_t index = 0; index < task.train.size(); ++index) {
    const ArcPair& pair = task.train[index];
    THRESHER_CHECK(pair.output.has_value());
    text += fmt::format("\nExample {}\n", index + 1);
    AppendGrid("Input", pair.input, text);
    AppendGrid("Output", *pair.output, text);
  }
  text += "\nTest\n";
  AppendGrid("Input", task.test.front().input, text);
  return text;
}

}  // namespace thresher
