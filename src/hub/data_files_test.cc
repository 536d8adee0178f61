#include "hub/data_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;

using Paths = std::vector<std::string>;

HubAddress At(const std::string& path = "") {
  return {.kind = HubKind::kDataset, .repository = "a/b", .path = path};
}

Paths Chosen(Paths paths, const std::string& path = "") {
  std::sort(paths.begin(), paths.end());
  const Result<DataFileChoice> choice = ChooseDataFiles(paths, At(path));
  return choice.ok() ? choice->paths : Paths{choice.status().message()};
}

TEST(DataFilesTest, PrefersFormats) {
  EXPECT_THAT(Chosen({"b.parquet", "a.parquet", "c.jsonl", "README.md"}),
              ElementsAre("a.parquet", "b.parquet"));
  EXPECT_THAT(Chosen({"c.jsonl", "d.jsonl.gz", "e.JSONL.zst", "f.ndjson", "g.json", "h.txt"}),
              ElementsAre("c.jsonl", "d.jsonl.gz", "e.JSONL.zst", "f.ndjson"));
  EXPECT_THAT(Chosen({"g.json", "h.json.gz", "t.txt", "dataset_infos.json"}),
              ElementsAre("g.json", "h.json.gz"));
  EXPECT_THAT(Chosen({"t.txt", "u.txt.zst", "LICENSE.txt", "requirements.txt"}),
              ElementsAre("t.txt", "u.txt.zst"));
  EXPECT_THAT(Chosen({".hidden/a.parquet", "__x/a.parquet", "a.jsonl"}), ElementsAre("a.jsonl"));
}

TEST(DataFilesTest, TakesTheSplitTrain) {
  EXPECT_THAT(
      Chosen({"data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet",
              "data/test-00000-of-00001.parquet", "data/validation.parquet"}),
      ElementsAre("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"));
  EXPECT_THAT(Chosen({"train/1.jsonl", "test/1.jsonl", "training/2.jsonl"}),
              ElementsAre("train/1.jsonl", "training/2.jsonl"));
  // The last word of a path counts, and only whole words do.
  EXPECT_THAT(Chosen({"train/dev.jsonl", "train/x.jsonl"}), ElementsAre("train/x.jsonl"));
  EXPECT_THAT(Chosen({"constraint.jsonl", "test.jsonl"}),
              ElementsAre("constraint.jsonl", "test.jsonl"));
  EXPECT_THAT(Chosen({"test.jsonl", "dev.jsonl"}), ElementsAre("dev.jsonl", "test.jsonl"));
}

TEST(DataFilesTest, SaysWhatItLeavesOut) {
  const Paths paths = {"a/test.jsonl", "a/train.jsonl", "b/train.jsonl", "c.txt"};
  const Result<DataFileChoice> choice = ChooseDataFiles(paths, At());
  ASSERT_TRUE(choice.ok());
  EXPECT_THAT(choice->paths, ElementsAre("a/train.jsonl", "b/train.jsonl"));
  EXPECT_THAT(choice->notices,
              ElementsAre(HasSubstr("takes 2 of 4 data files: *.jsonl of the split train; not "
                                    "a/test.jsonl, c.txt;"),
                          HasSubstr("takes files of 2 folders together: a (1), b (1);")));
  EXPECT_THAT(ChooseDataFiles({"README.md", "a.jsonl"}, At())->notices, IsEmpty());
}

TEST(DataFilesTest, Paths) {
  const Paths paths = {"README.md",         "a/test/x.parquet", "a/train/x.parquet",
                       "a/train/y.parquet", "w[1].jsonl",       "z.csv"};
  EXPECT_THAT(Chosen(paths, "README.md"), ElementsAre("README.md"));
  EXPECT_THAT(Chosen(paths, "w[1].jsonl"), ElementsAre("w[1].jsonl"));
  EXPECT_THAT(Chosen(paths, "a"), ElementsAre("a/train/x.parquet", "a/train/y.parquet"));
  EXPECT_THAT(Chosen(paths, "a/test"), ElementsAre("a/test/x.parquet"));
  EXPECT_THAT(Chosen(paths, "a/*/x.parquet"), ElementsAre("a/test/x.parquet", "a/train/x.parquet"));
  EXPECT_THAT(Chosen(paths, "**"), ElementsAreArray(Paths(paths.begin() + 1, paths.begin() + 5)));
}

TEST(DataFilesTest, NothingFits) {
  const Paths paths = {"README.md", "a.csv"};
  for (const char* path : {"", "b", "b*"}) {
    const Status status = ChooseDataFiles(paths, At(path)).status();
    EXPECT_EQ(status.code(), Code::kNotFound);
    EXPECT_THAT(status.message(), HasSubstr("it has 2 files: README.md, a.csv"));
  }
  EXPECT_THAT(ChooseDataFiles({}, At()).status().message(), HasSubstr("no files at all"));
  Paths many;
  for (int n = 10; n < 50; ++n) many.push_back(std::to_string(n) + ".csv");
  EXPECT_THAT(ChooseDataFiles(many, At()).status().message(), HasSubstr("17.csv and 32 more"));
}

}  // namespace
}  // namespace thresher
