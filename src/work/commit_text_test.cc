#include "work/commit_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "base/random.h"

namespace thresher {
namespace {

std::string RandomText(Random& random) {
  std::string text;
  for (uint64_t i = random.Below(30); i > 0; --i) {
    text += static_cast<char>(' ' + random.Below('~' - ' '));
  }
  std::erase(text, '"');
  std::erase(text, '\\');
  return text;
}

double RandomNumber(Random& random) {
  const double value = random.Uniform() * std::pow(10.0, 40 * random.Uniform() - 20);
  return random.Below(4) == 0 ? 0 : random.Below(2) == 0 ? -value : value;
}

Commit RandomCommit(Random& random) {
  const auto integer = [&](int64_t minimum) {
    return minimum + static_cast<int64_t>(random.Below(uint64_t{1} << random.Below(62)));
  };
  Commit commit;
  commit.run_fingerprint = RandomText(random);
  commit.unit = integer(0);
  commit.epoch = integer(1);
  commit.worker_id = integer(0);
  commit.session = RandomText(random);
  commit.first_sample = integer(0);
  commit.sample_count = integer(1);
  commit.sequence_count = integer(0);
  commit.token_count = integer(0);
  commit.forward_token_count = integer(0);
  commit.truncated_count = integer(0);
  commit.shard = RandomText(random);
  commit.bytes = integer(1);
  commit.checksum = RandomText(random);
  commit.header_checksum = RandomText(random);
  for (uint64_t i = random.Below(4); i > 0; --i) {
    commit.tensors.push_back({std::to_string(i) + RandomText(random), RandomText(random)});
  }
  for (uint64_t i = random.Below(4); i > 0; --i) {
    commit.statistics.push_back({std::to_string(i) + RandomText(random),
                                 {.count = integer(0),
                                  .not_finite = integer(0),
                                  .sum = RandomNumber(random),
                                  .sum_squares = std::abs(RandomNumber(random)),
                                  .max_abs = std::abs(RandomNumber(random))}});
  }
  for (uint64_t i = random.Below(4); i > 0; --i) {
    commit.rejected.push_back({integer(0), RandomText(random)});
  }
  commit.committed_unix_ms = integer(0);
  return commit;
}

// The slow twin: the same record in another layout, which only the parser of any JSON reads.
Result<Commit> ReadSlowly(const std::string& text) {
  const std::string compact = nlohmann::ordered_json::parse(text).dump();
  EXPECT_FALSE(ReadCommitAsWritten(compact));
  return Commit::FromText(compact, "c");
}

void ExpectSame(const Commit& a, const Commit& b) {
  EXPECT_EQ(a.ToText(), b.ToText());
  ASSERT_EQ(a.statistics.size(), b.statistics.size());
  for (size_t i = 0; i < a.statistics.size(); ++i) {
    EXPECT_EQ(a.statistics[i].name, b.statistics[i].name);
    EXPECT_EQ(a.statistics[i].statistics.sum, b.statistics[i].statistics.sum);
    EXPECT_EQ(a.statistics[i].statistics.sum_squares, b.statistics[i].statistics.sum_squares);
    EXPECT_EQ(a.statistics[i].statistics.max_abs, b.statistics[i].statistics.max_abs);
  }
}

TEST(CommitTextTest, ReadsWhatTheParserReads) {
  Random random(1);
  for (int round = 0; round < 2'000; ++round) {
    const Commit commit = RandomCommit(random);
    const std::string text = commit.ToText();
    const std::optional<Commit> read = ReadCommitAsWritten(text);
    ASSERT_TRUE(read) << text;
    ExpectSame(*read, commit);
    const Result<Commit> slow = ReadSlowly(text);
    ASSERT_TRUE(slow.ok()) << slow.status().message();
    ExpectSame(*read, *slow);
  }
}

// What has escapes, or letters beyond ASCII, is left to the parser.
TEST(CommitTextTest, LeavesOddTextsToTheParser) {
  for (const char* reason :
       {"a \"quoted\" word", "a\\b", "\xc3\xa4", "line\nbreak", "bad \xff byte"}) {
    Random random(2);
    Commit commit = RandomCommit(random);
    commit.rejected = {{1, reason}};
    const std::string text = commit.ToText();
    EXPECT_FALSE(ReadCommitAsWritten(text));
    const Result<Commit> read = Commit::FromText(text, "c");
    ASSERT_TRUE(read.ok()) << read.status().message();
    ExpectSame(*read, commit);
  }
  Random random(3);
  Commit infinite = RandomCommit(random);
  infinite.statistics = {{"hook", {.sum = INFINITY}}};
  EXPECT_FALSE(ReadCommitAsWritten(infinite.ToText()));
}

TEST(CommitTextTest, TakesNoTextThatWasChanged) {
  Random random(4);
  for (int round = 0; round < 20; ++round) {
    const std::string text = RandomCommit(random).ToText();
    for (size_t at = 0; at < text.size(); ++at) {
      EXPECT_FALSE(ReadCommitAsWritten(text.substr(0, at)));
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ (1 + random.Below(255)));
      EXPECT_FALSE(ReadCommitAsWritten(changed)) << changed;
      changed = text;
      changed.insert(at, 1, " \n0"[random.Below(3)]);
      EXPECT_FALSE(ReadCommitAsWritten(changed)) << changed;
    }
    EXPECT_FALSE(ReadCommitAsWritten(text + " "));
  }
}

}  // namespace
}  // namespace thresher
