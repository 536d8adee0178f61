// Many worlds: a fixed set, so that a change that breaks one is found at once, and some that no run
// has seen before. A failing seed of the second kind becomes a named one below.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "sim/seed_runner.h"

namespace thresher::sim {
namespace {

constexpr int64_t kJobs = 2;

void ExpectNoFailures(const SeedRange& range) {
  const SeedSummary summary = RunSeeds(range, {.jobs = kJobs, .protocol = {}, .progress = {}});
  std::printf("seeds %llu-%llu: %s\n", static_cast<unsigned long long>(range.first),
              static_cast<unsigned long long>(range.last), summary.Describe().c_str());
  for (const WorldReport& report : summary.failures) {
    ADD_FAILURE() << "seed " << report.seed << " after " << report.failed_at_seconds
                  << " s: " << report.failure << "\nreplay: thresher-sim run --seed " << report.seed
                  << " --trace";
  }
}

TEST(Seeds, TheSameAsAlways) { ExpectNoFailures({1, 2500}); }

// Others every day; THRESHER_SIM_FIRST_SEED asks for certain ones.
TEST(Seeds, SomeNewOnes) {
  constexpr uint64_t kCount = 500;
  const char* asked = std::getenv("THRESHER_SIM_FIRST_SEED");
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto day =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::hours>(now).count() / 24);
  const uint64_t first =
      asked != nullptr ? std::strtoull(asked, nullptr, 10) : 1'000'000'000 + day * kCount;
  ExpectNoFailures({first, first + kCount - 1});
}

struct NamedSeed {
  const char* name;
  uint64_t seed;
};
class SeedsByName : public ::testing::TestWithParam<NamedSeed> {};

TEST_P(SeedsByName, StayMended) { ExpectNoFailures({GetParam().seed, GetParam().seed}); }

INSTANTIATE_TEST_SUITE_P(All, SeedsByName,
                         ::testing::Values(NamedSeed{"LatePartialUpload", 1612},
                                           NamedSeed{"KillerUnitOnASlowMachine", 4107},
                                           NamedSeed{"NeighbourOfAKillerUnit", 1488}),
                         [](const auto& seed) { return seed.param.name; });

}  // namespace
}  // namespace thresher::sim
