#include "sample/record_content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace thresher {
namespace {

using testing::HasSubstr;

constexpr std::string_view kPairs = "[[[[1]], [[2]]], [[[3]], [[4]]]]";
constexpr std::string_view kTrain = R"("train": [{"input": [[1]], "output": [[2]]}])";
constexpr std::string_view kTest = R"("test": [{"input": [[3]], "output": [[4]]}])";

ContentOptions Options(const std::string& column = "", const std::string& code_column = "") {
  return {.column = column,
          .code_column = code_column,
          .vocabulary_size = 512,
          .max_record_bytes = 1'000'000};
}

RecordContent Read(const std::string& record, const ContentOptions& options = Options()) {
  const Result<RecordContent> content = ReadContent({.text = record}, options);
  EXPECT_TRUE(content.ok()) << content.status().message();
  return content.ok() ? *content : RecordContent();
}

std::string ErrorOf(const std::string& record, const ContentOptions& options = Options()) {
  const Result<RecordContent> content = ReadContent({.text = record}, options);
  return content.ok() ? "none" : content.status().message();
}

std::string Object(std::initializer_list<std::string_view> members) {
  std::string text = "{";
  for (const std::string_view member : members) {
    if (text.size() > 1) text += ", ";
    text += member;
  }
  return text + "}";
}

TEST(RecordContentTest, ArcTasksInBothLayoutsAreTheSame) {
  const RecordContent published = Read(Object({R"("task_id": "a")", kTrain, kTest}));
  EXPECT_TRUE(published.IsArc());
  EXPECT_EQ(published.key, "a");
  const RecordContent pairs = Read(Object({R"("examples": )" + std::string(kPairs)}));
  EXPECT_EQ(pairs.field, "examples");
  EXPECT_EQ(std::get<ArcContent>(pairs.value).task, std::get<ArcContent>(published.value).task);
}

TEST(RecordContentTest, ColumnDecidesByItsValue) {
  const auto with_column = [](std::string_view value) {
    return Read(R"({"text": "other", "c": )" + std::string(value) + "}", Options("c"));
  };
  EXPECT_EQ(std::get<TextContent>(with_column("\"hi\"").value).text, "hi");
  EXPECT_EQ(std::get<TokenIdsContent>(with_column("[7, 8]").value).token_ids,
            (std::vector<int32_t>{7, 8}));
  const RecordContent messages = with_column(R"([ {"role": "user", "content": "x", "a": [1]} ])");
  const auto& list = std::get<MessagesContent>(messages.value).messages;
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].role, "user");
  EXPECT_EQ(list[0].json, R"({"role": "user", "content": "x", "a": [1]} )");
  EXPECT_TRUE(with_column(kPairs).IsArc());
  EXPECT_TRUE(with_column(Object({kTrain, kTest})).IsArc());
  EXPECT_TRUE(Read(Object({R"("text": "x")", kTrain, kTest}), Options("train")).IsArc());
}

TEST(RecordContentTest, WrongColumns) {
  const std::string record = R"({"a": 5, "b": null, "c": [], "d": [null], "e": {"train": 1}})";
  EXPECT_EQ(ErrorOf(record, Options("x")),
            "field 'x' (--column) does not exist; the fields are 'a', 'b' (null), 'c', 'd', 'e'");
  EXPECT_EQ(ErrorOf(record, Options("b")),
            "field 'b' (--column) is null; the fields are 'a', 'b' (null), 'c', 'd', 'e'");
  const std::string kinds =
      ": expected a string, or a list of integers, of messages or of [input, output] pairs, found ";
  EXPECT_EQ(ErrorOf(record, Options("a")), "field 'a'" + kinds + "5");
  for (const std::string column : {"c", "d", "e"}) {
    EXPECT_THAT(ErrorOf(record, Options(column)), HasSubstr("field '" + column + "'" + kinds));
  }
  EXPECT_EQ(ErrorOf(R"({"c": [1, 512]})", Options("c")),
            "field 'c'[1]: expected an integer from 0 to 511 (the model's vocabulary), found 512");
  EXPECT_EQ(ErrorOf(R"({"c": [{"content": "x"}]})", Options("c")),
            "c[0]: field 'role': expected a string, found nothing");
}

TEST(RecordContentTest, WrongGrids) {
  const auto pairs = [](const std::string& grid) {
    return ErrorOf(R"({"examples": [[[[1]], [[2]]], [)" + grid + ", [[1]]]]}");
  };
  EXPECT_EQ(pairs("[[1, 2], [3]]"), "examples[1][0] row 2: expected 2 cells as in row 1, found 1");
  EXPECT_EQ(pairs("[[1.5]]"),
            "examples[1][0] row 1 cell 1: expected an integer from 0 to 9, found 1.5");
  EXPECT_EQ(pairs("[[10]]"),
            "examples[1][0] row 1 cell 1: expected an integer from 0 to 9, found 10");
  EXPECT_EQ(pairs("[[-1]]"),
            "examples[1][0] row 1 cell 1: expected an integer from 0 to 9, found -1");
  EXPECT_EQ(pairs("[]"), "examples[1][0]: expected 1 to 30 rows, found 0");
  EXPECT_EQ(pairs("[[]]"), "examples[1][0] row 1: expected 1 to 30 cells, found 0");
  EXPECT_THAT(ErrorOf(R"({"examples": []})"), HasSubstr("examples"));
  EXPECT_THAT(ErrorOf(R"({"c": {"train": [], "test": []}})", Options("c")),
              HasSubstr("field 'c': field 'train': expected a list"));
}

TEST(RecordContentTest, Programs) {
  const std::string examples = R"("examples": )" + std::string(kPairs);
  const auto code = [&](std::initializer_list<std::string_view> fields,
                        const std::string& column = "") {
    std::string record = "{" + examples;
    for (const std::string_view field : fields) record += ", " + std::string(field);
    return std::get<ArcContent>(Read(record + "}", Options("", column)).value);
  };
  EXPECT_EQ(code({R"("source": "s")", R"("code": "c")"}).code, "c");
  EXPECT_EQ(code({R"("source": "s")"}).code, "s");
  EXPECT_EQ(code({R"("source": "s")", R"("mine": "m")"}, "mine").code, "m");
  EXPECT_EQ(code({R"("code": 5)"}).code, std::nullopt);
  EXPECT_EQ(code({R"("code": "c")"}, "mine").why_no_code,
            "the record has no program: no string in field 'mine' (--code-column); its fields are "
            "'code', 'examples'");
}

TEST(RecordContentTest, PlainText) {
  const std::string text = "{not json, and not to be read as such\n";
  const Result<RecordContent> content = ReadContent({.text = text, .is_json = false}, Options());
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(std::get<TextContent>(content->value).text, text);
  EXPECT_EQ(content->key, "");
  const auto error = [](const Record& record, const ContentOptions& options) {
    return ReadContent(record, options).status().message();
  };
  EXPECT_EQ(error({.text = "a\xff", .is_json = false}, Options()),
            "not valid UTF-8 at byte offset 1 (byte 0xff)");
  EXPECT_EQ(error({.text = "abc", .is_json = false}, Options("c")),
            "plain text has no field 'c' (--column); leave --column away");
  ContentOptions options = Options();
  options.max_record_bytes = 2;
  EXPECT_EQ(error({.text = "abc", .is_json = false}, options),
            "a document of 3 bytes is longer than the limit of 2");
}

TEST(RecordContentTest, RecordsThatAreTooLongToBeRead) {
  EXPECT_EQ(ReadContent({.text = "", .unread_bytes = 100'000'000}, Options()).status().message(),
            "a record of 100000000 bytes is longer than the limit of 1000000");
}

}  // namespace
}  // namespace thresher
