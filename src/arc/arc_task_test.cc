#include "arc/arc_task.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace thresher {
namespace {

using Json = nlohmann::json;

Json ValidTask() {
  const Json grid = {{1, 2}, {3, 4}, {5, 6}};
  const Json pair = {{"input", grid}, {"output", Json::array({Json::array({9})})}};
  return {{"train", {pair, pair, pair}}, {"test", Json::array({pair})}};
}

std::string ErrorOf(const Json& record) {
  const Result<ArcTask> task = ParseArcTask(record);
  EXPECT_TRUE(task.ok() || task.status().code() == Code::kInvalidArgument);
  return task.status().message();
}

// The error when one place of a valid task is replaced.
std::string ErrorWith(const std::string& pointer, const Json& value) {
  Json record = ValidTask();
  record[Json::json_pointer(pointer)] = value;
  return ErrorOf(record);
}

TEST(ArcTaskTest, ReadsGridsRowByRow) {
  Json record = ValidTask();
  record["test"][0].erase("output");
  record["task_id"] = "007bbfb7";
  const Result<ArcTask> task = ParseArcTask(record);
  ASSERT_TRUE(task.ok()) << task.status().message();
  ASSERT_EQ(task->train.size(), 3u);
  ASSERT_EQ(task->test.size(), 1u);
  const ArcGrid& input = task->train[2].input;
  EXPECT_EQ(input, (ArcGrid{.rows = 3, .columns = 2, .cells = {1, 2, 3, 4, 5, 6}}));
  EXPECT_EQ(input.At(2, 0), 5);
  EXPECT_EQ(*task->train[2].output, (ArcGrid{.rows = 1, .columns = 1, .cells = {9}}));
  EXPECT_FALSE(task->test[0].output.has_value());
}

TEST(ArcTaskTest, TheLargestGridAndNotOneMore) {
  const auto square = [](int side) {
    return Json(std::vector<std::vector<int>>(side, std::vector<int>(side, 9)));
  };
  EXPECT_EQ(ErrorWith("/train/0/input", square(30)), "");
  EXPECT_EQ(ErrorWith("/train/0/input", square(31)),
            "train[0].input: expected 1 to 30 rows, found 31");
  EXPECT_EQ(ErrorWith("/train/0/input", Json::array({square(31)[0]})),
            "train[0].input row 1: expected 1 to 30 cells, found 31");
}

TEST(ArcTaskTest, ErrorsNameThePlace) {
  EXPECT_EQ(ErrorWith("/train/2/input/2", {5, 6, 7}),
            "train[2].input row 3: expected 2 cells as in row 1, found 3");
  EXPECT_EQ(ErrorWith("/test/0/output/0/0", 10),
            "test[0].output row 1 cell 1: expected an integer from 0 to 9, found 10");
  EXPECT_EQ(ErrorWith("/train/1/input/1/1", -1),
            "train[1].input row 2 cell 2: expected an integer from 0 to 9, found -1");
  EXPECT_EQ(ErrorWith("/train/1/input/1/1", 4.0),
            "train[1].input row 2 cell 2: expected an integer from 0 to 9, found 4.0");
  EXPECT_EQ(ErrorWith("/train/1/input/1/1", true),
            "train[1].input row 2 cell 2: expected an integer from 0 to 9, found true");
  EXPECT_EQ(ErrorWith("/train/0/input/1", 3),
            "train[0].input row 2: expected a list of cells, found 3");
  EXPECT_EQ(ErrorWith("/train/0/input/0", Json::array()),
            "train[0].input row 1: expected 1 to 30 cells, found 0");
  EXPECT_EQ(ErrorWith("/train/0/output", Json::array()),
            "train[0].output: expected 1 to 30 rows, found 0");
  EXPECT_EQ(ErrorWith("/train/0/output", nullptr),
            "train[0].output: expected a grid (a list of rows), found nothing");
  EXPECT_EQ(ErrorWith("/test/0", "x"),
            "test[0]: expected {\"input\": grid, \"output\": grid}, found 'x'");
}

TEST(ArcTaskTest, BothListsAreNeeded) {
  EXPECT_EQ(ErrorWith("/train", Json::array()),
            "field 'train': expected a list of at least one {\"input\": grid, \"output\": grid}, "
            "found an empty list");
  Json record = ValidTask();
  record.erase("test");
  EXPECT_EQ(ErrorOf(record),
            "field 'test': expected a list of at least one {\"input\": grid, \"output\": grid}, "
            "found nothing");
  EXPECT_EQ(ErrorOf(Json::array()), "expected an ARC task (an object), found an array");
}

}  // namespace
}  // namespace thresher
