#include "arc/augmentation.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "arc/arc_data_for_test.h"
#include "arc/augmentation_random.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

constexpr AugmentationOptions kEverything = {
    .flip = true, .rotate = true, .colors = true, .order = true, .swap = true};

AugmentationOptions OptionsOf(const std::set<std::string>& kinds) {
  return {.flip = kinds.contains("flip"),
          .rotate = kinds.contains("rotate"),
          .colors = kinds.contains("colors"),
          .order = kinds.contains("order"),
          .swap = kinds.contains("swap")};
}

// The vectors of a published name never change: a failure here means that the algorithm needs a new
// name (kArcAugmentationName), and vectors of its own.
TEST(AugmentationTest, PublishedVectors) {
  const Json vectors = ReadArcTestData("augmentation_vectors.json");
  ASSERT_EQ(vectors["name"], kArcAugmentationName);
  const auto generator = [&](uint64_t kind) {
    const Json& key = vectors["generator"];
    return AugmentationRandom(key["seed"], key["task_id"].get<std::string>(), key["variant"], kind);
  };
  for (const Json& entry : vectors["first_values"]) {
    AugmentationRandom random = generator(entry["kind"]);
    for (const Json& value : entry["values"]) EXPECT_EQ(random.Next(), value.get<uint64_t>());
  }
  for (const Json& entry : vectors["below_of_kind_4"]) {
    AugmentationRandom random = generator(4);
    for (const Json& value : entry["values"]) {
      EXPECT_EQ(random.Below(entry["bound"]), value.get<uint64_t>()) << entry["bound"];
    }
  }
  for (const Json& entry : vectors["draws"]) {
    const Augmentation drawn =
        DrawAugmentation(kEverything, entry["seed"], entry["task_id"].get<std::string>(),
                         entry["variant"], entry["train_count"]);
    const Json& expected = entry["drawn"];
    EXPECT_EQ(drawn.flip, expected["flip"]);
    EXPECT_EQ(drawn.quarter_turns, expected["quarter_turns"]);
    EXPECT_EQ(Json(drawn.colors), expected["colors"]);
    EXPECT_EQ(Json(drawn.order), expected["order"]);
    EXPECT_EQ(drawn.swap_with ? Json(*drawn.swap_with) : Json(), expected["swap_with"]);
  }
  EXPECT_EQ(vectors["draws"].size(), 125u);
}

TEST(AugmentationTest, PublishedTasks) {
  const Json vectors = ReadArcTestData("augmentation_vectors.json");
  ASSERT_EQ(vectors["tasks"].size(), 10u);
  for (const Json& entry : vectors["tasks"]) {
    AugmentationOptions options = OptionsOf(entry["kinds"]);
    options.keep_background = entry["keep_background"];
    const Result<ArcTask> task = ParseArcTask(entry["task"]);
    ASSERT_TRUE(task.ok()) << task.status().message();
    const ArcTask augmented = Augment(*task, options, entry["seed"],
                                      entry["task_id"].get<std::string>(), entry["variant"]);
    EXPECT_EQ(Json::parse(ArcTaskJson(augmented)), entry["augmented"]) << entry["kinds"];
  }
}

TEST(AugmentationTest, OneKindOffLeavesTheOthersAsTheyWere) {
  for (int64_t variant = 0; variant < 200; ++variant) {
    const Augmentation whole = DrawAugmentation(kEverything, 5, "task", variant, 4);
    for (int kind = 0; kind < 5; ++kind) {
      AugmentationOptions options = kEverything;
      Augmentation expected = whole;
      if (kind == 0) options.flip = expected.flip = false;
      if (kind == 1) options.rotate = false, expected.quarter_turns = 0;
      if (kind == 2) options.colors = false, expected.colors = Augmentation().colors;
      if (kind == 3) options.order = false, expected.order.clear();
      if (kind == 4) options.swap = false, expected.swap_with.reset();
      EXPECT_EQ(DrawAugmentation(options, 5, "task", variant, 4), expected);
    }
  }
}

TEST(AugmentationTest, NothingChosenChangesNothing) {
  const ArcGrid grid = GridOf({{0, 1, 2}});
  const ArcTask task = {.train = {{.input = grid, .output = grid}},
                        .test = {{.input = grid, .output = std::nullopt}}};
  EXPECT_EQ(Augment(task, {}, 1, "task", 3), task);
}

// A test without its output can be no training pair.
TEST(AugmentationTest, AnUnknownOutputStaysInTheTest) {
  const ArcGrid grid = GridOf({{0, 1, 2}});
  const ArcGrid other = GridOf({{5}});
  ArcTask task = {.train = {{.input = grid, .output = grid}},
                  .test = {{.input = other, .output = std::nullopt}}};
  Augmentation swap;
  swap.swap_with = 0;
  EXPECT_EQ(Apply(swap, task), task);
  task.test[0].output = other;
  EXPECT_EQ(Apply(swap, task).test[0].input, grid);
  EXPECT_EQ(Apply(swap, task).train[0].input, other);
}

// Sum of (observed - expected)^2 / expected over `cells` equally likely outcomes.
template <typename T>
double ChiSquare(const std::map<T, int>& counts, double cells) {
  double total = 0;
  for (const auto& [value, count] : counts) total += count;
  const double expected = total / cells;
  double sum = (cells - static_cast<double>(counts.size())) * expected;
  for (const auto& [value, count] : counts)
    sum += (count - expected) * (count - expected) / expected;
  return sum;
}

// The bounds are the 0.9999 quantiles of chi-square with cells - 1 degrees of freedom. The draws
// are fixed, so that the test always ends alike.
TEST(AugmentationTest, Distributions) {
  constexpr int kTasks = 2'000;
  constexpr int kVariants = 10;
  std::map<std::pair<bool, int>, int> turns;
  std::map<std::vector<int>, int> orders;
  std::map<int, int> partners;
  std::map<std::pair<int, int>, int> kept_colors;
  std::map<int, int> backgrounds;
  int kept = 0;
  for (int task = 0; task < kTasks; ++task) {
    for (int variant = 0; variant < kVariants; ++variant) {
      const Augmentation drawn =
          DrawAugmentation(kEverything, 1, "task_" + std::to_string(task), variant, 3);
      ++turns[{drawn.flip, drawn.quarter_turns}];
      ++orders[drawn.order];
      ++partners[drawn.swap_with.value_or(-1)];
      EXPECT_EQ(std::set(drawn.colors.begin(), drawn.colors.end()).size(), 10u);
      if (drawn.colors[0] == 0) {
        ++kept;
        for (int color = 1; color < 10; ++color) ++kept_colors[{color, drawn.colors[color]}];
      } else {
        ++backgrounds[drawn.colors[0]];
      }
    }
  }
  EXPECT_LT(ChiSquare(turns, 8), 29.9);
  EXPECT_LT(ChiSquare(orders, 6), 25.7);
  EXPECT_LT(ChiSquare(partners, 4), 21.1);
  EXPECT_LT(ChiSquare(kept_colors, 81), 131.0);
  EXPECT_LT(ChiSquare(backgrounds, 9), 31.8);
  // Four standard deviations of 20,000 draws.
  EXPECT_NEAR(kept, 0.9 * kTasks * kVariants, 4 * 42.4);
}

TEST(AugmentationTest, TheBackgroundsExtremes) {
  AugmentationOptions options = {.colors = true, .keep_background = 1.0};
  for (int variant = 0; variant < 500; ++variant) {
    options.keep_background = 1.0;
    EXPECT_EQ(DrawAugmentation(options, 1, "t", variant, 1).colors[0], 0);
    options.keep_background = 0.0;
    EXPECT_NE(DrawAugmentation(options, 1, "t", variant, 1).colors[0], 0);
  }
}

}  // namespace
}  // namespace thresher
