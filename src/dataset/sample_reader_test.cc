#include "dataset/sample_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "arc/arc_prompt.h"
#include "base/temporary_folder_for_test.h"
#include "text/tokenizer_data_for_test.h"
#include "text/utf8.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;
using Ids = std::vector<int32_t>;

constexpr std::string_view kTask =
    R"({"task_id": "t1", "train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]]}]})";

SampleReaderOptions TinyOptions() { return {.vocabulary_size = 512}; }

SampleReader Reader(const SampleReaderOptions& options = TinyOptions(),
                    const std::string& model_directory = TokenizerDataPath("tiny512")) {
  Result<SampleReader> reader = SampleReader::Create(model_directory, options);
  EXPECT_TRUE(reader.ok()) << reader.status().message();
  return std::move(reader).value();
}

// Reads one record, written as the second line of a file.
SampleOrRejection ReadOne(const SampleReader& reader, std::string_view record) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("d.jsonl", "\n" + std::string(record) + "\n");
  const Result<Dataset> dataset = Dataset::Open(path);
  EXPECT_TRUE(dataset.ok()) << dataset.status().message();
  SampleOrRejection read = reader.Read(*dataset, 0);
  if (auto* rejection = std::get_if<Rejection>(&read)) {
    EXPECT_TRUE(rejection->reason.starts_with(path + ":2: ")) << rejection->reason;
    EXPECT_TRUE(CheckUtf8(rejection->reason).ok());
    rejection->reason.erase(0, path.size() + 4);
  } else {
    EXPECT_FALSE(std::get<Sample>(read).token_ids.empty());
  }
  return read;
}

Sample ReadSample(const SampleReader& reader, std::string_view record) {
  const SampleOrRejection read = ReadOne(reader, record);
  if (const auto* rejection = std::get_if<Rejection>(&read)) {
    ADD_FAILURE() << rejection->reason;
    return {};
  }
  return std::get<Sample>(read);
}

// The reason without the place.
std::string Reason(const SampleReader& reader, std::string_view record) {
  const SampleOrRejection read = ReadOne(reader, record);
  const auto* rejection = std::get_if<Rejection>(&read);
  return rejection == nullptr ? "accepted" : rejection->reason;
}

Ids Encoded(const std::string& directory, std::string_view text, bool add_special_tokens) {
  return *Tokenizer::Load(directory)->Encode(text, add_special_tokens);
}

// A copy of tiny512 whose post-processor puts token 0 in front, with or without a chat template.
void WriteModelWithBos(const TemporaryFolder& folder, bool with_chat_template) {
  Json json = Json::parse(ReadFileForTest(TokenizerDataPath("tiny512/tokenizer.json")));
  const Json bos = {{"SpecialToken", {{"id", "<|endoftext|>"}, {"type_id", 0}}}};
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json tokens = {{"id", "<|endoftext|>"}, {"ids", {0}}, {"tokens", {"<|endoftext|>"}}};
  json["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", {bos, text}},
                            {"pair", {bos, text}},
                            {"special_tokens", {{"<|endoftext|>", tokens}}}};
  folder.Write("tokenizer.json", json.dump());
  if (with_chat_template) {
    folder.Write("chat_template.jinja",
                 "{% for m in messages %}[{{ m.content }}]{{ m | tojson }}{% endfor %}"
                 "{% if add_generation_prompt %}>{% endif %}");
  }
}

TEST(SampleReaderTest, TokenIdsAsTheyAre) {
  const Sample sample = ReadSample(Reader(), R"({"id": "x", "token_ids": [0, 511, 7]})");
  EXPECT_EQ(sample.token_ids, (Ids{0, 511, 7}));
  EXPECT_EQ(sample.key, "x");
  EXPECT_FALSE(sample.truncated);
}

TEST(SampleReaderTest, KeysOfRecords) {
  const SampleReader reader = Reader();
  EXPECT_EQ(ReadSample(reader, R"({"id": "a", "task_id": "b", "text": "t"})").key, "b");
  EXPECT_EQ(ReadSample(reader, R"({"id": 17, "task_id": null, "text": "t"})").key, "17");
  EXPECT_EQ(ReadSample(reader, R"({"text": "t"})").key, "");
  EXPECT_EQ(Reason(reader, R"({"id": [1], "text": "t"})"),
            "field 'id': expected a string or a number, found an array");
  EXPECT_EQ(Reason(reader, R"({"id": ")" + std::string(1025, 'i') + R"(", "text": "t"})"),
            "field 'id': expected at most 1024 bytes, found 1025");
}

TEST(SampleReaderTest, TextHasSpecialTokensAndRenderedChatHasOnlyItsOwn) {
  const TemporaryFolder folder;
  WriteModelWithBos(folder, /*with_chat_template=*/true);
  const SampleReader reader = Reader(TinyOptions(), folder.path());
  EXPECT_EQ(ReadSample(reader, R"({"text": "Hello world"})").token_ids,
            Encoded(folder.path(), "Hello world", true));
  EXPECT_EQ(ReadSample(reader, R"({"text": "Hello world"})").token_ids.front(), 0);
  // The members' order is that of the record, not of the alphabet.
  const std::string_view message = R"({"role": "user", "content": "Hi", "a": 1})";
  EXPECT_EQ(ReadSample(reader, "{\"messages\" : [" + std::string(message) + "] }").token_ids,
            Encoded(folder.path(), "[Hi]" + std::string(message) + ">", false));
}

TEST(SampleReaderTest, ArcTaskIsOneUserMessage) {
  const Sample sample = ReadSample(Reader(), kTask);
  const std::string prompt = ArcPrompt(*ParseArcTask(Json::parse(kTask)));
  EXPECT_EQ(sample.token_ids,
            Encoded(TokenizerDataPath("tiny512"),
                    "<|im_start|>user\n" + prompt + "<|im_end|>\n<|im_start|>assistant\n", false));
  EXPECT_EQ(sample.key, "t1");
}

TEST(SampleReaderTest, WithoutChatTemplate) {
  const TemporaryFolder folder;
  WriteModelWithBos(folder, /*with_chat_template=*/false);
  const SampleReader reader = Reader(TinyOptions(), folder.path());
  const std::string prompt = ArcPrompt(*ParseArcTask(Json::parse(kTask)));
  EXPECT_EQ(ReadSample(reader, kTask).token_ids, Encoded(folder.path(), prompt, true));
  EXPECT_THAT(Reason(reader, R"({"messages": [{"role": "user", "content": "Hi"}]})"),
              HasSubstr("field 'messages': the model has no chat template"));
}

TEST(SampleReaderTest, WithoutTokenizer) {
  const TemporaryFolder folder;
  const SampleReader reader = Reader(TinyOptions(), folder.path());
  EXPECT_EQ(ReadSample(reader, R"({"token_ids": [5]})").token_ids, Ids{5});
  EXPECT_THAT(Reason(reader, R"({"text": "a"})"), HasSubstr("the model has no tokenizer"));
  EXPECT_THAT(Reason(reader, kTask), HasSubstr("the model has no tokenizer"));
}

TEST(SampleReaderTest, BrokenModelFilesAreErrors) {
  const TemporaryFolder folder;
  folder.Write("tokenizer.json", "{}");
  EXPECT_EQ(SampleReader::Create(folder.path(), TinyOptions()).status().code(),
            Code::kInvalidArgument);
  WriteModelWithBos(folder, true);
  folder.Write("chat_template.jinja", "{% if %}");
  EXPECT_EQ(SampleReader::Create(folder.path(), TinyOptions()).status().code(),
            Code::kInvalidArgument);
}

TEST(SampleReaderTest, Overlong) {
  const std::string_view record = R"({"token_ids": [1, 2, 3, 4]})";
  SampleReaderOptions options = TinyOptions();
  options.max_tokens = 3;
  const Sample cut = ReadSample(Reader(options), record);
  EXPECT_EQ(cut.token_ids, (Ids{1, 2, 3}));
  EXPECT_TRUE(cut.truncated);
  options.overlong = Overlong::kReject;
  EXPECT_EQ(Reason(Reader(options), record), "4 tokens, more than the limit of 3");
  options.max_tokens = 4;
  EXPECT_FALSE(ReadSample(Reader(options), record).truncated);
}

TEST(SampleReaderTest, RecordsOfNoKindOrOfSeveral) {
  const SampleReader reader = Reader();
  const std::string kinds =
      "expected one of 'token_ids', 'text', 'messages', or 'train' with 'test' (an ARC task); ";
  EXPECT_EQ(Reason(reader, R"({"prompt": "a", "Text": null})"),
            "no known kind of record: " + kinds + "found 'Text' (null), 'prompt'");
  EXPECT_EQ(Reason(reader, "{}"), "no known kind of record: " + kinds + "found no fields");
  EXPECT_THAT(Reason(reader, R"({"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1})"),
              HasSubstr("'h' and 1 more"));
  EXPECT_EQ(Reason(reader, R"({"text": "a", "token_ids": [1]})"),
            "several kinds of record at once: " + kinds + "found 'text', 'token_ids'");
  EXPECT_THAT(Reason(reader, R"({"text": "a", "train": [], "test": []})"), HasSubstr("several"));
  // Columns that a data set leaves null, or that only look like half a task, do no harm.
  EXPECT_EQ(Reason(reader, R"({"text": "a", "messages": null, "test": true})"), "accepted");
  EXPECT_THAT(Reason(reader, R"({"train": [{"input": [[1]], "output": [[2]]}]})"),
              HasSubstr("field 'test': expected a list"));
}

TEST(SampleReaderTest, FieldsOfTheWrongKind) {
  const SampleReader reader = Reader();
  EXPECT_EQ(Reason(reader, R"({"text": 5})"), "field 'text': expected a string, found 5");
  EXPECT_EQ(Reason(reader, R"({"text": ""})"),
            "field 'text': expected at least one token, found none");
  EXPECT_EQ(Reason(reader, R"({"token_ids": []})"),
            "field 'token_ids': expected at least one token, found none");
  EXPECT_EQ(Reason(reader, R"({"token_ids": "12"})"),
            "field 'token_ids': expected a list of integers, found '12'");
  for (const std::string id : {"512", "-1", "1.0", "true", "18446744073709551615"}) {
    EXPECT_EQ(Reason(reader, R"({"token_ids": [3, )" + id + "]}"),
              "field 'token_ids'[1]: expected an integer from 0 to 511 (the model's vocabulary), "
              "found " +
                  id);
  }
  EXPECT_EQ(Reason(reader, R"({"messages": "Hi"})"),
            "field 'messages': expected a list of at least one {\"role\": .., \"content\": ..}, "
            "found 'Hi'");
  EXPECT_THAT(Reason(reader, R"({"messages": []})"), HasSubstr("field 'messages': expected"));
  EXPECT_THAT(Reason(reader, R"({"messages": [1]})"), HasSubstr("messages[0]: expected"));
  EXPECT_EQ(Reason(reader, R"({"messages": [{"role": "user", "content": "a"}, {"role": "user"}]})"),
            "messages[1]: field 'content': expected a string, found nothing");
  EXPECT_EQ(Reason(reader, R"({"train": [{"input": [[1, 2], [3]]}], "test": []})"),
            "train[0].input row 2: expected 2 cells as in row 1, found 1");
}

TEST(SampleReaderTest, LinesThatAreNotJsonObjects) {
  const SampleReader reader = Reader();
  EXPECT_EQ(Reason(reader, "[1]"), "expected a JSON object, found an array");
  EXPECT_THAT(Reason(reader, R"({"text": "a)"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Reason(reader, R"({"text": abc})"), HasSubstr("column 10 "));
  EXPECT_THAT(Reason(reader, R"({"text": "a"} x)"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Reason(reader, R"({"text": "\ud800"})"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Reason(reader, R"({"text": "a", "text": "b"})"), HasSubstr("'text' occurs twice"));
  EXPECT_THAT(Reason(reader, std::string("{\"text\": \"a\0b\"}", 15)), HasSubstr("not valid JSON"));
  EXPECT_EQ(Reason(reader, "{\"text\": \"\xff\"}"),
            "not valid UTF-8 at byte offset 10 (byte 0xff)");
}

TEST(SampleReaderTest, NestingBombs) {
  const SampleReader reader = Reader();
  for (const std::string open : {"[", "{\"a\":"}) {
    std::string bomb = "{\"messages\": ";
    for (int i = 0; i < 100'000; ++i) bomb += open;
    EXPECT_THAT(Reason(reader, bomb), HasSubstr("nested deeper"));
  }
}

TEST(SampleReaderTest, LongLinesAreNotRead) {
  SampleReaderOptions options = TinyOptions();
  options.max_record_bytes = 20;
  EXPECT_EQ(Reason(Reader(options), R"({"text": "0123456"} )"), "accepted");
  EXPECT_EQ(Reason(Reader(options), "{ not json at all    "),
            "a line of 21 bytes is longer than the limit of 20");
}

TEST(SampleReaderTest, TokenizerOfAnotherModel) {
  EXPECT_THAT(Reason(Reader({.vocabulary_size = 10}), R"({"text": "Hello"})"),
              HasSubstr("belongs to another model"));
}

TEST(SampleReaderTest, FingerprintFollowsEverythingThatMakesTokens) {
  const std::string base = Reader().fingerprint();
  EXPECT_EQ(base, Reader().fingerprint());
  SampleReaderOptions options = TinyOptions();
  options.max_tokens = 7;
  EXPECT_NE(base, Reader(options).fingerprint());
  options = TinyOptions();
  options.overlong = Overlong::kReject;
  EXPECT_NE(base, Reader(options).fingerprint());
  const TemporaryFolder without;
  WriteModelWithBos(without, false);
  const TemporaryFolder with;
  WriteModelWithBos(with, true);
  EXPECT_NE(base, Reader(TinyOptions(), without.path()).fingerprint());
  EXPECT_NE(Reader(TinyOptions(), with.path()).fingerprint(),
            Reader(TinyOptions(), without.path()).fingerprint());
}

}  // namespace
}  // namespace thresher
