#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace thresher {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

void ExpectRefused(const std::string& text, const std::string& part) {
  const Result<json> parsed = ParseJson(text);
  ASSERT_FALSE(parsed.ok()) << text.substr(0, 200);
  EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(parsed.status().message(), HasSubstr(part));
}

TEST(JsonTest, ParsesWhatNlohmannParses) {
  for (const char* text :
       {"{}", "[]", "null", "-3", "1.5e3", "\"a\\u00e9\"",
        " [1, [2, {\"a\": [], \"b\": {}}], true] ", R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]})",
        "18446744073709551615"}) {
    const Result<json> parsed = ParseJson(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status().message();
    EXPECT_EQ(*parsed, json::parse(text)) << text;
  }
}

TEST(JsonTest, SaysWhereTheSyntaxErrorIs) {
  ExpectRefused("{\n \"a\": 1,\n \"b\": x\n}", "line 3, column 7 (byte 17) near 'x\\x0a}'");
  ExpectRefused("", "line 1, column 1 (byte 0): the text ends too early");
  ExpectRefused("{\"a\": 1", "the text ends too early");
  ExpectRefused("[1,]", "line 1, column 4");
  ExpectRefused("{\"a\": NaN}", "near 'N");
  ExpectRefused("[1] 2", "not valid JSON");
  ExpectRefused("[1e999]", "not valid JSON");
  ExpectRefused(std::string("[1]\0", 4), "column 4");
  ExpectRefused("\"\xc3\"", "not valid JSON");
}

TEST(JsonTest, RefusesDuplicateKeysAtEveryLevel) {
  ExpectRefused(R"({"a":1,"a":1})", "the key 'a' occurs twice");
  ExpectRefused(R"({"a":1,"b":{},"\u0061":1})", "the key 'a' occurs twice");
  ExpectRefused(R"([{"x":{"b":1,"c":2,"b":3}}])", "the key 'b' occurs twice");
}

TEST(JsonTest, LimitsNesting) {
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_TRUE(ParseJson(nested(kMaxJsonDepth)).ok());
  ExpectRefused(nested(kMaxJsonDepth + 1), "nested deeper than 64 levels");
  ExpectRefused(std::string(1'000'000, '['), "nested deeper than 64 levels");
}

TEST(JsonTest, FieldsSayWhatWasExpectedAndFound) {
  const json object = json::parse(
      R"({"n":-3,"f":3.0,"big":18446744073709551615,"s":"text","b":true,"z":null,"a":[],"o":{}})");
  const auto integer = [&](const char* name) {
    return IntegerField(object, name, 1, 1000).status().message();
  };
  EXPECT_EQ(integer("n"), "field 'n': expected an integer from 1 to 1000, found -3");
  EXPECT_EQ(integer("f"), "field 'f': expected an integer from 1 to 1000, found 3.0");
  EXPECT_EQ(integer("big"),
            "field 'big': expected an integer from 1 to 1000, found 18446744073709551615");
  EXPECT_EQ(integer("s"), "field 's': expected an integer from 1 to 1000, found 'text'");
  EXPECT_EQ(integer("b"), "field 'b': expected an integer from 1 to 1000, found true");
  EXPECT_EQ(integer("z"), "field 'z': expected an integer from 1 to 1000, found nothing");
  EXPECT_EQ(integer("absent"), "field 'absent': expected an integer from 1 to 1000, found nothing");
  EXPECT_EQ(integer("a"), "field 'a': expected an integer from 1 to 1000, found an array");
  EXPECT_EQ(NumberField(object, "o", 0.5, 2).status().message(),
            "field 'o': expected a number from 0.5 to 2, found an object");
  EXPECT_EQ(BoolField(object, "s").status().message(),
            "field 's': expected true or false, found 'text'");
  EXPECT_EQ(StringField(object, "b").status().message(),
            "field 'b': expected a string, found true");
}

TEST(JsonTest, FieldsReadValuesAndDefaults) {
  const json object = json::parse(R"({"n":1000,"f":0.5,"s":"text","b":false,"z":null})");
  EXPECT_EQ(*IntegerField(object, "n", 1, 1000), 1000);
  EXPECT_EQ(*IntegerField(object, "z", 1, 1000, 7), 7);
  EXPECT_EQ(*NumberField(object, "f", 0, 1), 0.5);
  EXPECT_EQ(*NumberField(object, "n", 0, 1e4), 1000.0);
  EXPECT_EQ(*NumberField(object, "absent", 0, 1, 0.25), 0.25);
  EXPECT_EQ(*BoolField(object, "b"), false);
  EXPECT_EQ(*BoolField(object, "z", true), true);
  EXPECT_EQ(*StringField(object, "s"), "text");
  EXPECT_EQ(*StringField(object, "z", "other"), "other");
  EXPECT_TRUE(HasField(object, "b"));
  EXPECT_FALSE(HasField(object, "z"));
  // A default does not excuse a value of the wrong kind.
  EXPECT_FALSE(IntegerField(object, "s", 1, 1000, 7).ok());
}

TEST(JsonTest, QuotedIsShortPrintableAscii) {
  EXPECT_EQ(Quoted("name"), "'name'");
  EXPECT_EQ(Quoted("a\n\xff"), "'a\\x0a\\xff'");
  EXPECT_EQ(Quoted(std::string(500, 'x')), "'" + std::string(120, 'x') + "...'");
}

// Whatever the bytes: no crash, and what is accepted is what nlohmann reads.
TEST(JsonTest, SurvivesMutations) {
  const std::string original =
      R"({"model_type":"qwen2","layers":[1,2.5,-3,{"a":null,"b":true}],"text":"a\u00e9\n"})";
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    Random random(seed);
    std::string text = original;
    for (uint64_t edits = 1 + random.Below(4); edits-- > 0;) {
      const size_t at = random.Below(text.size());
      if (random.Below(2) == 0) {
        text[at] = static_cast<char>(random.Below(256));
      } else {
        text.insert(at, text.substr(random.Below(text.size()), random.Below(9)));
      }
    }
    const Result<json> parsed = ParseJson(text);
    if (parsed.ok()) {
      EXPECT_EQ(*parsed, json::parse(text)) << seed;
    }
  }
}

}  // namespace
}  // namespace thresher
