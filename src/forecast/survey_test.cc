#include "forecast/survey.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"

namespace thresher {
namespace {

TEST(SurveyTest, PairsAgreeWithCounting) {
  for (int64_t tokens = 0; tokens < 20; ++tokens) {
    for (int64_t window = 1; window < 25; ++window) {
      int64_t pairs = 0;
      for (int64_t i = 0; i < tokens; ++i) pairs += std::min(i + 1, window);
      EXPECT_EQ(QueryKeyPairs(tokens, window), static_cast<double>(pairs));
    }
    EXPECT_EQ(QueryKeyPairs(tokens, std::nullopt), static_cast<double>(tokens * (tokens + 1) / 2));
  }
}

SampleOrRejection MakeSample(int64_t tokens, std::string key = "") {
  Sample sample;
  sample.key = std::move(key);
  sample.token_ids.resize(static_cast<size_t>(tokens));
  sample.sequence_offsets = {0, tokens};
  return sample;
}

TEST(SurveyTest, ErrorBarHoldsTheTruthAboutNineteenTimesOfTwenty) {
  int hits = 0;
  constexpr int kRounds = 200;
  for (uint64_t round = 0; round < kRounds; ++round) {
    Random random(round);
    constexpr int64_t kSamples = 30'000;
    constexpr int64_t kStep = 30;
    std::vector<int64_t> records;
    Surveyor surveyor({.size = {.shard_bytes = 1}, .windows = {std::nullopt}});
    double truth = 0;
    for (int64_t s = 0; s < kSamples; ++s) {
      records.push_back(20 + static_cast<int64_t>(std::exp(7 * random.Uniform())));
      const double ratio = 0.2 + 0.1 * random.Uniform();
      const int64_t tokens = 1 + std::llround(ratio * static_cast<double>(records.back()));
      truth += static_cast<double>(tokens);
      if (s % kStep == kStep / 2) surveyor.Add(s, records.back(), MakeSample(tokens));
    }
    const Survey survey =
        surveyor.Finish({0, kSamples}, [&](int64_t s) { return records[static_cast<size_t>(s)]; });
    EXPECT_FALSE(survey.IsExact());
    EXPECT_LT(std::abs(survey.tokens.value / truth - 1), 0.05);
    if (std::abs(survey.tokens.value - truth) <= survey.tokens.error) ++hits;
  }
  EXPECT_GE(hits, kRounds * 0.90);
  EXPECT_LE(hits, kRounds * 0.995);
}

TEST(SurveyTest, ExactCountsDuplicatesAndRejections) {
  Surveyor surveyor({.size = {.shard_bytes = 1, .bytes_per_row = 10}, .windows = {std::nullopt}});
  surveyor.Add(0, 1, MakeSample(4, "a"));
  surveyor.Add(1, 1, MakeSample(8, "b"));
  surveyor.Add(2, 1, Rejection{"d.jsonl:3: bad"});
  surveyor.Add(3, 1, MakeSample(12, "a"));
  const Survey survey = surveyor.Finish({0, 4}, [](int64_t) { return 1; });
  EXPECT_TRUE(survey.IsExact());
  EXPECT_EQ(survey.tokens.value, 24);
  EXPECT_EQ(survey.tokens.error, 0);
  EXPECT_EQ(survey.bytes.value, 240 + 3);  // and the keys
  EXPECT_EQ(survey.rejected.value, 1);
  EXPECT_EQ(survey.duplicate_keys, 1);
  EXPECT_EQ(survey.duplicates.front().sample, 3);
  EXPECT_EQ(survey.lengths.median, 8);
  EXPECT_EQ(survey.query_key_pairs.front().value, 10 + 36 + 78);
}

TEST(SurveyTest, AssumedNumbers) {
  SampleSettings settings;
  settings.tokens = "every:8";
  const Result<Survey> survey = AssumedSurvey(1000, 2048, settings, {.shard_bytes = 1}, {});
  ASSERT_TRUE(survey.ok()) << survey.status().message();
  EXPECT_EQ(survey->tokens.value, 2'048'000);
  EXPECT_EQ(survey->rows.value, 256'000);
  settings.tokens = "assistant";
  EXPECT_FALSE(AssumedSurvey(1000, 2048, settings, {.shard_bytes = 1}, {}).ok());
}

}  // namespace
}  // namespace thresher
