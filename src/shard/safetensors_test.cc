#include "shard/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace thresher {
namespace {

using ::testing::HasSubstr;

std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// The length field in front of `json`.
std::string WithLength(const std::string& json) {
  std::string header;
  for (int i = 0; i < 8; ++i) header += static_cast<char>((json.size() >> (8 * i)) & 0xff);
  return header + json;
}

// Parses `json` as the header of a file with `data_bytes` bytes of data.
Result<SafetensorsHeader> Parse(const std::string& json, int64_t data_bytes) {
  const std::string header = WithLength(json);
  return ParseSafetensorsHeader(Bytes(header), static_cast<int64_t>(header.size()) + data_bytes);
}

void ExpectRefused(const std::string& json, int64_t data_bytes,
                   const std::vector<std::string>& message_parts) {
  const Result<SafetensorsHeader> parsed = Parse(json, data_bytes);
  ASSERT_FALSE(parsed.ok()) << json.substr(0, 500);
  EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument);
  const std::string message = parsed.status().message();
  for (const std::string& part : message_parts) {
    EXPECT_THAT(message, HasSubstr(part)) << json.substr(0, 500);
  }
  EXPECT_LT(message.size(), 1000u);
  for (const char c : message) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
}

TEST(SafetensorsTest, ParsesWhatItBuilds) {
  std::vector<TensorEntry> tensors = {
      {.name = "blocks.0.hook_resid_post", .dtype = DType::kBf16, .shape = {5, 3}},
      {.name = "empty", .dtype = DType::kF32, .shape = {0, 7}},
      {.name = "scalar", .dtype = DType::kI64, .shape = {}},
      {.name = "quote\" back\\slash \n \xc3\xa9", .dtype = DType::kF8E4M3, .shape = {1, 2, 3}},
  };
  const std::map<std::string, std::string> metadata = {{"unit", "17"},
                                                       {"\"key\"", "\t\xe2\x82\xac"}};
  const std::string header = BuildSafetensorsHeader(tensors, metadata);
  EXPECT_EQ(header.size() % 64, 0u);
  EXPECT_EQ(tensors[0].begin, static_cast<int64_t>(header.size()));
  EXPECT_EQ(tensors[3].end - tensors[0].begin, 30 + 0 + 8 + 6);

  const int64_t file_bytes = tensors.back().end;
  const Result<int64_t> data_begin = SafetensorsDataBegin(Bytes(header).first(8), file_bytes);
  ASSERT_TRUE(data_begin.ok());
  EXPECT_EQ(*data_begin, static_cast<int64_t>(header.size()));
  const Result<SafetensorsHeader> parsed = ParseSafetensorsHeader(Bytes(header), file_bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->metadata, metadata);
  EXPECT_EQ(parsed->data_begin, *data_begin);
  ASSERT_EQ(parsed->tensors.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(parsed->tensors[i].name, tensors[i].name);
    EXPECT_EQ(parsed->tensors[i].dtype, tensors[i].dtype);
    EXPECT_EQ(parsed->tensors[i].shape, tensors[i].shape);
    EXPECT_EQ(parsed->tensors[i].begin, tensors[i].begin);
    EXPECT_EQ(parsed->tensors[i].end, tensors[i].end);
  }
  EXPECT_EQ(parsed->Find("scalar"), &parsed->tensors[2]);
  EXPECT_EQ(parsed->Find("absent"), nullptr);
}

TEST(SafetensorsTest, BuildsTheBytesThatTheFormatDescribes) {
  std::vector<TensorEntry> tensors = {{.name = "x", .dtype = DType::kF16, .shape = {2, 3}}};
  const std::string json =
      R"({"__metadata__":{"a":"b"},"x":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}})";
  EXPECT_EQ(BuildSafetensorsHeader(tensors, {{"a", "b"}}),
            WithLength(json + std::string(128 - 8 - json.size(), ' ')));
  std::vector<TensorEntry> none;
  EXPECT_EQ(BuildSafetensorsHeader(none, {}), WithLength("{}" + std::string(54, ' ')));
}

TEST(SafetensorsTest, AnEmptyFileHasNoTensors) {
  const Result<SafetensorsHeader> parsed = Parse("{}", 0);
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->tensors.empty());
}

TEST(SafetensorsTest, SortsTensorsByPlace) {
  const Result<SafetensorsHeader> parsed =
      Parse(R"({"b":{"dtype":"I8","shape":[2],"data_offsets":[3,5]},)"
            R"("a":{"data_offsets":[0,3],"shape":[3],"dtype":"I8"}})",
            5);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->tensors[0].name, "a");
  EXPECT_EQ(parsed->tensors[1].name, "b");
}

TEST(SafetensorsTest, KeepsTensorsOfOtherDtypesApart) {
  const Result<SafetensorsHeader> parsed =
      Parse(R"({"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},)"
            R"("w":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}})",
            7);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  ASSERT_EQ(parsed->tensors.size(), 1u);
  ASSERT_EQ(parsed->opaque.size(), 1u);
  EXPECT_EQ(parsed->opaque[0].name, "mask");
  EXPECT_EQ(parsed->opaque[0].dtype_name, "BOOL");
  EXPECT_EQ(parsed->opaque[0].end - parsed->opaque[0].begin, 3);
}

TEST(SafetensorsTest, RefusesBadLengthFields) {
  const auto refused = [](const std::string& bytes, int64_t file_bytes, const char* part) {
    for (const Status& status :
         {SafetensorsDataBegin(Bytes(bytes).first(std::min<size_t>(8, bytes.size())), file_bytes)
              .status(),
          ParseSafetensorsHeader(Bytes(bytes), file_bytes).status()}) {
      ASSERT_FALSE(status.ok());
      EXPECT_THAT(status.message(), HasSubstr(part));
    }
  };
  refused("", 0, "expected at least 8 bytes, found 0");
  refused("1234567", 7, "expected at least 8 bytes, found 7");
  refused(std::string(8, '\xff'), 1000, "at most 100000000 bytes, found a length of 184467440737");
  refused(std::string("\x00\xe1\xf5\x05\x00\x00\x00\x80", 8), 1000, "found a length of 92233");
  refused(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8), int64_t{1} << 40,
          "found a length of 100000001");
  refused(std::string("\x10\0\0\0\0\0\0\0{}", 10), 10,
          "cut short: the header ends at byte 24, but the file has 10 bytes");
}

TEST(SafetensorsTest, RefusesHeadersThatAreNotTheFormat) {
  ExpectRefused("", 0, {"begin with '{'"});
  ExpectRefused(" {}", 0, {"begin with '{'", "' {}'"});
  ExpectRefused("[]", 0, {"begin with '{'"});
  ExpectRefused("{", 0, {"not valid JSON", "the text ends too early"});
  ExpectRefused("{}x", 0, {"not valid JSON at line 1, column 3"});
  ExpectRefused(std::string("{}\0\0", 4), 0, {"not valid JSON", "\\x00"});
  ExpectRefused("{} // comment", 0, {"not valid JSON"});
  ExpectRefused("{\"\xff\":1}", 0, {"not valid JSON"});
  ExpectRefused("{\"\xed\xa0\x80\":1}", 0, {"not valid JSON"});
  ExpectRefused(R"({"x":1})", 0, {"'x': expected an object, found 1"});
  ExpectRefused(R"({"x":null})", 0, {"'x': expected an object, found null"});
  ExpectRefused(R"({"x":[]})", 0, {"'x': expected an object, found an array"});
  ExpectRefused(R"({"__metadata__":{"a":1}})", 0, {"'a': expected a string, found 1"});
  ExpectRefused(R"({"__metadata__":{"a":{}}})", 0, {"'a': expected a string, found an object"});
  ExpectRefused(R"({"__metadata__":"a"})", 0, {"'__metadata__': expected an object, found 'a'"});
  ExpectRefused(R"({"__metadata__":{"a":"1","a":"1"}})", 0, {"the key 'a' occurs twice"});
  ExpectRefused(R"({"__metadata__":{},"__metadata__":{}})", 0, {"'__metadata__' occurs twice"});
}

TEST(SafetensorsTest, RefusesTensorsThatAreNotTheFormat) {
  const auto refused = [](const std::string& fields, int64_t data_bytes,
                          const std::string& message) {
    ExpectRefused("{\"w\":{" + fields + "}}", data_bytes, {"tensor 'w'", message});
  };
  const std::string dtype = R"("dtype":"F32",)";
  const std::string shape = R"("shape":[2],)";
  const std::string offsets = R"("data_offsets":[0,8])";
  ASSERT_TRUE(Parse("{\"w\":{" + dtype + shape + offsets + "}}", 8).ok());

  refused(shape + offsets, 8, "the field 'dtype' is missing");
  refused(dtype + offsets, 8, "the field 'shape' is missing");
  refused(R"("dtype":"F32","shape":[2])", 8, "the field 'data_offsets' is missing");
  refused("", 8, "the field 'dtype' is missing");
  refused(dtype + dtype + shape + offsets, 8, "the field 'dtype' occurs twice");
  refused(dtype + shape + shape + offsets, 8, "the field 'shape' occurs twice");
  refused(R"("other":1,)" + dtype + shape + offsets, 8, "found 'other'");
  refused(R"("dtype":32,)" + shape + offsets, 8, "field 'dtype': expected a string, found 32");
  refused(R"("dtype":["F32"],)" + shape + offsets, 8, "expected a string, found an array");
  for (const auto& [number, found] :
       std::map<std::string, std::string>{{"-1", "-1"},
                                          {"2.0", "2.0"},
                                          {"1e3", "1e3"},
                                          {"null", "null"},
                                          {"true", "true"},
                                          {"\"2\"", "'2'"},
                                          {"[2]", "an array"},
                                          {"{}", "an object"},
                                          {"9223372036854775808", "9223372036854775808"},
                                          {"99999999999999999999", "99999999999999999999"}}) {
    refused(dtype + "\"shape\":[" + number + "]," + offsets, 8,
            "field 'shape': expected an array of at most 32 non-negative integers below 2^63, "
            "found " +
                found);
    refused(dtype + shape + "\"data_offsets\":[0," + number + "]", 8,
            "field 'data_offsets': expected an array of two non-negative integers below 2^63, "
            "found " +
                found);
  }
  refused(dtype + R"("shape":2,)" + offsets, 8, "found 2");
  refused(dtype + shape + R"("data_offsets":[0])", 8, "expected 2 numbers, found 1");
  refused(dtype + shape + R"("data_offsets":[0,8,8])", 8, "expected 2 numbers, found 3");
  refused(dtype + shape + R"("data_offsets":[8,0])", 8, "go backwards: [8, 0]");
  refused(dtype + shape + R"("data_offsets":[0,12])", 12, "takes 8 bytes, but");
  refused(dtype + shape + offsets, 7, "byte 7 of the data, where the file ends, found byte 8");
  refused(R"("dtype":"U8",)" + shape + R"("data_offsets":[0,9])", 8, "found byte 9");
  for (const char* huge : {"[4294967296,4294967296]", "[9223372036854775807]",
                           "[4611686018427387904,4,0]", "[3037000500,3037000500]"}) {
    refused(dtype + "\"shape\":" + huge + "," + offsets, 8, "has more than 2^63 bytes");
  }
  std::string many = "1";
  for (int i = 0; i < 32; ++i) many += ",1";
  refused(dtype + "\"shape\":[" + many + "]," + offsets, 8, "found more than 32 numbers");
}

TEST(SafetensorsTest, RefusesHolesOverlapsAndDuplicates) {
  const auto two = [](const char* first, const char* second, const char* second_name = "b") {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},)"
                       R"("{}":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
                       first, second_name, second);
  };
  ASSERT_TRUE(Parse(two("[0,4]", "[4,8]"), 8).ok());
  ExpectRefused(two("[0,4]", "[4,8]", "a"), 8, {"tensor 'a' occurs twice"});
  ExpectRefused(two("[0,4]", "[4,8]", "\\u0061"), 8, {"tensor 'a' occurs twice"});
  ExpectRefused(two("[0,4]", "[5,9]"), 9, {"bytes 4 to 5", "before tensor 'b'", "no holes"});
  ExpectRefused(two("[1,5]", "[5,9]"), 9, {"bytes 0 to 1", "before tensor 'a'"});
  ExpectRefused(two("[0,4]", "[3,7]"), 7, {"'a' and 'b' overlap", "ends at byte 4", "begins at 3"});
  ExpectRefused(two("[0,4]", "[0,4]"), 4, {"'a' and 'b' overlap"});
  ExpectRefused(two("[0,4]", "[4,8]"), 9, {"take 8 bytes, but the file has 9"});
  ExpectRefused("{}", 1, {"take 0 bytes, but the file has 1"});
}

TEST(SafetensorsTest, RefusesAHeaderOfAnotherLength) {
  const std::string header = WithLength("{}");
  EXPECT_FALSE(ParseSafetensorsHeader(Bytes(header + "x"), 11).ok());
  EXPECT_FALSE(ParseSafetensorsHeader(Bytes(header).first(9), 10).ok());
}

TEST(SafetensorsTest, DeepNestingIsRefusedAtOnce) {
  ExpectRefused("{\"x\":" + std::string(1'000'000, '['), 0, {"'x': expected an object"});
  std::string objects = "{";
  for (int i = 0; i < 100'000; ++i) objects += "\"x\":{";
  ExpectRefused(objects, 0, {"found 'x'"});
}

TEST(SafetensorsTest, MessagesStayShort) {
  ExpectRefused("{\"x\":{\"shape\":[1." + std::string(100'000, '0') + "]}}", 0, {"found 1.000"});
  ExpectRefused("{\"" + std::string(100'000, 'n') + "\":1}", 0, {"nnn...'"});
  ExpectRefused("{\"x\":{\"dtype\":[\"" + std::string(100'000, 'n') + "\"]}}", 0, {"an array"});
}

// What every accepted header promises, whatever its bytes.
void ExpectConsistent(const SafetensorsHeader& header, int64_t file_bytes) {
  std::map<int64_t, int64_t> ranges;  // begin -> end, empty tensors left out
  int64_t total = 0;
  const auto add = [&](const std::vector<int64_t>& shape, int64_t begin, int64_t end) {
    for (const int64_t extent : shape) ASSERT_GE(extent, 0);
    ASSERT_GE(begin, header.data_begin);
    ASSERT_LE(begin, end);
    ASSERT_LE(end, file_bytes);
    if (begin < end) {
      ASSERT_TRUE(ranges.emplace(begin, end).second);
    }
    total += end - begin;
  };
  for (const TensorEntry& t : header.tensors) {
    add(t.shape, t.begin, t.end);
    int64_t bytes = DTypeBytes(t.dtype);
    for (const int64_t extent : t.shape) bytes *= extent;
    ASSERT_EQ(bytes, t.end - t.begin);
  }
  for (const OpaqueTensor& t : header.opaque) add(t.shape, t.begin, t.end);
  ASSERT_EQ(total, file_bytes - header.data_begin);
  int64_t covered = header.data_begin;
  for (const auto& [begin, end] : ranges) {
    ASSERT_EQ(begin, covered);
    covered = end;
  }
}

std::string RandomHeader(Random& random, int64_t& data_bytes) {
  std::vector<TensorEntry> tensors;
  for (uint64_t i = random.Below(5); i-- > 0;) {
    TensorEntry tensor;
    tensor.name = fmt::format("blocks.{}.w\xc3\xa9", i);
    tensor.dtype = static_cast<DType>(random.Below(7));
    for (uint64_t d = random.Below(4); d-- > 0;) {
      tensor.shape.push_back(static_cast<int64_t>(random.Below(6)));
    }
    tensors.push_back(tensor);
  }
  std::map<std::string, std::string> metadata;
  if (random.Below(2) == 0) metadata["format"] = "pt";
  const std::string header = BuildSafetensorsHeader(tensors, metadata);
  data_bytes = tensors.empty() ? 0 : tensors.back().end - static_cast<int64_t>(header.size());
  return header;
}

// A few random edits: bytes changed, pieces removed, doubled or replaced by tokens of the format.
std::string Mutate(std::string text, Random& random) {
  static const std::vector<std::string> kTokens = {"{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   ",",
                                                   ":",
                                                   "\"",
                                                   "-1",
                                                   "0",
                                                   "1.5",
                                                   "1e999",
                                                   "18446744073709551616",
                                                   "null",
                                                   "\"F32\"",
                                                   "\"__metadata__\"",
                                                   "\"shape\"",
                                                   "\"data_offsets\":[0,0]",
                                                   "\xff",
                                                   "\\u0000",
                                                   "\\ud800",
                                                   "[[[[[[[[",
                                                   "9223372036854775807",
                                                   "4294967296,4294967296"};
  for (uint64_t edits = 1 + random.Below(3); edits-- > 0;) {
    const size_t at = random.Below(text.size() + 1);
    const size_t length = std::min<size_t>(random.Below(12), text.size() - at);
    switch (random.Below(5)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random.Below(256));
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(at, length));
        break;
      case 3:
        text.insert(at, kTokens[random.Below(kTokens.size())]);
        break;
      default:
        text.replace(at, length, kTokens[random.Below(kTokens.size())]);
    }
  }
  return text;
}

TEST(SafetensorsTest, SurvivesTenThousandMutations) {
  int accepted = 0;
  for (uint64_t seed = 0; seed < 10'000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    int64_t data_bytes = 0;
    const std::string original = RandomHeader(random, data_bytes);
    const auto original_bytes = static_cast<int64_t>(original.size()) + data_bytes;
    ASSERT_TRUE(ParseSafetensorsHeader(Bytes(original), original_bytes).ok());
    // Half of the time the length field is kept right, so that the edits reach the JSON parser.
    const std::string changed = random.Below(2) == 0
                                    ? WithLength(Mutate(original.substr(8), random))
                                    : Mutate(original, random);
    const auto file_bytes = static_cast<int64_t>(changed.size()) + data_bytes;
    const Result<SafetensorsHeader> parsed = ParseSafetensorsHeader(Bytes(changed), file_bytes);
    if (parsed.ok()) {
      ++accepted;
      ExpectConsistent(*parsed, file_bytes);
      if (HasFatalFailure()) return;
    } else {
      ASSERT_LT(parsed.status().message().size(), 1000u);
    }
  }
  // Edits of names and padding are harmless, most others are not: both ways must have been taken.
  EXPECT_GT(accepted, 200);
  EXPECT_LT(accepted, 5000);
}

TEST(SafetensorsDeathTest, TheBuilderChecksItsCaller) {
  std::vector<TensorEntry> twice = {{.name = "x", .shape = {}}, {.name = "x", .shape = {}}};
  EXPECT_DEATH(BuildSafetensorsHeader(twice, {}), "check failed");
  std::vector<TensorEntry> reserved = {{.name = "__metadata__", .shape = {}}};
  EXPECT_DEATH(BuildSafetensorsHeader(reserved, {}), "check failed");
  std::vector<TensorEntry> negative = {{.name = "x", .shape = {-1}}};
  EXPECT_DEATH(BuildSafetensorsHeader(negative, {}), "check failed");
}

}  // namespace
}  // namespace thresher
