#include "monitor/run_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "extract/completion.h"
#include "monitor/commit_sample.h"
#include "monitor/manifest_totals.h"
#include "monitor/run_for_test.h"
#include "monitor/worker_survey.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class CountingStore : public MemoryStore {
 public:
  using MemoryStore::MemoryStore;
  Result<std::string> GetText(std::string_view key) override {
    ++reads;
    return MemoryStore::GetText(key);
  }
  int reads = 0;
};

class RunReaderTest : public testing::Test {
 protected:
  // Units of two samples.
  void MakeRun(int64_t units) { run_ = BeginRunForTest(store_, 2 * units, 2); }

  void Put(const std::string& key, const std::string& text) {
    ASSERT_TRUE(store_.Put(key, AsBytes(text)).ok());
  }

  void CommitUnit(int64_t unit) {
    Commit commit;
    commit.run_fingerprint = run_->fingerprint;
    commit.unit = unit;
    commit.epoch = 1;
    commit.first_sample = 2 * unit;
    commit.sample_count = 2;
    commit.sequence_count = 2;
    commit.token_count = 100 + unit % 37;
    commit.forward_token_count = 2 * commit.token_count;
    commit.bytes = 10'000;
    Put(CommitKey(unit), commit.ToText());
  }

  Heartbeat Beat(int64_t worker, const std::string& session, std::vector<int64_t> held = {}) {
    Heartbeat beat;
    beat.worker_id = worker;
    beat.session = session;
    beat.state = "running";
    beat.lease_ttl_ms = 60'000;
    beat.beat_interval_ms = 5'000;
    beat.recent_tokens_per_second = 7;
    beat.started_unix_ms = clock_.UnixMs();
    beat.updated_unix_ms = clock_.UnixMs();
    beat.units_held = std::move(held);
    Put(HeartbeatKey(worker, session), beat.ToText());
    return beat;
  }

  RunStatus Read(const RunStatusOptions& options = {}) {
    Result<RunStatus> status = reader_.Read(options);
    EXPECT_TRUE(status.ok()) << status.status().message();
    return status.ok() ? *std::move(status) : RunStatus();
  }

  HandClock clock_;
  CountingStore store_{clock_};
  RunReader reader_{store_};
  std::optional<thresher::Run> run_;
};

TEST_F(RunReaderTest, KnowsTheStateOfEveryUnit) {
  MakeRun(6);
  CommitUnit(0);
  Put(QuarantineKey(1), Quarantine{.unit = 1, .sample_count = 2, .errors = {"x"}}.ToText());
  for (const int64_t unit : {0, 1, 2, 3}) Put(LeaseKey(unit, 1), Lease{unit, 1, 0, "s"}.ToText());
  clock_.SleepMs(16'000);
  // Nobody's heartbeat says so yet.
  Put(LeaseKey(5, 1), Lease{5, 1, 0, "s"}.ToText());
  Beat(0, "s", {2, 4});
  const RunStatus status = Read();
  EXPECT_THAT(status.units, ElementsAre(UnitCondition::kCommitted, UnitCondition::kQuarantined,
                                        UnitCondition::kHeld, UnitCondition::kWaiting,
                                        UnitCondition::kHeld, UnitCondition::kHeld));
  EXPECT_THAT(status.unit_counts, ElementsAre(0, 3, 1, 1, 1));
}

TEST_F(RunReaderTest, AWorkerFallsSilentThenIsLostThenReplaced) {
  MakeRun(2);
  Beat(3, "first");
  EXPECT_EQ(Read().workers[0].state, WorkerState::kRunning);
  clock_.SleepMs(15'001);
  Beat(4, "other");
  EXPECT_EQ(Read().workers[0].state, WorkerState::kSilent);
  EXPECT_EQ(Read().tokens_per_second, 7);
  clock_.SleepMs(45'000);
  Beat(4, "other");
  EXPECT_EQ(Read().workers[0].state, WorkerState::kLost);
  Beat(3, "second");
  const RunStatus status = Read();
  ASSERT_THAT(status.workers, SizeIs(3));
  EXPECT_EQ(status.workers[0].heartbeat.session, "second");
  EXPECT_EQ(status.workers[0].restarts, 1);
  EXPECT_EQ(status.workers[1].state, WorkerState::kReplaced);
  EXPECT_EQ(status.workers[1].restarts, 0);
}

TEST_F(RunReaderTest, TheStoresClockIsLearntFromHeartbeatsThatChange) {
  MakeRun(2);
  // The reader's clock is an hour ahead of the store's.
  constexpr int64_t kAheadMs = 3'600'000;
  const auto read = [&] { return Read({.now_unix_ms = clock_.UnixMs() + kAheadMs}); };
  Beat(0, "a");
  EXPECT_EQ(read().workers[0].state, WorkerState::kLost);
  clock_.SleepMs(1'000);
  Beat(0, "a");
  EXPECT_EQ(read().workers[0].state, WorkerState::kRunning);
  clock_.SleepMs(20'000);
  EXPECT_EQ(read().workers[0].state, WorkerState::kSilent);
}

TEST_F(RunReaderTest, AWorkerThatHoldsUnitsAndComputesNothingIsStalled) {
  MakeRun(2);
  Heartbeat beat = Beat(0, "a", {1});
  beat.progressed_unix_ms = beat.updated_unix_ms - 700'000;
  Put(HeartbeatKey(0, "a"), beat.ToText());
  EXPECT_EQ(Read().workers[0].stalled_ms, 700'000);
  clock_.SleepMs(1);
  beat.units_held.clear();  // it waits for others
  Put(HeartbeatKey(0, "a"), beat.ToText());
  EXPECT_EQ(Read().workers[0].stalled_ms, 0);
}

TEST_F(RunReaderTest, WhatIsKnownIsNotReadAgain) {
  MakeRun(10);
  for (int64_t unit = 0; unit < 5; ++unit) CommitUnit(unit);
  Beat(0, "a");
  Read();
  store_.reads = 0;
  Read();
  EXPECT_EQ(store_.reads, 0);
  CommitUnit(5);
  EXPECT_EQ(Read().committed_count, 6);
  EXPECT_EQ(store_.reads, 1);
}

TEST_F(RunReaderTest, MarkedBlocksOfALargeRunAreNotListed) {
  MakeRun(kListedLeaseUnits + 1);
  Put(BlockMarkKey(2, kBlockUnits, BlockMark::kFinished), "");
  // A mark of before the run was extended.
  Put(BlockMarkKey(20, 7, BlockMark::kFinished), "");
  CommitUnit(0);
  for (int64_t unit = 2'000; unit < 3'000; ++unit) CommitUnit(unit);
  Beat(0, "a");
  RunStatus status = Read();
  EXPECT_EQ(status.committed_count, 1'001);
  EXPECT_FALSE(status.are_leases_listed);
  EXPECT_EQ(status.units[2'999], UnitCondition::kCommitted);
  EXPECT_EQ(status.units[kListedLeaseUnits], UnitCondition::kOpen);
  // A mark that is removed opens the block again.
  ASSERT_TRUE(store_.Delete(BlockMarkKey(2, kBlockUnits, BlockMark::kFinished)).ok());
  ASSERT_TRUE(store_.Delete(CommitKey(2'500)).ok());
  EXPECT_EQ(Read().committed_count, 1'000);
}

TEST_F(RunReaderTest, ASampleIsNearTheTruthAndExactIsTheTruth) {
  constexpr int64_t kUnits = 4'000;
  MakeRun(kUnits);
  int64_t tokens = 0;
  for (int64_t unit = 0; unit < kUnits - 1; ++unit) {
    CommitUnit(unit);
    tokens += 100 + unit % 37;
  }
  const RunStatus sampled = Read();
  EXPECT_EQ(sampled.totals_source, TotalsSource::kSample);
  EXPECT_EQ(sampled.committed_count, kUnits - 1);
  EXPECT_EQ(sampled.samples_stored, 2 * (kUnits - 1));
  EXPECT_LT(std::abs(static_cast<double>(sampled.tokens - tokens)),
            0.03 * static_cast<double>(tokens));
  const RunStatus exact = Read({.exact = true});
  EXPECT_EQ(exact.totals_source, TotalsSource::kCommits);
  EXPECT_EQ(exact.tokens, tokens);
  EXPECT_EQ(exact.forward_tokens, 2 * tokens);
  EXPECT_EQ(exact.bytes, 10'000 * (kUnits - 1));
  // Complete, with a manifest: exact without reading all.
  CommitUnit(kUnits - 1);
  ASSERT_TRUE(WriteManifest(store_, *run_).ok());
  RunReader fresh(store_);
  store_.reads = 0;
  const Result<RunStatus> complete = fresh.Read({});
  ASSERT_TRUE(complete.ok());
  EXPECT_EQ(complete->totals_source, TotalsSource::kManifest);
  EXPECT_EQ(complete->state, RunState::kComplete);
  EXPECT_EQ(complete->tokens, tokens + 100 + (kUnits - 1) % 37);
  EXPECT_EQ(complete->bytes, 10'000 * kUnits);
  EXPECT_LT(store_.reads, 600);
}

TEST_F(RunReaderTest, AManifestOfAnotherRunSaysNothing) {
  MakeRun(1);
  EXPECT_FALSE(ReadManifestTotals(store_, *run_)->has_value());
  for (const char* text : {"", "{", "[1]", R"({"run": "x", "unit_count": 1, "units": []})",
                           R"({"unit_count": {"a": 1}})"}) {
    Put(std::string(kManifestKey), text);
    const auto totals = ReadManifestTotals(store_, *run_);
    ASSERT_TRUE(totals.ok()) << text;
    EXPECT_FALSE(totals->has_value()) << text;
  }
}

TEST(SampledUnitsTest, StaysTheSameWhileTheRunGrows) {
  std::vector<int64_t> committed;
  for (int64_t unit = 0; unit < 500; ++unit) committed.push_back(unit);
  EXPECT_EQ(SampledUnits(committed), committed);
  for (int64_t unit = 500; unit < 100'000; ++unit) committed.push_back(unit);
  const std::vector<int64_t> sampled = SampledUnits(committed);
  EXPECT_LE(sampled.size(), CommitSample::kMostSampled);
  EXPECT_GE(sampled.size(), CommitSample::kMostSampled / 4);
  committed.push_back(100'001);
  const std::vector<int64_t> later = SampledUnits(committed);
  EXPECT_TRUE(std::includes(later.begin(), later.end(), sampled.begin(), sampled.end()));
}

TEST(StateOfWorkerTest, OlderHeartbeatsAreJudgedByTheUsualTimes) {
  Heartbeat beat;
  beat.state = "running";
  EXPECT_EQ(StateOfWorker(beat, 45'000, 0, false, false), WorkerState::kRunning);
  EXPECT_EQ(StateOfWorker(beat, 45'001, 0, false, false), WorkerState::kSilent);
  EXPECT_EQ(StateOfWorker(beat, 180'001, 0, false, false), WorkerState::kLost);
  EXPECT_EQ(StateOfWorker(beat, 1'000, 0, false, true), WorkerState::kEnding);
  EXPECT_EQ(StateOfWorker(beat, 60'001, 0, false, true), WorkerState::kLost);
  beat.state = "stopped";
  EXPECT_EQ(StateOfWorker(beat, 0, 0, false, false), WorkerState::kStopped);
}

TEST(HistogramTest, BinsDouble) {
  Histogram histogram{.first = 4, .counts = {}};
  for (const int64_t value : {0, 3, 4, 7, 8, 31, 32}) histogram.Add(value);
  EXPECT_THAT(histogram.counts, ElementsAre(4, 1, 1, 1));
}

}  // namespace
}  // namespace thresher
