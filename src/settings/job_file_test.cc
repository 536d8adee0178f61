#include "settings/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const std::vector<JobKey> kKeys = {{"model"},
                                   {"hooks", SettingType::kText, true},
                                   {"shard-bytes"},
                                   {"threads", SettingType::kInteger},
                                   {"fraction", SettingType::kNumber},
                                   {"quiet", SettingType::kSwitch}};
const std::vector<std::string> kSections = {"model", "capture", "run"};

Result<std::vector<JobValue>> Parse(std::string_view text) {
  return ParseJobFile(text, "job.toml", kKeys, kSections);
}

// The values of the only key.
std::vector<std::string> ValuesOf(std::string_view text) {
  const Result<std::vector<JobValue>> parsed = Parse(text);
  EXPECT_TRUE(parsed.ok()) << text << ": " << parsed.status().message();
  if (!parsed.ok() || parsed->size() != 1) return {"not one value"};
  return (*parsed)[0].values;
}

std::string ErrorOf(std::string_view text) {
  const Result<std::vector<JobValue>> parsed = Parse(text);
  EXPECT_FALSE(parsed.ok()) << text;
  return parsed.status().message();
}

TEST(JobFileTest, ValuesAreWhatFlagsTake) {
  EXPECT_THAT(ValuesOf("model = \"a b\""), ElementsAre("a b"));
  EXPECT_THAT(ValuesOf("model = 'C:\\x'"), ElementsAre("C:\\x"));
  EXPECT_THAT(ValuesOf("model = \"\""), ElementsAre(""));
  EXPECT_THAT(ValuesOf("model = \"\"\"\none\ntwo\"\"\""), ElementsAre("one\ntwo"));
  EXPECT_THAT(ValuesOf("model = \"\\u00e9\""), ElementsAre("\xc3\xa9"));
  EXPECT_THAT(ValuesOf("model = \"\"\"a\\\n  \xc3\xa9\"\"\" # \xc3\xa9"), ElementsAre("a\xc3\xa9"));
  EXPECT_THAT(ValuesOf("shard-bytes = \"1GB\""), ElementsAre("1GB"));
  EXPECT_THAT(ValuesOf("shard_bytes = 1_000_000"), ElementsAre("1000000"));
  EXPECT_THAT(ValuesOf("threads = 0x10"), ElementsAre("16"));
  EXPECT_THAT(ValuesOf("threads = -3"), ElementsAre("-3"));
  EXPECT_THAT(ValuesOf("fraction = 0.25"), ElementsAre("0.25"));
  EXPECT_THAT(ValuesOf("fraction = 1"), ElementsAre("1"));
  EXPECT_THAT(ValuesOf("quiet = true"), ElementsAre("true"));
  EXPECT_THAT(ValuesOf("quiet = false"), ElementsAre("false"));
}

TEST(JobFileTest, ListsAreArraysOrStrings) {
  EXPECT_THAT(ValuesOf("hooks = \"a,b\""), ElementsAre("a,b"));
  EXPECT_THAT(ValuesOf("hooks = [\"a\", \"b\"]"), ElementsAre("a", "b"));
  EXPECT_THAT(ValuesOf("hooks = [\n  0,  # the first\n  5,\n]"), ElementsAre("0", "5"));
  EXPECT_THAT(ErrorOf("model = [\"a\"]"), HasSubstr("job.toml:1:9: 'model': expected a string"));
  EXPECT_THAT(ErrorOf("hooks = []"), HasSubstr("at least one item"));
  EXPECT_THAT(ErrorOf("hooks = [\"a\", \"\"]"), HasSubstr("job.toml:1:15"));
  EXPECT_THAT(ErrorOf("hooks = [\"a\", [\"b\"]]"), HasSubstr("found an array"));
  EXPECT_THAT(ErrorOf("hooks = [{a = 1}]"), HasSubstr("job.toml:1"));
}

TEST(JobFileTest, SectionsOnlyGroup) {
  const Result<std::vector<JobValue>> parsed =
      Parse("[run]\nthreads = 2\n[model]\nmodel = \"m\"\nquiet = true\n[capture]\nhooks = \"q\"\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  ASSERT_EQ(parsed->size(), 4u);
  EXPECT_EQ((*parsed)[0].name, "threads") << "in the order of the file";
  EXPECT_EQ((*parsed)[0].place, "job.toml:2");
  EXPECT_EQ((*parsed)[1].name, "model");
  EXPECT_EQ((*parsed)[3].place, "job.toml:7");
  EXPECT_THAT(ValuesOf("run.threads = 2"), ElementsAre("2"));
  EXPECT_THAT(ValuesOf("run = {threads = 2}"), ElementsAre("2"));
  EXPECT_THAT(ValuesOf("[model]\n[run]\nthreads = 2"), ElementsAre("2"));
  EXPECT_THAT(ErrorOf("[captur]\nhooks = \"q\""),
              HasSubstr("job.toml:1:2: there is no section [captur]; did you mean 'capture'?"));
  EXPECT_THAT(ErrorOf("[run.deeper]\nthreads = 2"), HasSubstr("no sections inside"));
  EXPECT_THAT(ErrorOf("[[run]]\nthreads = 2"), HasSubstr("found an array of sections"));
  EXPECT_THAT(ErrorOf("run = 5"), HasSubstr("[run] is a section"));
  EXPECT_THAT(ErrorOf("[hooks]\na = 1"), HasSubstr("job.toml:1"));
}

TEST(JobFileTest, UnknownKeysNameTheNearest) {
  EXPECT_EQ(ErrorOf("# first\nshard_byte = \"1MB\""),
            "job.toml:2:1: there is no setting 'shard_byte'; did you mean 'shard-bytes'?");
  EXPECT_THAT(ErrorOf("temperature = 1"), HasSubstr("thresher config keys"));
  EXPECT_THAT(ErrorOf("[run]\n  thread = 1"), StartsWith("job.toml:2:3: "));
  EXPECT_THAT(ErrorOf("\"\\u001b[31m\" = 1"), HasSubstr("'\\x1b[31m'")) << "made printable";
}

TEST(JobFileTest, KeysOccurOnce) {
  EXPECT_THAT(ErrorOf("threads = 1\nthreads = 2"), StartsWith("job.toml:2:"));
  EXPECT_EQ(ErrorOf("shard-bytes = 1\nshard_bytes = 2"),
            "job.toml:2:1: 'shard_bytes' is given a second time; the first is in line 1");
  EXPECT_THAT(ErrorOf("threads = 1\n[run]\nthreads = 2"), HasSubstr("a second time"));
  EXPECT_EQ(ErrorOf("shard_bytes = 1\nshard-bytes = 2"),
            "job.toml:2:1: 'shard-bytes' is given a second time; the first is in line 1")
      << "whatever their order by name";
  EXPECT_THAT(ErrorOf("model = \"a\"\n[model]\nquiet = true"), StartsWith("job.toml:2:"));
}

TEST(JobFileTest, WrongTypesSayWhatWasExpected) {
  EXPECT_EQ(ErrorOf("threads = \"4\""),
            "job.toml:1:11: 'threads': expected an integer without quotes, found the string '4'");
  EXPECT_THAT(ErrorOf("threads = 1.5"), HasSubstr("found 1.5"));
  EXPECT_THAT(ErrorOf("threads = true"), HasSubstr("found true"));
  EXPECT_THAT(ErrorOf("quiet = 1"), HasSubstr("expected true or false, without quotes, found 1"));
  EXPECT_THAT(ErrorOf("quiet = \"yes\""), HasSubstr("found the string 'yes'"));
  EXPECT_THAT(ErrorOf("model = true"), HasSubstr("expected a string in quotes, found true"));
  EXPECT_THAT(ErrorOf("model = inf"), HasSubstr("expected a string"));
  EXPECT_THAT(ErrorOf("fraction = nan"), HasSubstr("expected a number"));
  EXPECT_THAT(ErrorOf("model = 2026-11-23"), HasSubstr("found a date or a time"));
  EXPECT_THAT(ErrorOf("threads = {a = 1}"), HasSubstr("found a section"));
}

TEST(JobFileTest, SyntaxErrorsNameTheirPlace) {
  EXPECT_THAT(ErrorOf("threads = = 5"), StartsWith("job.toml:1:11: not valid TOML: "));
  EXPECT_THAT(ErrorOf("model = \"open\nquiet = true"), StartsWith("job.toml:1:"));
  EXPECT_THAT(ErrorOf("model = unquoted"), StartsWith("job.toml:1:"));
  EXPECT_THAT(ErrorOf("threads = 99999999999999999999"), StartsWith("job.toml:1:"));
  EXPECT_THAT(ErrorOf("model = \"\xff\""), StartsWith("job.toml:1:"));
  EXPECT_THAT(ErrorOf(std::string_view("model = \"a\0b\"", 13)), StartsWith("job.toml:1:"));
  for (const char* text : {"model = \xc3\xa9", "\xc3\xa9 = 1", "\xef\xb8\x80threads = 1",
                           "threads = 1 \xc2\xb7", "threads = 1\xe2\x80\x83\xc3\xa9"}) {
    EXPECT_THAT(ErrorOf(text), StartsWith("job.toml:1:")) << "no space, and no key either";
  }
  std::string deep = "hooks = ";
  deep.append(100'000, '[');
  EXPECT_THAT(ErrorOf(deep), StartsWith("job.toml:1:")) << "not a stack that overflows";
}

TEST(JobFileTest, FilesAreReadWhole) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("job.toml", "\xef\xbb\xbfthreads = 3\r\nquiet = true\r\n");
  const auto parsed = ReadJobFile(path, kKeys, kSections);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->size(), 2u);
  EXPECT_EQ(ReadJobFile(folder.Write("empty.toml", ""), kKeys, kSections)->size(), 0u);
  EXPECT_EQ(ReadJobFile(folder.PathOf("none"), kKeys, kSections).status().code(), Code::kNotFound);
  EXPECT_FALSE(ReadJobFile(folder.path(), kKeys, kSections).ok()) << "a folder";
  folder.Write("large.toml", std::string(kMaxJobFileBytes + 1, '\n'));
  EXPECT_THAT(ReadJobFile(folder.PathOf("large.toml"), kKeys, kSections).status().message(),
              HasSubstr("at most 1 MiB"));
}

TEST(TomlStringTest, ComesBackAsItWas) {
  for (const std::string& text : {std::string(), std::string("plain"), std::string("a\"b\\c"),
                                  std::string("\x01\x1f\x7f\n\t"), std::string("# no comment"),
                                  std::string("h\xc3\xa9\xf0\x9f\x98\x80")}) {
    const Result<std::string> quoted = TomlString(text);
    ASSERT_TRUE(quoted.ok());
    EXPECT_THAT(ValuesOf("model = " + *quoted), ElementsAre(text));
  }
  EXPECT_THAT(TomlString("a\xff").status().message(), HasSubstr("not valid UTF-8"));
}

}  // namespace
}  // namespace thresher
