#include "arc/augmentation.h"

#include <numeric>
#include <utility>

#include "arc/augmentation_random.h"

namespace thresher {
namespace {

// Part of the published algorithm.
enum Kind : uint64_t { kFlip = 1, kRotate = 2, kColors = 3, kOrder = 4, kSwap = 5 };

std::array<uint8_t, kArcColorCount> DrawColors(AugmentationRandom random, double keep_background) {
  uint8_t background = 0;
  if (random.Uniform() >= keep_background) {
    background = static_cast<uint8_t>(1 + random.Below(kArcColorCount - 1));
  }
  std::vector<uint8_t> others;
  for (uint8_t color = 0; color < kArcColorCount; ++color) {
    if (color != background) others.push_back(color);
  }
  random.Shuffle(others);
  std::array<uint8_t, kArcColorCount> colors{};
  colors[0] = background;
  for (size_t color = 1; color < colors.size(); ++color) colors[color] = others[color - 1];
  return colors;
}

ArcPair ApplyToPair(const Augmentation& augmentation, const ArcPair& pair) {
  const auto apply = [&](const ArcGrid& grid) {
    return Recolor(FlipAndRotate(grid, augmentation.flip, augmentation.quarter_turns),
                   augmentation.colors);
  };
  ArcPair changed = {.input = apply(pair.input), .output = std::nullopt};
  if (pair.output) changed.output = apply(*pair.output);
  return changed;
}

}  // namespace

Augmentation DrawAugmentation(const AugmentationOptions& options, uint64_t seed,
                              std::string_view task_id, int64_t variant, int train_count) {
  THRESHER_CHECK(train_count >= 1);
  THRESHER_CHECK(options.keep_background >= 0 && options.keep_background <= 1);
  const auto random = [&](Kind kind) { return AugmentationRandom(seed, task_id, variant, kind); };
  Augmentation augmentation;
  if (options.flip) augmentation.flip = random(kFlip).Below(2) == 1;
  if (options.rotate) augmentation.quarter_turns = static_cast<int>(random(kRotate).Below(4));
  if (options.colors) augmentation.colors = DrawColors(random(kColors), options.keep_background);
  if (options.order) {
    augmentation.order.resize(static_cast<size_t>(train_count));
    std::iota(augmentation.order.begin(), augmentation.order.end(), 0);
    random(kOrder).Shuffle(augmentation.order);
  }
  if (options.swap) {
    const auto partner =
        static_cast<int>(random(kSwap).Below(static_cast<uint64_t>(train_count) + 1));
    if (partner < train_count) augmentation.swap_with = partner;
  }
  return augmentation;
}

ArcGrid FlipAndRotate(const ArcGrid& grid, bool flip, int quarter_turns) {
  THRESHER_CHECK(quarter_turns >= 0 && quarter_turns < 4);
  const bool sideways = quarter_turns % 2 == 1;
  ArcGrid turned = {.rows = sideways ? grid.columns : grid.rows,
                    .columns = sideways ? grid.rows : grid.columns,
                    .cells = {}};
  turned.cells.reserve(grid.cells.size());
  const int last_row = grid.rows - 1;
  const int last_column = grid.columns - 1;
  for (int row = 0; row < turned.rows; ++row) {
    for (int column = 0; column < turned.columns; ++column) {
      // Where the cell was before it was turned, and then before it was flipped.
      int from_row = row;
      int from_column = column;
      if (quarter_turns == 1) {
        from_row = column;
        from_column = last_column - row;
      } else if (quarter_turns == 2) {
        from_row = last_row - row;
        from_column = last_column - column;
      } else if (quarter_turns == 3) {
        from_row = last_row - column;
        from_column = row;
      }
      turned.cells.push_back(grid.At(from_row, flip ? last_column - from_column : from_column));
    }
  }
  return turned;
}

ArcGrid Recolor(const ArcGrid& grid, const std::array<uint8_t, kArcColorCount>& colors) {
  ArcGrid recolored = grid;
  for (uint8_t& cell : recolored.cells) cell = colors[cell];
  return recolored;
}

ArcTask Apply(const Augmentation& augmentation, const ArcTask& task) {
  THRESHER_CHECK(!task.train.empty() && !task.test.empty());
  ArcTask changed;
  for (const ArcPair& pair : task.train) {
    changed.train.push_back(ApplyToPair(augmentation, pair));
  }
  for (const ArcPair& pair : task.test) changed.test.push_back(ApplyToPair(augmentation, pair));
  if (augmentation.swap_with && changed.test.front().output) {
    std::swap(changed.test.front(), changed.train.at(static_cast<size_t>(*augmentation.swap_with)));
  }
  if (augmentation.order.empty()) return changed;
  THRESHER_CHECK(augmentation.order.size() == changed.train.size());
  std::vector<ArcPair> ordered;
  ordered.reserve(changed.train.size());
  for (const int place : augmentation.order) {
    ordered.push_back(std::move(changed.train[static_cast<size_t>(place)]));
  }
  changed.train = std::move(ordered);
  return changed;
}

ArcTask Augment(const ArcTask& task, const AugmentationOptions& options, uint64_t seed,
                std::string_view task_id, int64_t variant) {
  return Apply(
      DrawAugmentation(options, seed, task_id, variant, static_cast<int>(task.train.size())), task);
}

}  // namespace thresher
