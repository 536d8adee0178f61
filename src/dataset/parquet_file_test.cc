#include "dataset/parquet_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/random.h"
#include "base/source_folder_for_test.h"
#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;

// tests/data/parquet, made by scripts/make_parquet_test_data.py.
std::string DataPath(const std::string& name) {
  return SourceFolderForTest() / "tests" / "data" / "parquet" / name;
}

// Bytes in memory that are handed out by Read only, like those of an object store.
class TextSource : public ByteSource {
 public:
  TextSource(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {}

  const std::string& name() const override { return name_; }
  int64_t bytes() const override { return static_cast<int64_t>(text_.size()); }
  Status Read(int64_t offset, std::span<std::byte> to) const override {
    if (failing) return Unavailable("the network is gone");
    const auto begin = static_cast<size_t>(offset);
    THRESHER_CHECK(begin <= text_.size() && to.size() <= text_.size() - begin);
    std::memcpy(to.data(), text_.data() + begin, to.size());
    ++reads;
    bytes_read += to.size();
    return OkStatus();
  }

  mutable std::atomic<int64_t> reads = 0;
  mutable std::atomic<int64_t> bytes_read = 0;
  std::atomic<bool> failing = false;

 private:
  const std::string name_;
  const std::string text_;
};

std::shared_ptr<TextSource> SourceOf(const std::string& name) {
  return std::make_shared<TextSource>(name, ReadFileForTest(DataPath(name)));
}

ParquetFile Opened(std::shared_ptr<const ByteSource> source,
                   const std::vector<std::string>& columns = {}) {
  Result<ParquetFile> file = ParquetFile::Open(std::move(source), columns);
  if (!file.ok()) ADD_FAILURE() << file.status().message();
  return std::move(file).value();
}

std::vector<std::string> Rows(const ParquetFile& file, int64_t first, int64_t count) {
  const Result<std::vector<std::string>> rows = file.ReadRows(first, count);
  EXPECT_TRUE(rows.ok()) << rows.status().message();
  return rows.ok() ? *rows : std::vector<std::string>();
}

std::vector<std::string> ExpectedRows(const std::string& name) {
  std::istringstream lines(ReadFileForTest(DataPath(name + ".jsonl")));
  std::vector<std::string> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(line);
  return rows;
}

// Equal as JSON, with the members in the same order: Python and Rust write some floats and
// characters in different ways.
void ExpectSameRow(const std::string& row, const std::string& expected) {
  const auto parsed = nlohmann::ordered_json::parse(row, nullptr, false);
  EXPECT_EQ(parsed.dump(), nlohmann::ordered_json::parse(expected).dump()) << row;
}

class ParquetFilesTest : public testing::TestWithParam<const char*> {};

TEST_P(ParquetFilesTest, GivesTheRowsThatPythonWrote) {
  const std::string name = GetParam();
  const std::vector<std::string> expected = ExpectedRows(name);
  Result<MappedFile> mapped = MappedFile::Open(DataPath(name + ".parquet"));
  ASSERT_TRUE(mapped.ok());
  const ParquetFile local = Opened(std::make_shared<MappedSource>(std::move(*mapped)));
  const ParquetFile remote = Opened(SourceOf(name + ".parquet"));
  ASSERT_EQ(local.row_count(), static_cast<int64_t>(expected.size()));
  const std::vector<std::string> rows = Rows(local, 0, local.row_count());
  ASSERT_EQ(rows.size(), expected.size());
  for (size_t i = 0; i < rows.size(); ++i) ExpectSameRow(rows[i], expected[i]);
  EXPECT_EQ(Rows(remote, 0, remote.row_count()), rows);
}

TEST_P(ParquetFilesTest, EveryRangeGivesTheSameRows) {
  const ParquetFile file = Opened(SourceOf(GetParam() + std::string(".parquet")));
  const std::vector<std::string> rows = Rows(file, 0, file.row_count());
  for (int64_t first = 0; first <= file.row_count(); ++first) {
    for (const int64_t wanted : {0, 1, 2, 7, 25}) {
      const int64_t count = std::min(wanted, file.row_count() - first);
      const auto begin = rows.begin() + first;
      EXPECT_EQ(Rows(file, first, count), std::vector<std::string>(begin, begin + count));
    }
  }
}

TEST_P(ParquetFilesTest, RowGroupsCoverTheFile) {
  const ParquetFile file = Opened(SourceOf(GetParam() + std::string(".parquet")));
  int64_t end = 0;
  for (const ParquetFile::RowGroup& group : file.row_groups()) {
    EXPECT_EQ(group.begin, end);
    end += group.count;
  }
  EXPECT_EQ(end, file.row_count());
}

INSTANTIATE_TEST_SUITE_P(All, ParquetFilesTest,
                         testing::Values("none", "snappy", "gzip", "lz4", "zstd", "brotli", "types",
                                         "nested", "arc", "empty", "no_columns"));

TEST(ParquetFileTest, NumbersAreExact) {
  const ParquetFile file = Opened(SourceOf("types.parquet"), {"i64", "u64", "f32", "f64"});
  EXPECT_THAT(
      Rows(file, 0, 4),
      ElementsAre(
          R"({"i64":-9223372036854775808,"u64":18446744073709551615,"f32":0.25,"f64":0.1})",
          R"({"i64":null,"u64":null,"f32":null,"f64":null})",
          R"({"i64":null,"u64":null,"f32":null,"f64":null})",
          R"({"i64":9223372036854775807,"u64":9007199254740993,"f32":-1.5e30,"f64":null})"));
}

TEST(ParquetFileTest, TellsColumnsAndTheirTypes) {
  const ParquetFile file = Opened(SourceOf("nested.parquet"));
  std::vector<std::string> columns;
  for (const auto& [name, type] : file.columns()) columns.push_back(name + " " + type);
  EXPECT_THAT(columns,
              ElementsAre("grid list<list<int64>>", "point struct<x: int32, y: list<string>>",
                          "points list<struct<x: int32, y: list<string>>>",
                          "counts map<string, int64>", "names map<int64, list<string>>"));
  EXPECT_EQ(Opened(SourceOf("arc.parquet")).columns()[0].type, "list<list<list<list<int64>>>>");
}

TEST(ParquetFileTest, ReadsOnlyTheChosenColumns) {
  const std::shared_ptr<TextSource> source = SourceOf("arc.parquet");
  const ParquetFile file = Opened(source, {"task_id", "nosuch"});
  EXPECT_EQ(file.columns().size(), 3u);
  EXPECT_EQ(Rows(file, 9, 1), std::vector<std::string>{R"({"task_id":"task-0009"})"});
  const ParquetFile none = Opened(source, {"nosuch", "\xff"});
  EXPECT_EQ(Rows(none, 28, 2), std::vector<std::string>(2, "{}"));
}

// A file of an object store that is longer than what opening it fetches.
TEST(ParquetFileTest, FetchesOnlyWhatIsNeeded) {
  // The column data stand first in the file; a gap that no column uses moves the footer away.
  const std::string text = ReadFileForTest(DataPath("arc.parquet"));
  const auto footer =
      static_cast<size_t>(*reinterpret_cast<const uint32_t*>(&text[text.size() - 8]));
  const size_t footer_begin = text.size() - 8 - footer;
  const auto source = std::make_shared<TextSource>(
      "far.parquet",
      text.substr(0, footer_begin) + std::string(1 << 20, 'x') + text.substr(footer_begin));
  const ParquetFile file = Opened(source);
  EXPECT_EQ(source->reads, 1);
  EXPECT_LE(source->bytes_read, 1 << 16);
  source->bytes_read = 0;
  EXPECT_EQ(Rows(file, 0, 30).size(), 30u);
  EXPECT_EQ(source->reads, 1 + 4) << "one for each row group: its columns lie side by side";
  EXPECT_LE(source->bytes_read, static_cast<int64_t>(footer_begin));
}

TEST(ParquetFileTest, ErrorsOfTheSourceComeThrough) {
  const std::shared_ptr<TextSource> source = SourceOf("arc.parquet");
  const ParquetFile file = Opened(source);
  source->failing = true;
  const Status status = file.ReadRows(0, 3).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.message(), "the network is gone");
  EXPECT_EQ(ParquetFile::Open(source, {}).status().code(), Code::kUnavailable);
}

Status OpenStatus(const std::string& text) {
  return ParquetFile::Open(std::make_shared<TextSource>("tasks.parquet", text), {}).status();
}

TEST(ParquetFileTest, SaysWhatIsWrongWithAFile) {
  const std::string text = ReadFileForTest(DataPath("snappy.parquet"));
  const Status cut = OpenStatus(text.substr(0, text.size() / 2));
  EXPECT_EQ(cut.code(), Code::kDataLoss);
  EXPECT_THAT(cut.message(),
              StartsWith("tasks.parquet: the file is cut off: it begins as Parquet"));
  EXPECT_EQ(OpenStatus("").code(), Code::kDataLoss);
  const Status other = OpenStatus(R"({"this": "is JSON, not Parquet"})");
  EXPECT_EQ(other.code(), Code::kInvalidArgument);
  EXPECT_THAT(other.message(), StartsWith("tasks.parquet: this is no Parquet file"));
  const Status encrypted = OpenStatus(text.substr(0, text.size() - 1) + "E");
  EXPECT_EQ(encrypted.code(), Code::kInvalidArgument);
  EXPECT_THAT(encrypted.message(), HasSubstr("encrypted"));
  std::string long_footer = text;
  long_footer[text.size() - 5] = '\x7f';
  EXPECT_THAT(OpenStatus(long_footer).message(), HasSubstr("its footer has"));
}

// A footer of a schema with `levels` groups within each other, in Thrift's compact protocol.
std::string DeepFile(int levels) {
  std::string footer = "\x15\x02";  // field 1: version 1
  footer += "\x19\xfc";             // field 2: a list of structures, with a length
  const auto add_varint = [&](uint32_t value) {
    for (; value >= 0x80; value >>= 7) footer += static_cast<char>(value | 0x80);
    footer += static_cast<char>(value);
  };
  add_varint(static_cast<uint32_t>(levels));
  for (int i = 0; i < levels; ++i) {
    footer += std::string("\x48\x01g\x15\x02\x00", 6);  // field 4: name "g"; field 5: 1 child
  }
  footer += std::string("\x16\x00\x19\x0c\x00", 5);  // field 3: no rows; field 4: no row groups
  const auto length = static_cast<uint32_t>(footer.size());
  return "PAR1" + footer + std::string(reinterpret_cast<const char*>(&length), 4) + "PAR1";
}

TEST(ParquetFileTest, ASchemaCannotExhaustTheStack) {
  EXPECT_THAT(OpenStatus(DeepFile(1000000)).message(), HasSubstr("more than 64 levels"));
}

TEST(ParquetFileTest, ManyThreadsShareOne) {
  const ParquetFile file = Opened(SourceOf("nested.parquet"));
  const std::vector<std::string> rows = Rows(file, 0, file.row_count());
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) count += *file.ReadRows(0, file.row_count()) != rows;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

// Opens and reads damaged bytes. Whatever comes out is whole JSON; an error names the file.
void TryDamaged(const std::string& text) {
  const auto check = [](const Status& status) {
    EXPECT_TRUE(status.code() == Code::kDataLoss || status.code() == Code::kInvalidArgument)
        << status.message();
    EXPECT_THAT(status.message(), StartsWith("tasks.parquet: "));
  };
  const Result<ParquetFile> file =
      ParquetFile::Open(std::make_shared<TextSource>("tasks.parquet", text), {});
  if (!file.ok()) return check(file.status());
  for (const ParquetFile::RowGroup& group : file->row_groups()) {
    const int64_t count = std::min<int64_t>(group.count, 100);
    const Result<std::vector<std::string>> rows = file->ReadRows(group.begin, count);
    if (!rows.ok()) {
      check(rows.status());
      continue;
    }
    EXPECT_EQ(static_cast<int64_t>(rows->size()), count);
    for (const std::string& row : *rows) EXPECT_TRUE(Json::accept(row)) << row;
  }
}

TEST(ParquetFileFuzzTest, DamagedFilesAreErrorsOrRows) {
  Random random(20261123);
  for (const char* const name :
       {"none", "snappy", "gzip", "lz4", "zstd", "brotli", "types", "nested", "arc", "empty"}) {
    SCOPED_TRACE(name);
    const std::string valid = ReadFileForTest(DataPath(name + std::string(".parquet")));
    for (int round = 0; round < 100; ++round) {
      std::string text = valid;
      // Half of the damage goes into the footer, the other half anywhere.
      const size_t begin = round % 2 == 0 ? text.size() - std::min<size_t>(text.size(), 700) : 0;
      for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
        text[begin + random.Below(text.size() - begin)] = static_cast<char>(random.Next());
      }
      TryDamaged(text);
    }
    for (int round = 0; round < 20; ++round) {
      TryDamaged(valid.substr(0, random.Below(valid.size())));
      // Cut in the middle, so that the end is still there.
      const size_t at = random.Below(valid.size());
      TryDamaged(valid.substr(0, at) + valid.substr(at + random.Below(valid.size() - at)));
    }
  }
}

}  // namespace
}  // namespace thresher
