#include "dataset/record_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "base/json.h"
#include "base/random.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TextSource : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  const std::string& name() const override { return name_; }
  int64_t bytes() const override { return static_cast<int64_t>(text_.size()); }
  Status Read(int64_t offset, std::span<std::byte> to) const override {
    if (fails) return Unavailable("no luck");
    const auto begin = static_cast<size_t>(offset);
    THRESHER_CHECK(begin + to.size() <= text_.size());
    std::ranges::copy(std::as_bytes(std::span(text_)).subspan(begin, to.size()), to.begin());
    return OkStatus();
  }
  bool fails = false;

 private:
  const std::string name_ = "d";
  const std::string text_;
};

struct Found {
  int64_t line;
  std::string text;
  int64_t bytes;
  int64_t begin;
  int64_t end;
  bool operator==(const Found&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Found& found) {
  return out << found.line << ":'" << found.text << "' " << found.begin << "-" << found.end;
}

std::vector<Found> Scan(RecordKind kind, const std::string& text, ScanRange range,
                        const TextRules& rules = {}, Status* status = nullptr) {
  const TextSource source(text);
  const auto scanner = NewRecordScanner(kind, source, range, rules);
  std::vector<Found> found;
  ScannedRecord record;
  while (scanner->Next(record)) {
    if (!record.text.empty()) {
      EXPECT_EQ(record.hash, HashOf(record.text));
    }
    found.push_back(
        {record.line, std::string(record.text), record.bytes, record.begin, record.end});
  }
  if (status != nullptr) {
    *status = scanner->status();
  } else {
    EXPECT_TRUE(scanner->status().ok()) << scanner->status().message();
  }
  return found;
}

ScanRange All(const std::string& text, int64_t step = 1 << 20, int64_t limit = 1 << 20) {
  const auto bytes = static_cast<int64_t>(text.size());
  return {.begin = 0,
          .end = bytes,
          .limit = bytes,
          .begins_at_record = true,
          .step_bytes = step,
          .text_limit_bytes = limit};
}

std::vector<std::string> Texts(RecordKind kind, const std::string& text,
                               const TextRules& rules = {}, Status* status = nullptr) {
  std::vector<std::string> texts;
  for (const Found& found : Scan(kind, text, All(text), rules, status)) {
    texts.push_back(found.text);
  }
  return texts;
}

std::string RandomText(Random& random, std::string_view alphabet, uint64_t longest) {
  std::string text;
  for (uint64_t n = random.Below(longest); n > 0; --n) {
    text += alphabet[random.Below(alphabet.size())];
  }
  return text;
}

TEST(LineScannerTest, SmallStepsLongLinesAndPiecesGiveTheSame) {
  Random random(11);
  for (int round = 0; round < 3000; ++round) {
    std::string text = RandomText(random, "ab \t\r\n\n", 60);
    if (random.Below(8) == 0) text.insert(0, kByteOrderMark);
    const std::vector<Found> expected = Scan(RecordKind::kJsonLines, text, All(text));
    const auto step = static_cast<int64_t>(1 + random.Below(7));
    ASSERT_EQ(Scan(RecordKind::kJsonLines, text, All(text, step)), expected);

    // Texts over the limit are measured and hashed all the same.
    const TextSource source(text);
    const auto limit = static_cast<int64_t>(random.Below(6));
    const auto scanner =
        NewRecordScanner(RecordKind::kJsonLines, source, All(text, step, limit), {});
    ScannedRecord record;
    for (const Found& found : expected) {
      ASSERT_TRUE(scanner->Next(record));
      ASSERT_EQ(record.bytes, found.bytes);
      ASSERT_EQ(record.hash, HashOf(found.text)) << found.text;
      ASSERT_EQ(record.text, found.bytes <= limit ? found.text : "");
      ASSERT_EQ(record.end, found.end);
    }
    ASSERT_FALSE(scanner->Next(record));

    // Cut anywhere, every line is found exactly once.
    std::vector<Found> joined;
    int64_t lines = 0;
    const auto bytes = static_cast<int64_t>(text.size());
    for (int64_t begin = 0; begin < bytes;) {
      const int64_t end = std::min(bytes, begin + 1 + static_cast<int64_t>(random.Below(20)));
      ScanRange range = All(text, step);
      range.begin = std::max<int64_t>(0, begin - 1);
      range.end = end;
      range.begins_at_record = begin == 0;
      const auto piece = NewRecordScanner(RecordKind::kJsonLines, source, range, {});
      while (piece->Next(record)) {
        joined.push_back({lines + record.line, std::string(record.text), record.bytes, record.begin,
                          record.end});
      }
      lines += piece->line_count();
      begin = end;
    }
    ASSERT_EQ(joined, expected) << testing::PrintToString(text);
  }
}

TEST(JsonValueScannerTest, Arrays) {
  EXPECT_THAT(
      Texts(RecordKind::kJsonArray, "\xef\xbb\xbf [ {\"a\": [1, {}]} ,\n{\"b\":\"]}\\\"\"}\n]\n"),
      ElementsAre("{\"a\": [1, {}]}", "{\"b\":\"]}\\\"\"}"));
  EXPECT_THAT(Texts(RecordKind::kJsonArray, "[]"), ElementsAre());
  EXPECT_THAT(Texts(RecordKind::kJsonValues, "{\n}\n {} {\"x\":1}"),
              ElementsAre("{\n}", "{}", "{\"x\":1}"));
}

TEST(JsonValueScannerTest, ErrorsNameTheLine) {
  const auto error = [](const std::string& text, RecordKind kind = RecordKind::kJsonArray) {
    Status status;
    (void)Texts(kind, text, {}, &status);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << text;
    return status.message();
  };
  EXPECT_THAT(error("[{},\n 3]"), HasSubstr("d:2: expected a record"));
  EXPECT_THAT(error("[{}\n{}]"), HasSubstr("d:2: expected a record"));
  EXPECT_THAT(error("[{},]"), HasSubstr("expected a record"));
  EXPECT_THAT(error("[{}"), HasSubstr("does not end"));
  EXPECT_THAT(error("[{}, {\"a\": "), HasSubstr("does not end"));
  EXPECT_THAT(error("[{}]\n\nx"), HasSubstr("d:3: something follows"));
  EXPECT_THAT(error("{}\n7", RecordKind::kJsonValues), HasSubstr("d:2: expected a record"));
}

TEST(JsonValueScannerTest, RandomObjectsAgreeWithAParser) {
  Random random(13);
  for (int round = 0; round < 1000; ++round) {
    nlohmann::json array = nlohmann::json::array();
    std::string text = "[";
    for (uint64_t n = random.Below(5); n > 0; --n) {
      const nlohmann::json object = {{RandomText(random, "ab\"\\{}[]\n", 6), random.Below(9)},
                                     {"x", {RandomText(random, "{}\"\\", 5), {1, 2}}}};
      if (!array.empty()) text += RandomText(random, " \n", 3) + "," + RandomText(random, " \n", 3);
      text += object.dump(random.Below(2) == 0 ? -1 : 1);
      array.push_back(object);
    }
    text += "]";
    std::vector<nlohmann::json> expected = array;
    std::vector<nlohmann::json> found;
    const auto step = static_cast<int64_t>(1 + random.Below(9));
    for (const Found& one : Scan(RecordKind::kJsonArray, text, All(text, step))) {
      found.push_back(ParseJson(one.text).value());
    }
    ASSERT_EQ(found, expected);
  }
}

TEST(JsonValueScannerTest, HostileBytesEnd) {
  Random random(17);
  for (int round = 0; round < 5000; ++round) {
    const std::string text = RandomText(random, "[]{},\"\\ \nx", 30);
    Status ignored;
    (void)Scan(RecordKind::kJsonArray, text, All(text, 3, 4), {}, &ignored);
    (void)Scan(RecordKind::kJsonValues, text, All(text, 3, 4), {}, &ignored);
  }
}

TextRules Rules(const std::string& documents, int64_t piece_bytes = 1 << 16) {
  return TextRules::Parse(documents, piece_bytes).value();
}

TEST(TextScannerTest, Documents) {
  const auto texts = [](const std::string& documents, const std::string& text, int64_t piece) {
    return Texts(RecordKind::kText, text, Rules(documents, piece));
  };
  EXPECT_THAT(texts("file", "\xef\xbb\xbf\n\n one\n\ntwo \n\n", 99), ElementsAre(" one\n\ntwo"));
  EXPECT_THAT(texts("line", "one\r\n\n  \ntwo", 99), ElementsAre("one", "two"));
  EXPECT_THAT(texts("paragraph", "one\ntwo\n \r\n\nthree\n", 99), ElementsAre("one\ntwo", "three"));
  EXPECT_THAT(texts("separator:<|end|>", "one\n<|end|>\n<|end|> \ntwo<|end|>", 99),
              ElementsAre("one", "two"));
  EXPECT_THAT(texts("separator:\\n--\\n", "one\n--\n\n--\ntwo -- x", 99),
              ElementsAre("one", "two -- x"));
  EXPECT_THAT(texts("file", " \n\n", 99), ElementsAre());
}

TEST(TextScannerTest, LongDocumentsAreCut) {
  const auto texts = [](const std::string& text) {
    return Texts(RecordKind::kText, text, Rules("file", 16));
  };
  EXPECT_THAT(texts("aaaa\n\nbbbb\ncccc dddd"), ElementsAre("aaaa", "bbbb\ncccc dddd"));
  EXPECT_THAT(texts("aaaa bbbb\ncccc dddd"), ElementsAre("aaaa bbbb", "cccc dddd"));
  EXPECT_THAT(texts("aaaa bbbb cccc dddd"), ElementsAre("aaaa bbbb cccc", "dddd"));
  EXPECT_THAT(texts(std::string(20, 'a')), ElementsAre(std::string(16, 'a'), "aaaa"));
  // Two bytes each: the ninth would be cut in two after an 'a'.
  EXPECT_THAT(texts("aäääääääää"), ElementsAre("aäääääää", "ää"));
}

TEST(TextScannerTest, AnyPieceIsWhereAScanCanBegin) {
  Random random(19);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = RandomText(random, "ab \n\n\r\xc3\xa4#", 120);
    const char* kinds[] = {"file", "line", "paragraph", "separator:#", "separator:\\n#"};
    const TextRules rules = Rules(kinds[random.Below(5)], 16);
    const std::vector<Found> all = Scan(RecordKind::kText, text, All(text), rules);
    ASSERT_EQ(Scan(RecordKind::kText, text, All(text, 1), rules), all);
    std::string joined;
    for (size_t i = 0; i < all.size(); ++i) {
      ASSERT_LE(all[i].bytes, 16);
      ASSERT_FALSE(all[i].text.empty());
      joined += all[i].text;
      ScanRange range = All(text, 5);
      range.begin = all[i].begin;
      range.end = all[i].end;
      const std::vector<Found> again = Scan(RecordKind::kText, text, range, rules);
      ASSERT_EQ(again.size(), 1U);
      ASSERT_EQ(again[0].text, all[i].text);
      ASSERT_EQ(all[i].line, std::count(text.begin(), text.begin() + all[i].begin, '\n'));
    }
    // Nothing but white space and separators is lost.
    const auto essence = [](std::string from) {
      std::erase_if(from, [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '#'; });
      return from;
    };
    ASSERT_EQ(essence(joined), essence(text));
  }
}

TEST(TextRulesTest, WhatCannotBeUnderstood) {
  EXPECT_FALSE(TextRules::Parse("chapter", 100).ok());
  EXPECT_FALSE(TextRules::Parse("separator:", 100).ok());
  EXPECT_FALSE(TextRules::Parse("separator:\\x", 100).ok());
  EXPECT_FALSE(TextRules::Parse("separator:\\", 100).ok());
  EXPECT_FALSE(TextRules::Parse("file", 1).ok());
  EXPECT_EQ(TextRules::Parse("separator:a\\n\\t\\\\", 100)->separator, "a\n\t\\");
}

TEST(RecordScannerTest, ErrorsOfTheSourceArePassedOn) {
  TextSource source("{}\n{}\n");
  source.fails = true;
  for (const RecordKind kind : {RecordKind::kJsonLines, RecordKind::kJsonArray,
                                RecordKind::kJsonValues, RecordKind::kText}) {
    const auto scanner =
        NewRecordScanner(kind, source, {.begin = 0, .end = 6, .limit = 6}, Rules("file"));
    ScannedRecord record;
    EXPECT_FALSE(scanner->Next(record));
    EXPECT_EQ(scanner->status().message(), "no luck");
  }
}

}  // namespace
}  // namespace thresher
