// `thresher convert` and `thresher streams` as people and scripts meet them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

using Texts = std::vector<std::string>;

constexpr const char* kPairs = "[[[[1,2]],[[3]]], [[[4,5]],[[6]]], [[[7,8]],[[9]]]]";

std::vector<Json> JsonLines(const std::string& text) {
  std::vector<Json> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    EXPECT_NE(end, text.npos) << "a last line without its end";
    if (end == text.npos) break;
    lines.push_back(Json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

class ConvertTest : public testing::Test {
 protected:
  std::string PathOf(const std::string& name) const { return folder_.PathOf(name); }

  ProcessResult Run(Texts arguments) const { return RunProcess(Thresher(arguments)); }

  ProcessResult Convert(const std::string& rows, const Texts& flags = {},
                        const std::string& output = "tasks.jsonl") const {
    WriteFile(PathOf("rows.jsonl"), rows);
    Texts arguments = {"convert", PathOf("rows.jsonl"), "--output",
                       output == "-" ? output : PathOf(output)};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return Run(arguments);
  }

  ProcessResult Split(const std::string& rows, const Texts& flags) const {
    WriteFile(PathOf("rows.jsonl"), rows);
    Texts arguments = {"streams", PathOf("rows.jsonl"), "--output-dir", PathOf("streams")};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return Run(arguments);
  }

  static std::string Row(const std::string& members) {
    return "{" + members + "\"examples\": " + kPairs + "}\n";
  }

  std::vector<Json> Tasks() const { return JsonLines(ReadFile(PathOf("tasks.jsonl"))); }

  TemporaryFolder folder_;
};

TEST_F(ConvertTest, PairsBecomeTasks) {
  const ProcessResult result =
      Convert(Row("") + Row("\"id\": 7, ") + Row("\"task_id\": \"a\\u00e9\", \"id\": 8, "));
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("3 tasks written to "));
  const std::vector<Json> tasks = Tasks();
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks[0], Json::parse(R"({"task_id": "task_00000000",
      "train": [{"input": [[1,2]], "output": [[3]]}, {"input": [[4,5]], "output": [[6]]}],
      "test": [{"input": [[7,8]], "output": [[9]]}]})"));
  EXPECT_EQ(tasks[1]["task_id"], "7");
  EXPECT_EQ(tasks[2]["task_id"], "a\u00e9");
  EXPECT_EQ(FilesBelow(folder_.path()), (Texts{"rows.jsonl", "tasks.jsonl"}));
}

TEST_F(ConvertTest, RangesNumbersAndColumns) {
  std::string rows;
  for (int row = 0; row < 10; ++row) {
    rows += "{\"name\": \"n" + std::to_string(row) + "\", \"pairs\": " + kPairs + "}\n";
  }
  const ProcessResult result =
      Convert(rows, {"--column", "pairs", "--id-column", "name", "--range", "3:9", "--max-samples",
                     "2", "--max-train-pairs", "1"});
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  const std::vector<Json> tasks = Tasks();
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0]["task_id"], "n3");
  EXPECT_EQ(tasks[1]["train"].size(), 1u);
  EXPECT_EQ(tasks[1]["train"][0]["input"], Json::parse("[[1,2]]"));

  const ProcessResult piped = Convert(rows, {"--column", "pairs", "--range", "8:", "--quiet"}, "-");
  EXPECT_EQ(piped.exit_status, 0) << piped.Describe();
  EXPECT_EQ(piped.err, "");
  EXPECT_EQ(JsonLines(piped.out).back()["task_id"], "task_00000009");
  for (const char* range : {"9:3", "10:", "x:2", "5", "-1:2"}) {
    EXPECT_EQ(Convert(rows, {"--column", "pairs", "--range=" + std::string(range)}).exit_status, 2)
        << range;
  }
}

TEST_F(ConvertTest, BadRowsAreListed) {
  const std::string rows = Row("") + "{\"examples\": [1\n" +
                           "{\"examples\": [[[[1]],[[2]]], [[[1,2,3],[1,2]],[[2]]]]}\n" +
                           "{\"other\": 1}\n" + Row("\"id\": []");
  const ProcessResult result = Convert(rows, {"--rejected", PathOf("rejected.jsonl")});
  EXPECT_EQ(result.exit_status, 3) << result.Describe();
  EXPECT_EQ(Tasks().size(), 1u);
  EXPECT_THAT(result.err, HasSubstr("rows.jsonl:3: examples[1][0] row 2: expected 3 cells"));
  const std::vector<Json> rejected = JsonLines(ReadFile(PathOf("rejected.jsonl")));
  ASSERT_EQ(rejected.size(), 4u);
  EXPECT_EQ(rejected[0]["row"], 1);
  EXPECT_THAT(rejected[0]["reason"], HasSubstr("not valid JSON"));
  EXPECT_THAT(rejected[1]["location"], HasSubstr("rows.jsonl:3"));
  EXPECT_THAT(rejected[2]["reason"], HasSubstr("field 'examples': expected a list of pairs"));
}

TEST_F(ConvertTest, TheFirstTwentyBadRowsAreShown) {
  std::string rows = Row("");
  for (int row = 0; row < 25; ++row) rows += "{}\n";
  const ProcessResult result = Convert(rows);
  EXPECT_EQ(result.exit_status, 3);
  EXPECT_THAT(result.err, HasSubstr("rows.jsonl:21: "));
  EXPECT_THAT(result.err, testing::Not(HasSubstr("rows.jsonl:22: ")));
  EXPECT_THAT(result.err, HasSubstr("rejected: 5 more rows; --rejected FILE lists them all"));
}

TEST_F(ConvertTest, NothingIsWrittenWhenItFails) {
  WriteFile(PathOf("tasks.jsonl"), "of before\n");
  const ProcessResult strict = Convert(Row("") + "{}\n", {"--on-bad-sample", "fail"});
  EXPECT_EQ(strict.exit_status, 1) << strict.Describe();
  EXPECT_THAT(strict.err, HasSubstr("rows.jsonl:2: field 'examples'"));
  const ProcessResult none = Convert("{}\n{}\n");
  EXPECT_EQ(none.exit_status, 1) << none.Describe();
  EXPECT_THAT(none.err, HasSubstr("none of 2 rows is a task"));
  EXPECT_EQ(ReadFile(PathOf("tasks.jsonl")), "of before\n");
  EXPECT_EQ(FilesBelow(folder_.path()), (Texts{"rows.jsonl", "tasks.jsonl"}));
  EXPECT_EQ(Convert(Row(""), {}, "no/such/folder.jsonl").exit_status, 1);
  EXPECT_EQ(Convert(Row(""), {"--on-duplicate", "what"}).exit_status, 2);
}

TEST_F(ConvertTest, DuplicateIds) {
  const std::string rows = Row("\"id\": \"a\", ") + Row("\"id\": \"a_2\", ") +
                           Row("\"id\": \"a\", ") + Row("\"id\": \"a\", ");
  const auto ids = [&] {
    Texts found;
    for (const Json& task : Tasks()) found.push_back(task["task_id"]);
    return found;
  };
  const ProcessResult rejected = Convert(rows);
  EXPECT_EQ(rejected.exit_status, 3);
  EXPECT_THAT(rejected.err, HasSubstr("rows.jsonl:3: the id 'a' is that of row 0 too"));
  EXPECT_EQ(ids(), (Texts{"a", "a_2"}));
  EXPECT_EQ(Convert(rows, {"--on-duplicate", "rename"}).exit_status, 0);
  EXPECT_EQ(ids(), (Texts{"a", "a_2", "a_3", "a_4"}));
  EXPECT_EQ(Convert(rows, {"--on-duplicate", "keep"}).exit_status, 0);
  EXPECT_EQ(ids(), (Texts{"a", "a_2", "a", "a"}));
}

// Several waves of rows on several threads give what one row after the other gives.
TEST_F(ConvertTest, ManyRowsStayInOrder) {
  constexpr int kRows = 10'000;
  std::string rows;
  for (int row = 0; row < kRows; ++row) rows += row % 100 == 99 ? "{}\n" : Row("");
  EXPECT_EQ(Convert(rows).exit_status, 3);
  const std::vector<Json> tasks = Tasks();
  ASSERT_EQ(tasks.size(), kRows * 99u / 100);
  int row = 0;
  for (const Json& task : tasks) {
    char id[32];
    std::snprintf(id, sizeof(id), "task_%08d", row);
    EXPECT_EQ(task["task_id"], id);
    row += row % 100 == 98 ? 2 : 1;
  }
}

std::string NumberedRows(int count) {
  std::string rows;
  for (int row = 0; row < count; ++row) {
    rows += "{\"id\":  \"r" + std::to_string(row) + "\", \"x\": 1.50, \"token_ids\": [1, 2, 3]}\n";
  }
  return rows;
}

TEST_F(ConvertTest, StreamsHoldEveryRowOnce) {
  const std::string rows = NumberedRows(11);
  const ProcessResult result = Split(rows, {"--streams", "4"});
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(FilesBelow(PathOf("streams")),
            (Texts{"dataset_metadata.json", "stream_000.jsonl", "stream_001.jsonl",
                   "stream_002.jsonl", "stream_003.jsonl"}));
  std::string joined;
  const Json metadata = Json::parse(ReadFile(PathOf("streams/dataset_metadata.json")));
  EXPECT_EQ(metadata["num_streams"], 4);
  EXPECT_EQ(metadata["total_samples"], 11);
  EXPECT_EQ(metadata["samples_per_stream"], 3);
  int64_t next = 0;
  for (const Json& stream : metadata["streams"]) {
    const std::string text = ReadFile(PathOf("streams/") + stream["filename"].get<std::string>());
    EXPECT_EQ(static_cast<int64_t>(JsonLines(text).size()), stream["num_samples"]);
    EXPECT_EQ(stream["start_idx"], next);
    next = stream["end_idx"];
    joined += text;
  }
  EXPECT_EQ(next, 11);
  EXPECT_EQ(joined, rows) << "byte for byte";
}

TEST_F(ConvertTest, StreamsLeaveOutWhatCannotBeUsed) {
  const std::string rows = NumberedRows(5) + "{\"id\": \"r1\"}\n[]\n" + "{\"id\": \"last\"}\n";
  const ProcessResult result = Split(rows, {"--streams", "3"});
  EXPECT_EQ(result.exit_status, 3) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("rows.jsonl:6: the id 'r1' is that of row 1 too"));
  EXPECT_THAT(result.err, HasSubstr("rows.jsonl:7: expected a JSON object"));
  std::set<std::string> ids;
  for (int stream = 0; stream < 3; ++stream) {
    const std::string name = "streams/stream_00" + std::to_string(stream) + ".jsonl";
    const std::vector<Json> lines = JsonLines(ReadFile(PathOf(name)));
    EXPECT_EQ(lines.size(), 2u);
    for (const Json& line : lines) ids.insert(line["id"]);
  }
  EXPECT_EQ(ids.size(), 6u);
  EXPECT_EQ(Split(rows, {"--streams", "3", "--on-duplicate", "keep"}).exit_status, 3);
  EXPECT_EQ(Split(rows, {"--streams", "3", "--on-bad-sample", "fail"}).exit_status, 1);
}

TEST_F(ConvertTest, StreamsOfAnEarlierSplit) {
  const std::string rows = NumberedRows(12);
  EXPECT_EQ(Split(rows, {"--streams", "6"}).exit_status, 0);
  EXPECT_EQ(Split(rows, {"--streams", "6", "--max-samples", "6"}).exit_status, 0);
  EXPECT_EQ(JsonLines(ReadFile(PathOf("streams/stream_005.jsonl"))).size(), 1u);
  const ProcessResult fewer = Split(rows, {"--streams", "4"});
  EXPECT_EQ(fewer.exit_status, 1) << fewer.Describe();
  EXPECT_THAT(fewer.err, HasSubstr("of another split"));
  const ProcessResult more = Split(rows, {"--streams", "13"});
  EXPECT_EQ(more.exit_status, 1) << more.Describe();
  EXPECT_THAT(more.err, HasSubstr("--streams 13: only 12 samples"));
}

TEST_F(ConvertTest, ThousandsOfStreams) {
  const ProcessResult result = Split(NumberedRows(3'001), {"--streams", "3000"});
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(FilesBelow(PathOf("streams")).size(), 3'001u);
  EXPECT_EQ(JsonLines(ReadFile(PathOf("streams/stream_000.jsonl"))).size(), 2u);
  EXPECT_EQ(JsonLines(ReadFile(PathOf("streams/stream_2999.jsonl"))).size(), 1u);
}

// The first users run one worker on each stream file.
TEST_F(ConvertTest, AStreamIsADataSet) {
  ASSERT_EQ(Split(NumberedRows(6), {"--streams", "3"}).exit_status, 0);
  const ProcessResult result = Extraction{.model = GoldenModel("qwen2"),
                                          .dataset = PathOf("streams/stream_001.jsonl"),
                                          .output = PathOf("run")}
                                   .Run();
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
}

}  // namespace
}  // namespace thresher
