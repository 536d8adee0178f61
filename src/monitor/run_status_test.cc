#include "monitor/run_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "monitor/run_for_test.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

constexpr int64_t kTtlMs = 60'000;

// A run of three units with two samples each, and nothing done yet.
class RunStatusTest : public testing::Test {
 protected:
  RunStatusTest() { fingerprint_ = BeginRunForTest(store_, 6, 2).fingerprint; }

  void Put(const std::string& key, const std::string& text) {
    ASSERT_TRUE(store_.Put(key, AsBytes(text)).ok());
  }

  void CommitUnit(int64_t unit, int64_t rejected = 0) {
    Commit commit;
    commit.run_fingerprint = fingerprint_;
    commit.unit = unit;
    commit.epoch = 1;
    commit.first_sample = 2 * unit;
    commit.sample_count = 2;
    commit.sequence_count = 3;  // a sample was split
    commit.token_count = 4;
    commit.forward_token_count = 10;
    commit.bytes = 100;
    for (int64_t i = 0; i < rejected; ++i) commit.rejected.push_back({2 * unit + i, "too long"});
    Put(CommitKey(unit), commit.ToText());
  }

  void Beat(int64_t worker, const std::string& session, const std::string& state,
            double tokens_per_second) {
    Heartbeat heartbeat;
    heartbeat.worker_id = worker;
    heartbeat.session = session;
    heartbeat.state = state;
    heartbeat.tokens_per_second = tokens_per_second;
    Put(HeartbeatKey(worker, session), heartbeat.ToText());
  }

  void Claim(int64_t unit, int64_t epoch) {
    Put(LeaseKey(unit, epoch), Lease{unit, epoch, 0, "s"}.ToText());
  }

  RunStatus Read(int64_t now_unix_ms = 0) {
    const Result<RunStatus> status =
        ReadRunStatus(store_, {.lease_ttl_ms = kTtlMs, .now_unix_ms = now_unix_ms});
    EXPECT_TRUE(status.ok()) << status.status().message();
    return status.ok() ? *status : RunStatus();
  }

  HandClock clock_;
  MemoryStore store_{clock_};
  std::string fingerprint_;
};

TEST_F(RunStatusTest, WithoutWorkersItIsIncomplete) {
  const RunStatus status = Read();
  EXPECT_EQ(status.state, RunState::kIncomplete);
  EXPECT_EQ(status.unit_count, 3);
  EXPECT_EQ(status.sample_count, 6);
  EXPECT_EQ(status.committed_count, 0);
  EXPECT_FALSE(status.remaining_ms);
}

TEST_F(RunStatusTest, SumsWhatIsCommittedAndEstimatesTheRest) {
  CommitUnit(0);
  CommitUnit(2, 1);
  Beat(0, "a", "running", 4);
  Beat(1, "b", "running", 6);
  const RunStatus status = Read();
  EXPECT_EQ(status.state, RunState::kRunning);
  EXPECT_EQ(status.committed_count, 2);
  EXPECT_EQ(status.samples_stored, 3);
  EXPECT_EQ(status.samples_rejected, 1);
  EXPECT_EQ(status.tokens, 8);
  EXPECT_EQ(status.forward_tokens, 20);
  EXPECT_EQ(status.bytes, 200);
  ASSERT_THAT(status.rejected, SizeIs(1));
  EXPECT_EQ(status.rejected[0].sample, 4);
  EXPECT_EQ(status.tokens_per_second, 10);
  EXPECT_EQ(status.remaining_ms, 1000);  // one unit of about 10 tokens to read
}

TEST_F(RunStatusTest, AWorkerWhoseHeartbeatIsOldIsGone) {
  Beat(0, "a", "running", 5);
  clock_.SleepMs(kTtlMs + 1);
  Beat(1, "b", "running", 7);
  const RunStatus status = Read();
  ASSERT_THAT(status.workers, SizeIs(2));
  EXPECT_FALSE(status.workers[0].is_alive());
  EXPECT_EQ(status.workers[0].age_ms, kTtlMs + 1);
  EXPECT_TRUE(status.workers[1].is_alive());
  EXPECT_EQ(status.tokens_per_second, 7);
  EXPECT_EQ(status.state, RunState::kRunning);
}

TEST_F(RunStatusTest, WhenAllHaveDiedTheReadersClockTells) {
  Beat(0, "a", "running", 5);
  EXPECT_EQ(Read().state, RunState::kRunning);
  clock_.SleepMs(kTtlMs + 1);
  EXPECT_EQ(Read(clock_.UnixMs()).state, RunState::kIncomplete);
  // A clock that is behind the store's changes nothing.
  EXPECT_EQ(Read(5).state, RunState::kRunning);
}

TEST_F(RunStatusTest, AStoppedWorkerIsNotAlive) {
  Beat(0, "a", "stopped", 5);
  EXPECT_EQ(Read().state, RunState::kIncomplete);
}

TEST_F(RunStatusTest, TheNewestSessionOfAWorkerComesFirst) {
  Beat(4, "zz-old", "running", 5);
  clock_.SleepMs(1000);
  Beat(4, "aa-new", "running", 5);
  clock_.SleepMs(1000);
  Beat(3, "x", "running", 5);
  const RunStatus status = Read();
  ASSERT_THAT(status.workers, SizeIs(3));
  EXPECT_EQ(status.workers[0].heartbeat.worker_id, 3);
  EXPECT_EQ(status.workers[1].heartbeat.session, "aa-new");
  EXPECT_EQ(status.workers[2].heartbeat.session, "zz-old");
}

TEST_F(RunStatusTest, FinishedRunsAreCompleteOrCompleteWithExceptions) {
  for (int64_t unit = 0; unit < 3; ++unit) CommitUnit(unit);
  EXPECT_EQ(Read().state, RunState::kComplete);
  CommitUnit(1, 1);
  EXPECT_EQ(Read().state, RunState::kCompleteWithExceptions);
}

TEST_F(RunStatusTest, AQuarantinedUnitIsFinishedUnlessItIsCommitted) {
  CommitUnit(0);
  CommitUnit(1);
  const Quarantine quarantine{.unit = 2, .first_sample = 4, .sample_count = 2, .errors = {"x"}};
  Put(QuarantineKey(2), quarantine.ToText());
  const RunStatus status = Read();
  EXPECT_EQ(status.state, RunState::kCompleteWithExceptions);
  EXPECT_THAT(status.quarantined, SizeIs(1));
  CommitUnit(2);
  EXPECT_EQ(Read().state, RunState::kComplete);
}

TEST_F(RunStatusTest, CountsTakenOverLeases) {
  Claim(0, 1);
  Claim(1, 1);
  Claim(1, 2);
  Claim(1, 3);
  Put(LeaseEndKey(1, 2, LeaseEnd::kFailed), LeaseEndRecord{"s", "x"}.ToText());
  const RunStatus status = Read();
  EXPECT_EQ(status.lease_count, 2);
  EXPECT_EQ(status.taken_over_count, 1);
  EXPECT_EQ(status.largest_epoch, 3);
}

TEST_F(RunStatusTest, ARecordThatCannotBeReadIsListedAndNotCounted) {
  for (int64_t unit = 0; unit < 3; ++unit) CommitUnit(unit);
  Put(CommitKey(1), "{}");
  Put(HeartbeatKey(0, "a"), "");
  const RunStatus status = Read();
  EXPECT_EQ(status.committed_count, 2);
  EXPECT_EQ(status.state, RunState::kIncomplete);
  ASSERT_THAT(status.unreadable, SizeIs(2));
  EXPECT_THAT(status.unreadable[0], HasSubstr("commits/unit-000001.json"));
}

TEST(RunStatusOfNothingTest, NoRunIsNotFound) {
  MemoryStore store;
  const Result<RunStatus> status = ReadRunStatus(store, {});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace thresher
