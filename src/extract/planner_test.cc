// Units of data sets whose lengths vary tenfold, against an exact count of every shard.

#include "extract/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "extract/size_estimate.h"

namespace thresher {
namespace {

using Sizes = std::vector<int64_t>;

// Of a normal distribution, by the central limit theorem.
double Normal(Random& random) {
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += random.Uniform();
  return sum - 6;
}

// Log-normal: from a tenth to ten times the median, nearly always.
int64_t LogNormal(Random& random, double median) {
  return std::max<int64_t>(1, std::llround(median * std::exp(0.75 * Normal(random))));
}

Sizes UnitBytes(const Sizes& samples, const std::vector<int64_t>& ends) {
  Sizes bytes;
  int64_t begin = 0;
  for (const int64_t end : ends) {
    bytes.push_back(std::accumulate(samples.begin() + begin, samples.begin() + end, int64_t{0}));
    begin = end;
  }
  EXPECT_EQ(begin, static_cast<int64_t>(samples.size()));
  return bytes;
}

// The largest |size / wished - 1| of all units but the last.
double LargestDeviation(const Sizes& units, double wished) {
  double largest = 0;
  for (size_t u = 0; u + 1 < units.size(); ++u) {
    largest = std::max(largest, std::abs(static_cast<double>(units[u]) / wished - 1));
  }
  return largest;
}

TEST(UnitEndsTest, EqualUnitsWhereThatIsNearEnough) {
  EXPECT_THAT(UnitEnds(Sizes(100, 1), 10),
              testing::ElementsAre(10, 20, 30, 40, 50, 60, 70, 80, 90, 100));
  EXPECT_THAT(UnitEnds(Sizes(98, 10), 490), testing::ElementsAre(49, 98));
  // 2.3 units: two whole ones and the rest.
  EXPECT_THAT(UnitEnds(Sizes(23, 1), 10), testing::ElementsAre(10, 20, 23));
  EXPECT_THAT(UnitEnds(Sizes(3, 1), 10), testing::ElementsAre(3));
  EXPECT_THAT(UnitEnds(Sizes(3, 0), 10), testing::ElementsAre(3));
}

TEST(UnitEndsTest, ALargeSampleIsAUnitOfItsOwn) {
  EXPECT_THAT(UnitEnds(Sizes{3, 3, 50, 3, 3, 3}, 10), testing::ElementsAre(2, 3, 6));
  EXPECT_THAT(UnitEnds(Sizes{50, 50}, 10), testing::ElementsAre(1, 2));
  // What is next to nothing goes with it.
  EXPECT_THAT(UnitEnds(Sizes{0, 0, 50, 0, 60, 0}, 10), testing::ElementsAre(4, 6));
}

TEST(UnitEndsTest, NeverOffByMoreThanHalfTheSamplesAtTheEnds) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    Sizes samples;
    const uint64_t count = 1 + random.Below(3000);
    for (uint64_t s = 0; s < count; ++s) samples.push_back(LogNormal(random, 100));
    const int64_t largest = *std::max_element(samples.begin(), samples.end());
    const int64_t wished = largest + 1 + static_cast<int64_t>(random.Below(20'000));
    const Sizes units = UnitBytes(samples, UnitEnds(samples, wished));
    for (size_t u = 0; u + 1 < units.size(); ++u) {
      EXPECT_LE(std::abs(static_cast<double>(units[u] - wished)),
                0.05 * static_cast<double>(wished) + static_cast<double>(largest))
          << "seed " << seed << ", unit " << u;
    }
  }
}

// A data set by formula: what records are long, and what their samples add to a shard.
struct MadeUp {
  Sizes record_bytes;
  Sizes shard_bytes;
};

// Plans as PlanUnits does, from some thousand samples; `exact` from all of them.
Sizes PlannedUnits(const MadeUp& data, int64_t wished, bool exact) {
  if (exact) return UnitBytes(data.shard_bytes, UnitEnds(data.shard_bytes, wished));
  const size_t count = data.shard_bytes.size();
  std::vector<ExaminedSample> examined;
  for (int64_t i = 0; i < kMaxSamplesExamined; ++i) {
    const size_t s = (2 * static_cast<size_t>(i) + 1) * count / (2 * kMaxSamplesExamined);
    examined.push_back({static_cast<int64_t>(s), data.record_bytes[s], data.shard_bytes[s]});
  }
  const SizeEstimate estimate = SizeEstimate::Learn(examined);
  Sizes estimates;
  for (size_t s = 0; s < count; ++s) {
    estimates.push_back(estimate.Of(static_cast<int64_t>(s), data.record_bytes[s]));
  }
  return UnitBytes(data.shard_bytes, UnitEnds(estimates, wished));
}

struct Shape {
  const char* name;
  double noise;        // of tokens for a record's length
  int64_t max_tokens;  // longer samples are cut
  double drift;        // the end of the data set has so many more tokens a byte
};

TEST(SizeEstimateTest, UnitsOfTenfoldLengthsAreWithinTenPercent) {
  for (const Shape& shape :
       {Shape{"text", 0.15, 1 << 30, 0}, Shape{"cut", 0.15, 150, 0},
        Shape{"drifting", 0.15, 1 << 30, 1.0}, Shape{"selected tokens", 0.6, 1 << 30, 0}}) {
    SCOPED_TRACE(shape.name);
    Random random(7);
    MadeUp data;
    constexpr int64_t kSamples = 200'000;
    for (int64_t s = 0; s < kSamples; ++s) {
      const int64_t bytes = LogNormal(random, 400) + 20;
      const double ratio = 0.25 * (1 + shape.drift * static_cast<double>(s) / kSamples);
      const double tokens =
          ratio * static_cast<double>(bytes) * std::max(0.0, 1 + shape.noise * Normal(random));
      data.record_bytes.push_back(bytes);
      data.shard_bytes.push_back(100 * std::min<int64_t>(shape.max_tokens, std::llround(tokens)));
    }
    const int64_t total =
        std::accumulate(data.shard_bytes.begin(), data.shard_bytes.end(), int64_t{0});
    // 100 units of about 2,000 samples.
    const int64_t wished = total / 100;
    const double planned =
        LargestDeviation(PlannedUnits(data, wished, false), static_cast<double>(wished));
    const double exact =
        LargestDeviation(PlannedUnits(data, wished, true), static_cast<double>(wished));
    EXPECT_LT(exact, 0.02);
    EXPECT_LT(planned, 0.10);
    RecordProperty(shape.name, std::to_string(planned));
  }
}

TEST(SizeEstimateTest, OneRowEach) {
  std::vector<ExaminedSample> examined;
  for (int64_t i = 0; i < 1000; ++i) examined.push_back({i, 10 + i * 7 % 900, 64});
  const SizeEstimate estimate = SizeEstimate::Learn(examined);
  EXPECT_EQ(estimate.Of(3, 1), 64);
  EXPECT_EQ(estimate.Of(999, 100'000), 64);
  EXPECT_EQ(estimate.relative_error(), 0);
}

class PlanUnitsTest : public testing::Test {
 protected:
  // Writes records of token ids with lengths that vary tenfold.
  void Write(int64_t count, int64_t median) {
    Random random(3);
    std::ofstream file(path());
    for (int64_t i = 0; i < count; ++i) {
      file << "{\"token_ids\": [1";
      const int64_t length = LogNormal(random, static_cast<double>(median));
      for (int64_t t = 1; t < length; ++t) file << "," << random.Below(500);
      file << "]}\n";
    }
  }
  std::string path() const { return folder_.path() + "/d.jsonl"; }

  SampleSet Open(int64_t max_tokens, int threads = 0) const {
    SampleReaderOptions options;
    options.settings.max_tokens = max_tokens;
    options.vocabulary_size = 512;
    options.threads = threads;
    Result<SampleSet> samples = SampleSet::Open(path(), folder_.path(), options);
    THRESHER_CHECK(samples.ok());
    return std::move(samples).value();
  }

  TemporaryFolder folder_;
};

Sizes ExactUnits(const SampleSet& samples, const Plan& plan, const UnitSize& size) {
  Sizes bytes;
  for (int64_t unit = 0; unit < plan.unit_count(); ++unit) {
    const SampleRange range = plan.Samples(unit);
    int64_t sum = size.bytes_per_shard;
    const auto read = samples.Read(range.first, range.count);
    for (const SampleOrRejection& outcome : *read) sum += size.BytesOf(std::get<Sample>(outcome));
    bytes.push_back(sum);
  }
  return bytes;
}

TEST_F(PlanUnitsTest, SampledPlanIsWithinTenPercentAndTheSameForAnyThreads) {
  Write(kMaxSamplesReadWholly + 5000, 20);
  const UnitSize size{.shard_bytes = 100'000, .bytes_per_row = 100};
  const SampleSet one = Open(60, 1);
  const Result<Plan> plan = PlanUnits(one, {0, one.sample_count()}, size);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  const Sizes units = ExactUnits(one, *plan, size);
  EXPECT_GT(units.size(), 100U);
  EXPECT_LT(LargestDeviation(units, 100'000), 0.10);
  const SampleSet four = Open(60, 4);
  EXPECT_EQ(PlanUnits(four, {0, four.sample_count()}, size)->boundaries(), plan->boundaries());
}

TEST_F(PlanUnitsTest, SmallDataSetsAreCountedExactly) {
  Write(2000, 30);
  const SampleSet samples = Open(2048);
  const UnitSize size{.shard_bytes = 50'000, .bytes_per_row = 10, .bytes_per_shard = 500};
  int64_t seen = 0;
  const Result<Plan> plan =
      PlanUnits(samples, {0, samples.sample_count()}, size,
                [&](int64_t index, const SampleOrRejection&) { EXPECT_EQ(index, seen++); });
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_EQ(seen, 2000);
  EXPECT_LT(LargestDeviation(ExactUnits(samples, *plan, size), 50'000), 0.10);
}

// With one row of each sample a shard of the wished size would be hours of reading.
TEST_F(PlanUnitsTest, AUnitIsNeverMoreThanSoManyTokens) {
  std::ofstream file(path());
  for (int i = 0; i < 300; ++i) {
    file << "{\"token_ids\": [1";
    for (int t = 1; t < 10'000; ++t) file << ",2";
    file << "]}\n";
  }
  file.close();
  SampleReaderOptions options;
  options.settings.max_tokens = 10'000;
  options.settings.tokens = "last";
  options.vocabulary_size = 512;
  const Result<SampleSet> samples = SampleSet::Open(path(), folder_.path(), options);
  ASSERT_TRUE(samples.ok()) << samples.status().message();
  const UnitSize size{.shard_bytes = 1'000'000, .bytes_per_row = 100};
  ASSERT_EQ(size.MostTokens(), 1'000'000);
  const Result<Plan> plan = PlanUnits(*samples, {0, 300}, size);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_EQ(plan->boundaries(), (std::vector<int64_t>{0, 100, 200, 300}));
}

TEST_F(PlanUnitsTest, NothingUsableIsAnErrorWithTheFirstReason) {
  std::ofstream(path()) << "{\"token_ids\": []}\n{\"token_ids\": [\"x\"]}\n";
  const SampleSet samples = Open(16);
  const Result<Plan> plan = PlanUnits(samples, {0, 2}, {.shard_bytes = 100});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(plan.status().message(), testing::HasSubstr("d.jsonl:1"));
}

}  // namespace
}  // namespace thresher
