#include "sample/sample_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

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

// Reads one record, as the second line of a file.
SampleOrRejection ReadOne(const SampleReader& reader, std::string_view record) {
  SampleOrRejection read = reader.Read({.record = {record}, .location = "d.jsonl:2"});
  if (auto* rejection = std::get_if<Rejection>(&read)) {
    EXPECT_TRUE(rejection->reason.starts_with("d.jsonl:2: ")) << rejection->reason;
    EXPECT_TRUE(CheckUtf8(rejection->reason).ok());
    rejection->reason.erase(0, std::string_view("d.jsonl:2: ").size());
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

// The text of the default prompt for kTask.
std::string PromptOfTask() {
  ArcContent content;
  content.task = *ParseArcTask(Json::parse(kTask));
  return ArcPrompter::Create({})->Make({.content = content, .task_id = "t1"})->text;
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
  const std::string prompt = PromptOfTask();
  EXPECT_EQ(sample.token_ids,
            Encoded(TokenizerDataPath("tiny512"),
                    "<|im_start|>user\n" + prompt + "<|im_end|>\n<|im_start|>assistant\n", false));
  EXPECT_EQ(sample.key, "t1");
}

TEST(SampleReaderTest, WithoutChatTemplate) {
  const TemporaryFolder folder;
  WriteModelWithBos(folder, /*with_chat_template=*/false);
  const SampleReader reader = Reader(TinyOptions(), folder.path());
  const std::string prompt = PromptOfTask();
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
  options.settings.max_tokens = 3;
  const Sample cut = ReadSample(Reader(options), record);
  EXPECT_EQ(cut.token_ids, (Ids{1, 2, 3}));
  EXPECT_TRUE(cut.truncated);
  options.settings.overlong = "reject";
  EXPECT_EQ(Reason(Reader(options), record), "4 tokens, more than the limit of 3");
  options.settings.max_tokens = 4;
  EXPECT_FALSE(ReadSample(Reader(options), record).truncated);
}

TEST(SampleReaderTest, RecordsOfNoKindOrOfSeveral) {
  const SampleReader reader = Reader();
  const std::string kinds =
      "expected one of 'token_ids', 'text', 'messages', 'examples', or 'train' with 'test', or "
      "--column with the field's name; ";
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
            "a record of 21 bytes is longer than the limit of 20");
}

TEST(SampleReaderTest, TokenizerOfAnotherModel) {
  EXPECT_THAT(Reason(Reader({.vocabulary_size = 10}), R"({"text": "Hello"})"),
              HasSubstr("belongs to another model"));
}

TEST(SampleReaderTest, WhereAnArcPromptEnds) {
  const std::string task =
      R"({"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]], "output": [[4]]}]})";
  const std::string begin = "<|im_start|>user\n" + PromptOfTask() + "<|im_end|>\n";
  const auto ids = [&](const std::string& end) {
    SampleReaderOptions options = TinyOptions();
    options.settings.prompt_end = end;
    return ReadSample(Reader(options), task).token_ids;
  };
  const std::string model = TokenizerDataPath("tiny512");
  EXPECT_EQ(ids("user"), Encoded(model, begin, false));
  EXPECT_EQ(ids("assistant"), Encoded(model, begin + "<|im_start|>assistant\n", false));
  EXPECT_EQ(ids("prefix:```grid\\n"),
            Encoded(model, begin + "<|im_start|>assistant\n```grid\n", false));
  EXPECT_EQ(ids("answer"),
            Encoded(model, begin + "<|im_start|>assistant\n```grid\n4\n```<|im_end|>\n", false));
  SampleReaderOptions options = TinyOptions();
  options.settings.prompt_end = "answer";
  EXPECT_THAT(Reason(Reader(options), kTask),
              HasSubstr("--prompt-end answer: the answer to prompt 'output-from-examples' is not "
                        "known: "));
}

TEST(SampleReaderTest, WhereAPromptEndsWithoutAChatTemplate) {
  const TemporaryFolder folder;
  WriteModelWithBos(folder, /*with_chat_template=*/false);
  const auto ids = [&](const std::string& end) {
    SampleReaderOptions options = TinyOptions();
    options.settings.prompt_end = end;
    return ReadSample(Reader(options, folder.path()), kTask).token_ids;
  };
  EXPECT_EQ(ids("user"), Encoded(folder.path(), PromptOfTask(), true));
  EXPECT_EQ(ids("assistant"), Encoded(folder.path(), PromptOfTask(), true));
  EXPECT_EQ(ids("prefix:ab"), Encoded(folder.path(), PromptOfTask() + "ab", true));
}

TEST(SampleReaderTest, KeysOfVariants) {
  SampleReaderOptions options = TinyOptions();
  options.settings.variants = 3;
  const SampleReader reader = Reader(options);
  const auto key = [&](std::string_view record, int64_t variant) {
    const SampleOrRejection read =
        reader.Read({.record = {record}, .location = "d", .variant = variant});
    return std::get<Sample>(read).key;
  };
  EXPECT_EQ(key(kTask, 2), "t1#2");
  EXPECT_EQ(key(R"({"text": "a"})", 0), "");
}

TEST(SampleReaderTest, SplitTextHasItsSpecialTokensInEachSequence) {
  const TemporaryFolder folder;
  WriteModelWithBos(folder, /*with_chat_template=*/false);
  SampleReaderOptions options = TinyOptions();
  options.settings.max_tokens = 4;
  options.settings.overlong = "split";
  options.settings.overlap = 1;
  const SampleReader reader = Reader(options, folder.path());
  const std::string text = "one two three four five";
  const Ids body = Encoded(folder.path(), text, false);
  ASSERT_GT(body.size(), 6u);
  const Sample sample = ReadSample(reader, R"({"text": ")" + text + R"("})");
  EXPECT_FALSE(sample.truncated);
  size_t next = 0;
  for (size_t i = 0; i + 1 < sample.sequence_offsets.size(); ++i) {
    const auto begin = static_cast<size_t>(sample.sequence_offsets[i]);
    const auto end = static_cast<size_t>(sample.sequence_offsets[i + 1]);
    ASSERT_LE(end - begin, 4u);
    EXPECT_EQ(sample.token_ids[begin], 0);
    if (i > 0) --next;
    for (size_t token = begin + 1; token < end; ++token) {
      ASSERT_EQ(sample.token_ids[token], body[next++]);
    }
  }
  EXPECT_EQ(next, body.size());
  options.settings.overlap = 3;
  EXPECT_EQ(SampleReader::Create(folder.path(), options).status().message(),
            "--overlap: expected a number from 0 to 2 (--max-tokens 4 without 1 special tokens, "
            "less 1), found 3");
  options.settings.max_tokens = 1;
  EXPECT_EQ(SampleReader::Create(folder.path(), options).status().message(),
            "--max-tokens: expected more than the 1 special tokens around each sequence, found 1");
}

TEST(SampleReaderTest, SplitTokenIds) {
  SampleReaderOptions options = TinyOptions();
  options.settings.max_tokens = 2;
  options.settings.overlong = "split";
  options.settings.tokens = "last";
  const Sample sample = ReadSample(Reader(options), R"({"token_ids": [5, 6, 7, 8, 9]})");
  EXPECT_EQ(sample.token_ids, (Ids{5, 6, 7, 8, 9}));
  EXPECT_EQ(sample.sequence_offsets, (std::vector<int64_t>{0, 2, 4, 5}));
  EXPECT_EQ(sample.stored_tokens, (Ids{1, 3, 4}));
}

// The text of the tokens that are stored.
std::string StoredText(const SampleReaderOptions& options, std::string_view record,
                       const std::string& model = TokenizerDataPath("tiny512")) {
  const Result<InspectedSample> read =
      Reader(options, model).Inspect({.record = {record}, .location = "d"});
  if (!read.ok()) return read.status().message();
  std::string text;
  if (!read->sample.stored_tokens) return "all";
  for (const int32_t token : *read->sample.stored_tokens) {
    const ByteRange& place = read->places[static_cast<size_t>(token)];
    text += read->text->substr(static_cast<size_t>(place.begin),
                               static_cast<size_t>(place.end - place.begin));
  }
  return text;
}

TEST(SampleReaderTest, StoredTokensOfAConversation) {
  const std::string_view record =
      R"({"messages": [{"role": "user", "content": "Q é"}, {"role": "assistant", "content": "A é."},
          {"role": "user", "content": "R"}]})";
  SampleReaderOptions options = TinyOptions();
  EXPECT_EQ(StoredText(options, record), "all");
  options.settings.tokens = "assistant";
  EXPECT_EQ(StoredText(options, record),
            "<|im_start|>assistant\nA é.<|im_end|>\n<|im_start|>assistant\n");
  options.settings.exclude_tokens = "special";
  EXPECT_EQ(StoredText(options, record), "assistant\nA é.\nassistant\n");
  options.settings.prompt_end = "prefix:So";
  EXPECT_EQ(StoredText(options, record), "assistant\nA é.\nassistant\nSo");
  options.settings.tokens = "after:<|im_start|>user\\n";
  EXPECT_EQ(StoredText(options, record), "R\nassistant\nSo");
  options.settings.tokens = "after:nowhere";
  EXPECT_EQ(StoredText(options, record),
            "d: --tokens after: the prompt does not have the marker 'nowhere'");
  options.settings.tokens = "after:So";
  EXPECT_EQ(StoredText(options, record), "d: --tokens after:So: no token is selected");
  options.settings.tokens = "after:R";
  options.settings.max_tokens = 5;
  EXPECT_EQ(StoredText(options, record),
            "d: --tokens after:R: no token is selected; the prompt was cut before: a larger "
            "--max-tokens may help");
}

TEST(SampleReaderTest, StoredTokensOfOtherRecords) {
  SampleReaderOptions options = TinyOptions();
  options.settings.tokens = "assistant";
  EXPECT_EQ(StoredText(options, R"({"text": "a"})"),
            "d: field 'text': --tokens assistant: a text has no turns of an assistant");
  EXPECT_EQ(StoredText(options, R"({"token_ids": [1]})"),
            "d: field 'token_ids': --tokens assistant: the text of token ids is not known");
  EXPECT_EQ(StoredText(options, kTask), "<|im_start|>assistant\n");
  options.settings.prompt_end = "user";
  EXPECT_EQ(StoredText(options, kTask), "d: --tokens assistant: no token is selected");
  options.settings.tokens = "after:b";
  EXPECT_EQ(StoredText(options, R"({"text": "a b c b d"})"), " d");
  options.settings.tokens = "all";
  options.settings.exclude_tokens = "special";
  EXPECT_EQ(*ReadSample(Reader(options), R"({"token_ids": [0, 5, 1, 6]})").stored_tokens,
            (Ids{1, 3}));
}

TEST(SampleReaderTest, StoredTokensWithBos) {
  const TemporaryFolder folder;
  WriteModelWithBos(folder, /*with_chat_template=*/false);
  SampleReaderOptions options = TinyOptions();
  options.settings.exclude_tokens = "bos";
  EXPECT_EQ(StoredText(options, R"({"text": "abc"})", folder.path()), "abc");
  const SampleReader reader = Reader(options, folder.path());
  EXPECT_EQ(*ReadSample(reader, R"({"token_ids": [0, 0, 5]})").stored_tokens, (Ids{1, 2}));
  EXPECT_EQ(ReadSample(reader, R"({"token_ids": [5, 0]})").stored_tokens, std::nullopt);
  options.settings.prompt_end = "prefix:!!";
  options.settings.tokens = "assistant";
  EXPECT_EQ(StoredText(options, kTask, folder.path()), "!!");
}

TEST(SampleReaderTest, FingerprintFollowsEverythingThatMakesTokens) {
  const std::string base = Reader().fingerprint();
  EXPECT_EQ(base, Reader().fingerprint());
  SampleReaderOptions options = TinyOptions();
  options.settings.max_tokens = 7;
  EXPECT_NE(base, Reader(options).fingerprint());
  options = TinyOptions();
  options.settings.overlong = "reject";
  EXPECT_NE(base, Reader(options).fingerprint());
  options = TinyOptions();
  options.settings.prompt_template = "a";
  const std::string one_template = Reader(options).fingerprint();
  EXPECT_NE(base, one_template);
  options.settings.prompt_template = "b";
  EXPECT_NE(one_template, Reader(options).fingerprint());
  options = TinyOptions();
  options.settings.seed = 1;
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
