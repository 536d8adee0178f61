// Tasks from lists of pairs, and back to the layout of ARC.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "arc/arc_data_for_test.h"
#include "arc/arc_task.h"
#include "base/json.h"
#include "base/random.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

Json Pairs() {
  return Json::parse("[[[[1,2],[3,4]],[[5]]], [[[6]],[[7,8]]], [[[9,0]],[[1],[2]]]]");
}

std::string ErrorOf(const Json& examples) {
  const Result<ArcTask> task = ParseArcPairs(examples);
  EXPECT_TRUE(task.ok() || task.status().code() == Code::kInvalidArgument);
  return task.status().message();
}

std::string ErrorWith(const std::string& pointer, const Json& value) {
  Json examples = Pairs();
  examples[Json::json_pointer(pointer)] = value;
  return ErrorOf(examples);
}

TEST(ArcPairsTest, TheLastPairIsTheTest) {
  const Result<ArcTask> task = ParseArcPairs(Pairs());
  ASSERT_TRUE(task.ok()) << task.status().message();
  EXPECT_EQ(task->train.size(), 2u);
  EXPECT_EQ(task->train[0].input, GridOf({{1, 2}, {3, 4}}));
  ASSERT_EQ(task->test.size(), 1u);
  EXPECT_EQ(task->test[0].input, GridOf(Json::parse("[[9,0]]")));
  EXPECT_EQ(*task->test[0].output, GridOf(Json::parse("[[1],[2]]")));
}

TEST(ArcPairsTest, WrittenAsATaskAndReadAgain) {
  ArcTask task = ParseArcPairs(Pairs()).value();
  EXPECT_EQ(ArcTaskJson(task),
            R"({"train":[{"input":[[1,2],[3,4]],"output":[[5]]},)"
            R"({"input":[[6]],"output":[[7,8]]}],"test":[{"input":[[9,0]],"output":[[1],[2]]}]})");
  EXPECT_EQ(ParseArcTask(ParseJson(ArcTaskJson(task)).value()).value(), task);
  task.test[0].output.reset();
  EXPECT_EQ(ParseArcTask(ParseJson(ArcTaskJson(task)).value()).value(), task);
}

TEST(ArcPairsTest, WholeFloatsAreColours) {
  EXPECT_EQ(ErrorWith("/0/0/0/0", 1.0), "");
  EXPECT_EQ(ErrorWith("/0/0/0/0", 9.0), "");
  EXPECT_EQ(ErrorWith("/0/0/0/0", 1.5),
            "examples[0][0] row 1 cell 1: expected an integer from 0 to 9, found 1.5");
  EXPECT_EQ(ErrorWith("/0/0/0/0", 10.0),
            "examples[0][0] row 1 cell 1: expected an integer from 0 to 9, found 10.0");
  EXPECT_EQ(ErrorWith("/0/0/0/0", -1.0),
            "examples[0][0] row 1 cell 1: expected an integer from 0 to 9, found -1.0");
  EXPECT_EQ(ErrorWith("/0/0/0/0", 1e300).substr(0, 30), "examples[0][0] row 1 cell 1: e");
}

TEST(ArcPairsTest, ErrorsNameThePlace) {
  constexpr const char* kList =
      "field 'examples': expected a list of pairs [input grid, output grid], the last one being "
      "the test, found ";
  EXPECT_EQ(ErrorOf(Json()), std::string(kList) + "nothing");
  EXPECT_EQ(ErrorOf("x"), std::string(kList) + "'x'");
  EXPECT_EQ(ErrorOf(Json::array()), std::string(kList) + "an empty list");
  EXPECT_EQ(ErrorOf(Json::array({Pairs()[0]})),
            std::string(kList) + "one pair; a training pair is missing");
  EXPECT_EQ(ErrorWith("/2/0", Json::parse("[[1,2,3,4,5],[1,2,3,4,5],[1,2,3,4]]")),
            "examples[2][0] row 3: expected 5 cells as in row 1, found 4");
  EXPECT_EQ(ErrorWith("/1", Json::array({Pairs()[1][0]})),
            "examples[1]: expected a pair [input grid, output grid], found a list of 1 elements");
  EXPECT_EQ(ErrorWith("/1", nullptr),
            "examples[1]: expected a pair [input grid, output grid], found nothing");
  EXPECT_EQ(ErrorWith("/1/1", Json::array()), "examples[1][1]: expected 1 to 30 rows, found 0");
  EXPECT_EQ(ErrorWith("/1/1/0", Json::array()),
            "examples[1][1] row 1: expected 1 to 30 cells, found 0");
  EXPECT_EQ(ErrorWith("/1/1/0/1", 12),
            "examples[1][1] row 1 cell 2: expected an integer from 0 to 9, found 12");
  EXPECT_EQ(ErrorWith("/1/1/0/1", "7"),
            "examples[1][1] row 1 cell 2: expected an integer from 0 to 9, found '7'");
  EXPECT_EQ(ParseArcPairs(Json(), "pairs").status().message().substr(0, 13), "field 'pairs'");
}

TEST(ArcPairsFuzzTest, DamagedPairs) {
  Random random(3);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = Pairs().dump();
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
      const size_t at = random.Below(text.size());
      if (random.Below(2) == 0) {
        text[at] = "0123456789[],.-e\"x"[random.Below(18)];
      } else {
        text.erase(at, 1 + random.Below(3));
      }
    }
    const Result<Json> json = ParseJson(text);
    if (!json.ok()) continue;
    const Result<ArcTask> task = ParseArcPairs(*json);
    if (!task.ok()) {
      EXPECT_FALSE(task.status().message().empty());
      continue;
    }
    ++accepted;
    EXPECT_EQ(ParseArcTask(ParseJson(ArcTaskJson(*task)).value()).value(), *task) << text;
  }
  EXPECT_GT(accepted, 300);
}

}  // namespace
}  // namespace thresher
