#include "dataset/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>

#include "base/random.h"
#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

struct Line {
  std::string text;
  int64_t number;
  bool operator==(const Line&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Line& line) {
  return out << line.number << ":'" << line.text << "'";
}

// The slow, obvious twin of the index: one byte after the other.
std::vector<Line> LinesOf(std::string text) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.erase(0, 3);
  std::vector<Line> lines;
  int64_t number = 0;
  std::string current;
  const auto finish = [&] {
    ++number;
    bool blank = true;
    for (const char c : current) blank = blank && (c == ' ' || c == '\t' || c == '\r');
    if (!current.empty() && current.back() == '\r') current.pop_back();
    if (!blank) lines.push_back({current, number});
    current.clear();
  };
  for (const char c : text) {
    if (c == '\n') {
      finish();
    } else {
      current += c;
    }
  }
  if (!current.empty()) finish();
  return lines;
}

std::vector<Line> LinesOf(const Dataset& dataset) {
  std::vector<Line> lines;
  const Records records = dataset.Read(0, dataset.record_count()).value();
  for (int64_t i = 0; i < records.count(); ++i) {
    const std::string location = records.Location(i);
    const std::string prefix = dataset.address() + ":";
    EXPECT_TRUE(location.starts_with(prefix));
    lines.push_back({std::string(records[i].text), std::stoll(location.substr(prefix.size()))});
  }
  return lines;
}

TEST(DatasetTest, LineEndsBlankLinesAndByteOrderMark) {
  const TemporaryFolder folder;
  const std::string text = "\xef\xbb\xbf{1}\r\n\n \t\r\n  {2}  \n{3}";
  const Result<Dataset> dataset = Dataset::Open(folder.Write("d.jsonl", text));
  ASSERT_TRUE(dataset.ok()) << dataset.status().message();
  const std::vector<Line> expected = {{"{1}", 1}, {"  {2}  ", 4}, {"{3}", 5}};
  EXPECT_EQ(LinesOf(*dataset), expected);
  EXPECT_EQ(LinesOf(text), expected);
}

TEST(DatasetTest, FingerprintIsOfTheRecordsAlone) {
  const TemporaryFolder folder;
  const auto fingerprint = [&](const std::string& text, int64_t count) {
    return Dataset::Open(folder.Write("d.jsonl", text))->FingerprintOfFirst(count).value();
  };
  const std::string base = fingerprint("{1}\n{2}\n", 2);
  EXPECT_EQ(fingerprint("\r\n{1}\r\n\n{2}", 2), base) << "ends of lines and blank lines";
  EXPECT_EQ(fingerprint("{1}\n{2}\n{3}\n", 2), base) << "what follows";
  EXPECT_NE(fingerprint("{1}\n{2}\n{3}\n", 3), base);
  EXPECT_NE(fingerprint("{1}\n", 1), base);
  EXPECT_NE(fingerprint("{2}\n{1}\n", 2), base);
  EXPECT_NE(fingerprint("{1}{\n2}\n", 2), base) << "where a record ends";
}

TEST(DatasetTest, RandomFilesAgreeWithTheObviousReader) {
  Random random(7);
  const TemporaryFolder folder;
  const std::string alphabet = "ab \t\r\n\n\xef\xbb\xbf";
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (uint64_t n = random.Below(40); n > 0; --n) text += alphabet[random.Below(alphabet.size())];
    const Result<Dataset> dataset = Dataset::Open(folder.Write("d.jsonl", text));
    const std::vector<Line> expected = LinesOf(text);
    ASSERT_EQ(dataset.ok(), !expected.empty());
    if (!dataset.ok()) continue;
    ASSERT_EQ(LinesOf(*dataset), expected);
  }
}

TEST(DatasetTest, FilesWithoutRecordsAreRefused) {
  const TemporaryFolder folder;
  for (const std::string text : {"", "\n", " \t\r\n\r\n", "\xef\xbb\xbf", "\xef\xbb\xbf\n"}) {
    const std::string path = folder.Write("d.jsonl", text);
    const Result<Dataset> dataset = Dataset::Open(path);
    ASSERT_FALSE(dataset.ok());
    EXPECT_EQ(dataset.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(dataset.status().message(),
              path + (text.empty() ? " is empty" : " holds nothing but blank lines") +
                  "; expected JSONL, one record a line");
  }
  EXPECT_EQ(Dataset::Open(folder.path() + "/none").status().code(), Code::kNotFound);
  EXPECT_EQ(Dataset::Open(folder.path()).status().code(), Code::kInvalidArgument);
}

TEST(DatasetTest, RecordsStayValidWhenItMoves) {
  const TemporaryFolder folder;
  Result<Dataset> opened = Dataset::Open(folder.Write("d.jsonl", "one\ntwo\n"));
  const Records records = opened->Read(1, 1).value();
  const Dataset moved = std::move(opened).value();
  EXPECT_EQ(records[0].text, "two");
}

}  // namespace
}  // namespace thresher
