// Hostile job files: pieces of TOML in any order, and valid files with random damage. Each becomes
// values of known keys or one printable message with a place; nothing is read twice differently.

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "base/random.h"
#include "settings/job_file.h"

namespace thresher {
namespace {

const std::vector<JobKey> kKeys = {{"model"},
                                   {"hooks", SettingType::kText, true},
                                   {"shard-bytes"},
                                   {"threads", SettingType::kInteger},
                                   {"fraction", SettingType::kNumber},
                                   {"quiet", SettingType::kSwitch}};
const std::vector<std::string> kSections = {"model", "run"};

const char* const kSeeds[] = {
    "model = \"m\"\nhooks = [\"a\", 'b']\nthreads = 4\nquiet = true\n",
    "# comment\n[run]\nshard_bytes = \"1GB\" # end\nfraction = 0.5e-3\n[model]\nmodel = 'x'\n",
    "run = {threads = 0xff, quiet = false}\nmodel = \"\"\"\na\\\n   b\"\"\"\n",
    "[[run]]\na.b.c = 1979-05-27T07:32:00.999-07:00\n\"quoted key\" = [[1], [2.0, nan]]\n",
};

const char* const kPieces[] = {
    "=",          "[",        "]",       "[[",          "]]",      "{",
    "}",          ",",        ".",       "\"",          "\"\"\"",  "'",
    "'''",        "\\",       "\\u00e9", "\\U0010FFFF", "\\ud800", "\n",
    "\r",         "\r\n",     "#",       "model",       "hooks",   "threads",
    "run",        "quiet",    "true",    "inf",         "nan",     "-",
    "+",          "_",        "0x",      "0b1",         "1e999",   "9223372036854775808",
    "1979-05-27", "07:32:00", "\t",      " ",           "\xff",    "\xef\xbb\xbf",
    "\xc3\xa9",   "\x7f",     "\x1b[31m"};

std::string Mutated(Random& random) {
  std::string text = kSeeds[random.Below(std::size(kSeeds))];
  for (uint64_t n = 1 + random.Below(5); n > 0; --n) {
    const size_t at = random.Below(text.size() + 1);
    switch (random.Below(5)) {
      case 0:
        text.erase(at, random.Below(8));
        break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(random.Next());
        break;
      case 2:
        text.insert(at, text.substr(random.Below(text.size() + 1), random.Below(32)));
        break;
      default:
        text.insert(at, kPieces[random.Below(std::size(kPieces))]);
    }
  }
  return text;
}

std::string Assembled(Random& random) {
  std::string text;
  for (uint64_t n = random.Below(24); n > 0; --n) text += kPieces[random.Below(std::size(kPieces))];
  return text;
}

void ExpectPromisesKept(const std::string& text) {
  const auto parsed = ParseJobFile(text, "job.toml", kKeys, kSections);
  if (!parsed.ok()) {
    const std::string message = parsed.status().message();
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument);
    EXPECT_TRUE(message.starts_with("job.toml:")) << message;
    EXPECT_LT(message.size(), 500u) << message;
    EXPECT_TRUE(std::all_of(message.begin(), message.end(), [](char c) {
      return c >= 0x20 && c < 0x7f;
    })) << testing::PrintToString(message);
    return;
  }
  std::vector<std::string> seen;
  for (const JobValue& value : *parsed) {
    const auto key = std::find_if(kKeys.begin(), kKeys.end(),
                                  [&](const JobKey& k) { return k.name == value.name; });
    ASSERT_NE(key, kKeys.end()) << value.name;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), value.name), 0);
    seen.push_back(value.name);
    EXPECT_TRUE(key->is_list ? !value.values.empty() : value.values.size() == 1);
    for (const std::string& item : value.values) {
      // Only valid UTF-8 comes through, and what came through can be written again.
      EXPECT_TRUE(TomlString(item).ok());
      if (key->type == SettingType::kSwitch) {
        EXPECT_TRUE(item == "true" || item == "false") << item;
      }
      if (key->type == SettingType::kInteger) {
        EXPECT_EQ(item.find_first_not_of("0123456789", item.starts_with('-') ? 1 : 0), item.npos);
      }
    }
  }
}

TEST(JobFileFuzzTest, DamagedFiles) {
  Random random(20261123);
  int64_t accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = Mutated(random);
    SCOPED_TRACE(testing::PrintToString(text));
    ExpectPromisesKept(text);
    accepted += ParseJobFile(text, "job.toml", kKeys, kSections).ok() ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(accepted, 500) << "the damage is too large to reach what lies behind the syntax";
}

TEST(JobFileFuzzTest, PiecesInAnyOrder) {
  Random random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = Assembled(random);
    SCOPED_TRACE(testing::PrintToString(text));
    ExpectPromisesKept(text);
    if (HasFailure()) return;
  }
}

TEST(JobFileFuzzTest, RandomBytes) {
  Random random(11);
  for (int i = 0; i < 5'000; ++i) {
    std::string text(random.Below(64), '\0');
    for (char& byte : text) byte = static_cast<char>(random.Next());
    SCOPED_TRACE(testing::PrintToString(text));
    ExpectPromisesKept(text);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace thresher
