#include "sim/world.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/mutants.h"
#include "sim/scale.h"
#include "sim/scenario.h"
#include "sim/seed_runner.h"

namespace thresher::sim {
namespace {

std::vector<std::string> TraceOf(uint64_t seed) {
  std::vector<std::string> lines;
  (void)RunSeed(seed, {}, [&](const std::string& line) { lines.push_back(line); });
  return lines;
}

TEST(World, IsAFunctionOfItsSeed) {
  for (const uint64_t seed : {7u, 8u}) {
    const std::vector<std::string> trace = TraceOf(seed);
    EXPECT_GT(trace.size(), 50u);
    EXPECT_EQ(trace, TraceOf(seed));
  }
  EXPECT_NE(TraceOf(7), TraceOf(8));
}

TEST(World, ATraceChangesNothing) {
  const WorldReport silent = RunSeed(11, {}, {});
  const WorldReport traced = RunSeed(11, {}, [](const std::string&) {});
  EXPECT_EQ(silent.events, traced.events);
  EXPECT_EQ(silent.requests.of_units, traced.requests.of_units);
}

TEST(World, WithoutFaultsNothingIsDoneTwice) {
  Scenario scenario = CalmScenario(4, 40);
  scenario.seed = 1;
  const WorldReport report = World(scenario, {.protocol = {}, .trace = {}}).Turn();
  EXPECT_EQ(report.failure, "");
  EXPECT_EQ(report.work.committed_units, 40);
  EXPECT_EQ(report.work.duplicate_units, 0);
  EXPECT_EQ(report.work.computed_us, report.work.useful_us);
  EXPECT_EQ(report.kills, 0);
  EXPECT_LT(report.makespan_over_ideal, 1.1);
}

// Each of three workers has a block of units for itself, and one has a unit that nobody can make.
TEST(World, APoisonUnitOfALoneWorkerIsSetAsideLongBeforeTheEnd) {
  for (const int64_t workers : {3, 1}) {
    Scenario scenario = CalmScenario(workers, 3'000);
    scenario.worker.worker_count = workers;
    scenario.worker.writes_manifest = false;
    scenario.workload.poison[1'010] = Poison::kFails;
    int64_t committed = 0;
    std::vector<int64_t> failed_at;  // so many units were committed by then
    const auto watch = [&](const std::string& line) {
      if (line.find(" committed unit-") != std::string::npos) ++committed;
      if (line.find("unit-001010 failed") != std::string::npos) failed_at.push_back(committed);
    };
    const WorldReport report = World(scenario, {.protocol = {}, .trace = watch}).Turn();
    EXPECT_EQ(report.failure, "");
    EXPECT_EQ(report.work.committed_units, 2'999);
    EXPECT_EQ(report.work.duplicate_units, 0);
    EXPECT_EQ(report.innocents_set_aside, 0);
    ASSERT_EQ(failed_at.size(), 3U);
    EXPECT_LT(failed_at[2] - failed_at[0], 60);
  }
}

// The seeds' runs are small. These have two blocks of units, and all that can go wrong.
TEST(World, RunsOfTwoBlocksUnderFaults) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Scenario scenario = DrawScenario(seed);
    const int64_t units = scenario.workload.unit_count();
    scenario.workload.sample_count = 1'100 * scenario.workload.samples_per_unit;
    scenario.workload.unit_us = scenario.workload.unit_us * units / 1'100 + 1;
    scenario.workload.poison[1'050] = Poison::kFails;
    scenario.worker.writes_manifest = false;
    scenario.deadline_us *= 20;
    const WorldReport report = World(scenario, {.protocol = {}, .trace = {}}).Turn();
    EXPECT_EQ(report.failure, "") << "seed " << seed;
    EXPECT_GE(report.work.committed_units, 1'090) << "seed " << seed;
  }
}

TEST(World, SeedsDifferInWhatGoesWrong) {
  SeedSummary summary;
  for (uint64_t seed = 1; seed <= 40; ++seed) summary.Add(RunSeed(seed, {}, {}));
  EXPECT_GT(summary.kills, 20);
  EXPECT_GT(summary.sessions, summary.worlds);
  EXPECT_GT(summary.work.duplicated_us, 0);
  EXPECT_LT(summary.work.useful_us, summary.work.computed_us);
}

TEST(World, TwoThreadsSeeWhatOneSees) {
  const SeedSummary one = RunSeeds({1, 60}, {.jobs = 1, .protocol = {}, .progress = {}});
  const SeedSummary two = RunSeeds({1, 60}, {.jobs = 2, .protocol = {}, .progress = {}});
  EXPECT_EQ(one.worlds, 60);
  EXPECT_EQ(one.events, two.events);
  EXPECT_EQ(one.requests.of_units, two.requests.of_units);
}

TEST(Scale, AFewMachinesFinishCloseToTheIdeal) {
  for (const bool known : {true, false}) {
    const ScaleOptions options{.workers = 20,
                               .units = 1000,
                               .preempt_per_hour = 0.3,
                               .start_seconds = 1,
                               .known_worker_count = known};
    const ScaleReport report = SimulateScale(options, {});
    EXPECT_TRUE(report.complete);
    EXPECT_GE(report.makespan_seconds, 0.95 * report.ideal_seconds);
    EXPECT_LT(report.makespan_seconds, 1.25 * report.ideal_seconds)
        << DescribeScale(options, report);
  }
}

class MutantTest : public ::testing::TestWithParam<Mutant> {};

// A simulator that cannot find a broken protocol proves nothing about a sound one.
TEST_P(MutantTest, IsFound) {
  constexpr uint64_t kLastSeed = 4000;
  const std::optional<MutantFound> found = FindMutant(GetParam(), kLastSeed);
  ASSERT_TRUE(found) << GetParam().name << " was not found by seeds 1 to " << kLastSeed;
  std::printf("%s: found by seed %llu: %s\n", GetParam().name.c_str(),
              static_cast<unsigned long long>(found->seed), found->failure.c_str());
  EXPECT_EQ(RunSeed(found->seed, {}, {}).failure, "") << "the product falls over this seed, too";
}

INSTANTIATE_TEST_SUITE_P(All, MutantTest, ::testing::ValuesIn(Mutants()),
                         [](const auto& mutant) { return mutant.param.name; });

}  // namespace
}  // namespace thresher::sim
