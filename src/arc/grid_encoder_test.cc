#include "arc/grid_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "arc/arc_data_for_test.h"
#include "arc/augmentation.h"
#include "arc/grid_encoder_spec.h"
#include "base/random.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

std::unique_ptr<GridEncoder> Encoder(const std::string& spec) {
  Result<std::unique_ptr<GridEncoder>> encoder = ParseGridEncoder(spec);
  EXPECT_TRUE(encoder.ok()) << spec << ": " << encoder.status().message();
  return encoder.ok() ? std::move(encoder).value() : nullptr;
}

std::string SpecError(const std::string& spec) {
  const Result<std::unique_ptr<GridEncoder>> encoder = ParseGridEncoder(spec);
  if (encoder.ok()) return "";
  EXPECT_EQ(encoder.status().code(), Code::kInvalidArgument);
  const std::string message = encoder.status().message();
  EXPECT_NE(message.find("; known encoders: MinimalGridEncoder(), "), message.npos) << message;
  return message.substr(0, message.find("; known encoders"));
}

std::string DecodeError(const std::string& spec, const std::string& text) {
  return Encoder(spec)->Decode(text).status().message();
}

// The texts, flips, rotations and recolourings that the first users' system computes.
TEST(GridEncoderTest, ReferenceVectors) {
  int encodings = 0;
  for (const Json& vector : ReadArcTestData("grid_vectors.json")) {
    const ArcGrid grid = GridOf(vector["grid"]);
    for (const auto& [spec, text] : vector["encodings"].items()) {
      const auto encoder = Encoder(spec);
      ASSERT_NE(encoder, nullptr);
      EXPECT_EQ(encoder->Encode(grid), text.get<std::string>()) << spec;
      const Result<ArcGrid> decoded = encoder->Decode(text.get<std::string>());
      ASSERT_TRUE(decoded.ok()) << spec << ": " << decoded.status().message();
      EXPECT_EQ(*decoded, grid) << spec;
      ++encodings;
    }
    for (const Json& turned : vector["geometric"]) {
      EXPECT_EQ(FlipAndRotate(grid, turned["hflip"], turned["n_rot90"]), GridOf(turned["grid"]));
    }
    EXPECT_EQ(Recolor(grid, vector["color_map"]), GridOf(vector["recolored"]));
  }
  EXPECT_EQ(encodings, 180);
}

TEST(GridEncoderTest, AnyNestingReadsBackWhatItWrote) {
  const ArcGrid grid = GridOf({{0, 1, 2, 9}, {3, 4, 5, 6}, {7, 8, 9, 0}});
  for (const char* spec :
       {"replace(shape(row_number(repeat(2))))", "row_number(shape(minimal))",
        "code_block(code_block(row_number(row_number(separation(' · ')))))", "repeat(1)",
        "row_number(replace(separation('```')))", "separation('\\'\"\\\\')"}) {
    const auto encoder = Encoder(spec);
    const std::string text = encoder->Encode(grid);
    const Result<ArcGrid> decoded = encoder->Decode(text);
    ASSERT_TRUE(decoded.ok()) << spec << ": " << decoded.status().message();
    EXPECT_EQ(*decoded, grid);
    EXPECT_EQ(Encoder(encoder->Spec())->Encode(grid), text) << encoder->Spec();
  }
}

TEST(GridEncoderTest, DecodeErrorsNameTheLine) {
  EXPECT_EQ(DecodeError("minimal", "012\n01"),
            "line 2: expected 3 cells as in the first row, found 2");
  EXPECT_EQ(DecodeError("minimal", "012\n0x2"), "line 2: expected a digit for cell 2, found 'x'");
  EXPECT_EQ(DecodeError("minimal", "012\n"), "line 2: expected a digit for cell 1, found ''");
  EXPECT_EQ(DecodeError("minimal", ""), "line 1: expected a digit for cell 1, found ''");
  EXPECT_EQ(DecodeError("separation('|')", "0|1;2"),
            "line 1: expected the separator '|' after cell 2, found ';'");
  EXPECT_EQ(DecodeError("separation('|')", "0|"), "line 1: expected a digit for cell 2, found ''");
  EXPECT_EQ(DecodeError("repeat", "000112"),
            "line 1: expected 3 equal digits for cell 2, found '112'");
  EXPECT_EQ(DecodeError("row_number(minimal)", "1 0\n3 1"),
            "line 2: expected the row number '2 ', found '3 1'");
  EXPECT_EQ(DecodeError("shape(minimal)", "```grid shape: 2x1\n0\n```"),
            "line 1: expected '```grid shape: 1x1', the shape of what follows, found "
            "'```grid shape: 2x1'");
  EXPECT_EQ(DecodeError("code_block(row_number(minimal))", "```grid\n1 0\n2 x\n```"),
            "line 3: expected a digit for cell 1, found 'x'");
  EXPECT_EQ(DecodeError("code_block(minimal)", "```grid\n0\n"),
            "line 3: expected '```' as the last line, found ''");
  EXPECT_EQ(DecodeError("code_block(minimal)", "```grid\n```"),
            "line 2: expected a grid before the closing fence, found '```'");
  EXPECT_EQ(DecodeError("code_block(minimal)", "```grid"),
            "line 1: expected '```' as the last line, found ''");
  EXPECT_EQ(DecodeError("code_block(minimal)", "0"), "line 1: expected '```grid', found '0'");
  EXPECT_EQ(DecodeError("replace(minimal)", "ñ\n1"),
            "line 2: expected a symbol in place of each digit, found '1'");
  EXPECT_EQ(DecodeError("minimal", std::string(31, '0')),
            "line 1: expected at most 30 cells, found '" + std::string(31, '0') + "'");
  std::string rows = "0";
  for (int row = 0; row < 30; ++row) rows += "\n0";
  EXPECT_EQ(DecodeError("minimal", rows), "line 31: expected the end after 30 rows, found '0'");
}

TEST(GridEncoderSpecTest, SpellingsOfOneEncoderHaveOneIdentity) {
  EXPECT_EQ(Encoder(" GridShapeEncoder ( inner = RowNumberEncoder(\n minimal ,) )")->Spec(),
            "GridShapeEncoder(RowNumberEncoder(MinimalGridEncoder()))");
  for (const char* spec : {"repeat", "RepeatNumberEncoder()", "repeat(3)", "repeat( n = 3 )"}) {
    EXPECT_EQ(Encoder(spec)->Spec(), "RepeatNumberEncoder(n=3)");
  }
  for (const char* spec :
       {"separation(\"|\")", "separation('\\x7c')", "separation(sep='\\u007C')"}) {
    EXPECT_EQ(Encoder(spec)->Spec(), "GridWithSeparationEncoder('|')");
  }
  EXPECT_EQ(Encoder("separation('\\u00b7\\u20ac')")->Spec(), "GridWithSeparationEncoder('·€')");
}

TEST(GridEncoderSpecTest, ErrorsNameThePlace) {
  EXPECT_EQ(SpecError("GridShapeEncoder(Rows())"),
            "grid encoder 'GridShapeEncoder(Rows())': at character 18: expected the name of an "
            "encoder, found 'Rows'");
  EXPECT_EQ(SpecError(""),
            "grid encoder '': at character 1: expected the name of an encoder, "
            "found the end");
  EXPECT_EQ(SpecError("shape(minimal"),
            "grid encoder 'shape(minimal': at character 14: expected ',' or ')', found the end");
  EXPECT_EQ(SpecError("shape(minimal))"),
            "grid encoder 'shape(minimal))': at character 15: expected the end, found ')'");
  EXPECT_EQ(SpecError("shape()"),
            "grid encoder 'shape()': at character 7: expected an encoder for 'inner' of "
            "GridShapeEncoder, found ')'");
  EXPECT_EQ(SpecError("shape(minimal, 3)"),
            "grid encoder 'shape(minimal, 3)': at character 16: expected ')', as GridShapeEncoder "
            "takes one argument, found '3'");
  EXPECT_EQ(SpecError("minimal(3)"),
            "grid encoder 'minimal(3)': at character 9: expected ')', as MinimalGridEncoder takes "
            "no argument, found '3'");
  EXPECT_EQ(SpecError("repeat(k=3)"),
            "grid encoder 'repeat(k=3)': at character 8: expected 'n', the only parameter of "
            "RepeatNumberEncoder, found 'k'");
  EXPECT_EQ(SpecError("repeat(0)"),
            "grid encoder 'repeat(0)': at character 8: expected an integer from 1 to 100 for 'n', "
            "found 0");
  EXPECT_EQ(SpecError("repeat('3')"),
            "grid encoder 'repeat('3')': at character 8: expected an integer for 'n' of "
            "RepeatNumberEncoder, found '''");
  EXPECT_EQ(SpecError("repeat(99999999999999999999)"),
            "grid encoder 'repeat(99999999999999999999)': at character 8: expected an integer for "
            "'n' of RepeatNumberEncoder, found '99999999999999999999'");
  EXPECT_EQ(SpecError("separation('ab"),
            "grid encoder 'separation('ab': at character 12: a string that is not closed with '");
  EXPECT_EQ(SpecError("shape(replace(shape(replace(minimal))))"),
            "grid encoder 'shape(replace(shape(replace(minimal))))': at character 21: a "
            "ReplaceNumberEncoder inside another: no digit is left to replace");
}

TEST(GridEncoderSpecTest, SeparatorsThatCannotBeReadBack) {
  const auto error = [](const std::string& literal) {
    const std::string message = SpecError("separation(" + literal + ")");
    const size_t at = message.find("at character 12: ");
    return at == message.npos ? message : message.substr(at + 17);
  };
  EXPECT_EQ(error("''"), "an empty separator; MinimalGridEncoder() writes digits side by side");
  EXPECT_EQ(error("'\\n'"), "the separator '\\x0a' holds a control character");
  EXPECT_EQ(error("'a7'"), "the separator 'a7' holds a digit, which would be taken for a cell");
  EXPECT_EQ(
      error("'\\u00f1'"),
      "the separator '\\xc3\\xb1' holds a symbol that ReplaceNumberEncoder writes for a digit");
  EXPECT_EQ(error("'\xff'"), "the separator '\\xff' is not valid UTF-8");
  EXPECT_EQ(error("'\\q'").substr(0, 5), "grid ") << "an error of the character after the quote";
  EXPECT_NE(error("'\\ud800'"), "");
  EXPECT_NE(error("'\\x7'"), "");
  EXPECT_EQ(error("'" + std::string(33, '-') + "'"),
            "a separator of 33 bytes; at most 32 are possible");
}

TEST(GridEncoderSpecTest, NestingIsBounded) {
  const auto nested = [](int depth) {
    std::string spec;
    for (int level = 1; level < depth; ++level) spec += "shape(";
    spec += "minimal" + std::string(static_cast<size_t>(depth - 1), ')');
    return spec;
  };
  EXPECT_EQ(SpecError(nested(kMaxGridEncoderDepth)), "");
  EXPECT_NE(SpecError(nested(kMaxGridEncoderDepth + 1)).find("nested deeper than 16 levels"),
            std::string::npos);
  EXPECT_NE(SpecError(nested(100'000)).find("nested deeper than 16 levels"), std::string::npos);
}

// Damages a text with parts of the language, or any byte.
std::string Mutated(std::string text, Random& random) {
  static const char* const kParts[] = {"(",      ")",       ",",     "'",  "\"",        "=",
                                       "\n",     "```",     "\\",    "ñ",  "\xff",      "shape",
                                       "repeat", "replace", "inner", "10", "```grid\n", " "};
  for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
    const size_t at = random.Below(text.size() + 1);
    switch (random.Below(4)) {
      case 0:
        text.insert(at, kParts[random.Below(std::size(kParts))]);
        break;
      case 1:
        text.erase(at, random.Below(4));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(random.Next());
        break;
      default:
        text.insert(at, text.substr(random.Below(text.size() + 1), random.Below(20)));
    }
  }
  return text;
}

TEST(GridEncoderFuzzTest, WhatIsReadIsWrittenTheSame) {
  Random random(7);
  const ArcGrid grid = GridOf({{0, 1, 2}, {3, 4, 5}});
  int decoded_count = 0;
  for (const char* spec : {"minimal", "separation(', ')", "repeat(2)", "shape(row_number(minimal))",
                           "replace(code_block(minimal))", "row_number(code_block(repeat))"}) {
    const auto encoder = Encoder(spec);
    for (int round = 0; round < 4'000; ++round) {
      const std::string text = Mutated(encoder->Encode(grid), random);
      const Result<ArcGrid> decoded = encoder->Decode(text);
      if (!decoded.ok()) {
        EXPECT_TRUE(decoded.status().message().starts_with("line ")) << decoded.status().message();
        continue;
      }
      ++decoded_count;
      EXPECT_EQ(encoder->Encode(*decoded), text);
    }
  }
  EXPECT_GT(decoded_count, 100);
}

TEST(GridEncoderFuzzTest, HostileSpecs) {
  Random random(8);
  const ArcGrid grid = GridOf({{0, 1, 2}, {3, 4, 5}});
  const char* const seeds[] = {"GridShapeEncoder(RowNumberEncoder(MinimalGridEncoder()))",
                               "code_block(replace(separation(sep='\\u00b7\\'')))",
                               "RepeatNumberEncoder(n=2)"};
  std::set<std::string> accepted;
  for (int round = 0; round < 20'000; ++round) {
    const std::string spec = Mutated(seeds[random.Below(std::size(seeds))], random);
    const Result<std::unique_ptr<GridEncoder>> encoder = ParseGridEncoder(spec);
    if (!encoder.ok()) {
      const std::string message = encoder.status().message();
      ASSERT_TRUE(std::all_of(message.begin(), message.end(), [](char c) {
        return c >= 0x20 && c < 0x7f;
      })) << message;
      continue;
    }
    const std::string canonical = (*encoder)->Spec();
    accepted.insert(canonical);
    EXPECT_EQ(Encoder(canonical)->Spec(), canonical);
    const Result<ArcGrid> decoded = (*encoder)->Decode((*encoder)->Encode(grid));
    ASSERT_TRUE(decoded.ok()) << canonical << ": " << decoded.status().message();
    EXPECT_EQ(*decoded, grid);
  }
  EXPECT_GT(accepted.size(), 20u);
}

}  // namespace
}  // namespace thresher
