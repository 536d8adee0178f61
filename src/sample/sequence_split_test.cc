#include "sample/sequence_split.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace thresher {
namespace {

using Ids = std::vector<int32_t>;
using Offsets = std::vector<int64_t>;

TEST(SequenceSplitTest, WhatFitsStaysOneSequence) {
  const SplitTokens split = Split({.token_ids = {1, 2, 3}, .places = {}, .specials_in_front = 1},
                                  {.max_tokens = 3, .overlap = 1});
  EXPECT_EQ(split.token_ids, (Ids{1, 2, 3}));
  EXPECT_EQ(split.sequence_offsets, (Offsets{0, 3}));
}

TEST(SequenceSplitTest, EachSequenceHasTheSpecialTokensAndRepeatsTheOverlap) {
  const SplitTokens split =
      Split({.token_ids = {100, 1, 2, 3, 4, 5, 6, 7, 101},
             .places = {{0, 0}, {0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}, {7, 7}},
             .specials_in_front = 1,
             .specials_behind = 1},
            {.max_tokens = 5, .overlap = 1});
  EXPECT_EQ(split.token_ids, (Ids{100, 1, 2, 3, 101, 100, 3, 4, 5, 101, 100, 5, 6, 7, 101}));
  EXPECT_EQ(split.sequence_offsets, (Offsets{0, 5, 10, 15}));
  EXPECT_EQ(split.places[6], (ByteRange{2, 3}));
}

// Walks token by token: the slow, obvious twin.
std::vector<Ids> SlowSplit(const TokenList& tokens, const SplitOptions& options) {
  const auto count = static_cast<int64_t>(tokens.token_ids.size());
  if (count <= options.max_tokens) return {tokens.token_ids};
  const Ids front(tokens.token_ids.begin(), tokens.token_ids.begin() + tokens.specials_in_front);
  const Ids behind(tokens.token_ids.end() - tokens.specials_behind, tokens.token_ids.end());
  std::vector<Ids> sequences;
  int64_t next = tokens.specials_in_front;
  while (next < count - tokens.specials_behind) {
    Ids sequence = front;
    if (!sequences.empty()) next -= options.overlap;
    while (next < count - tokens.specials_behind &&
           static_cast<int64_t>(sequence.size() + behind.size()) < options.max_tokens) {
      sequence.push_back(tokens.token_ids[static_cast<size_t>(next++)]);
    }
    sequence.insert(sequence.end(), behind.begin(), behind.end());
    sequences.push_back(sequence);
  }
  return sequences;
}

TEST(SequenceSplitTest, IsWhatTheSlowWayGives) {
  Random random(11);
  for (int round = 0; round < 3'000; ++round) {
    TokenList tokens;
    tokens.specials_in_front = static_cast<int64_t>(random.Below(3));
    tokens.specials_behind = static_cast<int64_t>(random.Below(3));
    const int64_t specials = tokens.specials_in_front + tokens.specials_behind;
    const int64_t count = specials + static_cast<int64_t>(random.Below(40));
    for (int64_t i = 0; i < count; ++i) {
      tokens.token_ids.push_back(static_cast<int32_t>(i));
      tokens.places.push_back({i, i + 1});
    }
    SplitOptions options;
    options.overlap = static_cast<int64_t>(random.Below(4));
    options.max_tokens = specials + options.overlap + 1 + static_cast<int64_t>(random.Below(9));
    const SplitTokens split = Split(tokens, options);
    std::vector<Ids> sequences;
    for (size_t i = 0; i + 1 < split.sequence_offsets.size(); ++i) {
      sequences.emplace_back(split.token_ids.begin() + split.sequence_offsets[i],
                             split.token_ids.begin() + split.sequence_offsets[i + 1]);
      ASSERT_LE(static_cast<int64_t>(sequences.back().size()), options.max_tokens);
    }
    if (count == 0) continue;
    ASSERT_EQ(sequences, SlowSplit(tokens, options)) << round;
    for (size_t i = 0; i < split.token_ids.size(); ++i) {
      ASSERT_EQ(split.places[i].begin, split.token_ids[i]);
    }
  }
}

}  // namespace
}  // namespace thresher
