#include "extract/ledger.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/fault_store.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

using Kind = Ledger::Step::Kind;

// Time that stands still unless it is moved.
class ManualClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return now_ms * 1000; }
  int64_t UnixMs() const override { return now_ms; }
  void SleepMs(int64_t duration_ms) override { now_ms += duration_ms; }

  int64_t now_ms = 1'000'000;
};

constexpr int64_t kTtlMs = 180'000;

class LedgerTest : public testing::Test {
 protected:
  // A run of so many units of one sample each.
  void MakeRun(int64_t units) {
    RunSpec spec;
    spec.dataset = {"d", "f", units};
    run_ = std::make_unique<thresher::Run>(
        thresher::Run{spec, spec.Fingerprint(),
                      Plan::Balanced(std::vector<int64_t>(static_cast<size_t>(units), 1), 1)});
  }

  std::unique_ptr<Ledger> Join(const std::string& session, int64_t worker = 0,
                               std::optional<int64_t> workers = {}) {
    auto ledger = std::make_unique<Ledger>(
        *counted_, clock_, *run_,
        Ledger::Options{.worker_id = worker, .session = session, .worker_count = workers});
    EXPECT_TRUE(ledger->Beat(Heartbeat{}).ok());
    return ledger;
  }

  static Ledger::Claimed Claim(Ledger& ledger) {
    const Result<Ledger::Step> step = ledger.Next();
    EXPECT_TRUE(step.ok()) << step.status().message();
    EXPECT_EQ(step->kind, Kind::kClaimed);
    return step->claimed;
  }

  static Ledger::CommitOutcome Commit(Ledger& ledger, const Ledger::Claimed& claimed) {
    thresher::Commit commit;
    commit.unit = claimed.unit;
    commit.epoch = claimed.epoch;
    commit.sample_count = 1;
    commit.bytes = 1;
    commit.session = ledger.options().session;
    commit.shard = ShardKey(0, commit.unit, commit.epoch, commit.session);
    const auto outcome = ledger.CommitUnit(commit);
    EXPECT_TRUE(outcome.ok());
    return *outcome;
  }

  ManualClock clock_;
  std::unique_ptr<MemoryStore> store_ = std::make_unique<MemoryStore>(clock_);
  std::unique_ptr<FaultStore> counted_ = std::make_unique<FaultStore>(*store_, clock_);
  std::unique_ptr<thresher::Run> run_;
};

TEST_F(LedgerTest, AUnitCostsTwoRequestsBesidesItsUpload) {
  MakeRun(1000);
  const auto ledger = Join("me");
  const int64_t begin = counted_->CallCount();
  for (int i = 0; i < 1000; ++i) Commit(*ledger, Claim(*ledger));
  EXPECT_EQ(ledger->Next()->kind, Kind::kDone);
  // A claim and a commit for each unit; the index and the block at the beginning, the block and its
  // mark at the end.
  EXPECT_LE(counted_->CallCount() - begin, 2 * 1000 + 8);
}

TEST_F(LedgerTest, StartsInALargeRunWithAFewRequests) {
  MakeRun(200'000);
  for (int64_t block = 0; block < 150; ++block) {
    const std::string key = BlockMarkKey(block, 1000, BlockMark::kFinished);
    ASSERT_TRUE(store_->Put(key, AsBytes("{}")).ok());
  }
  const auto ledger = Join("me");
  const int64_t begin = counted_->CallCount();
  EXPECT_GE(Claim(*ledger).unit, 150'000);
  EXPECT_LE(counted_->CallCount() - begin, 4);
}

TEST_F(LedgerTest, WorkersShareARun) {
  MakeRun(50);
  std::vector<std::unique_ptr<Ledger>> ledgers;
  for (int i = 0; i < 7; ++i) ledgers.push_back(Join("session " + std::to_string(i), i));
  std::vector<int> committed(50);
  bool working = true;
  while (working) {
    working = false;
    for (auto& ledger : ledgers) {
      const Result<Ledger::Step> step = ledger->Next();
      ASSERT_TRUE(step.ok());
      if (step->kind != Kind::kClaimed) continue;
      working = true;
      EXPECT_EQ(Commit(*ledger, step->claimed), Ledger::CommitOutcome::kCommitted);
      ++committed[static_cast<size_t>(step->claimed.unit)];
    }
  }
  EXPECT_EQ(committed, std::vector<int>(50, 1));
  for (auto& ledger : ledgers) EXPECT_EQ(ledger->Next()->kind, Kind::kDone);
}

TEST_F(LedgerTest, WorkersFinishARunOfSeveralBlocks) {
  for (const bool is_known : {true, false}) {
    store_ = std::make_unique<MemoryStore>(clock_);
    counted_ = std::make_unique<FaultStore>(*store_, clock_);
    MakeRun(3'500);
    std::vector<std::unique_ptr<Ledger>> ledgers;
    for (int i = 0; i < 5; ++i) {
      ledgers.push_back(Join("session " + std::to_string(i), i,
                             is_known ? std::optional<int64_t>(5) : std::nullopt));
    }
    // Each commits a unit a while after it has claimed the next, as uploads do.
    std::vector<std::optional<Ledger::Claimed>> uploading(ledgers.size());
    std::vector<int> committed(3'500);
    size_t done = 0;
    for (int round = 0; done < ledgers.size(); ++round) {
      ASSERT_LT(round, 10'000) << done << " of 5 know that the run is done";
      done = 0;
      for (size_t i = 0; i < ledgers.size(); ++i) {
        ASSERT_TRUE(ledgers[i]->Beat(Heartbeat{}).ok());
        const Result<Ledger::Step> step = ledgers[i]->Next();
        ASSERT_TRUE(step.ok());
        if (const auto before = std::exchange(uploading[i], std::nullopt)) {
          Commit(*ledgers[i], *before);
          ++committed[static_cast<size_t>(before->unit)];
        }
        if (step->kind == Kind::kClaimed) uploading[i] = step->claimed;
        if (step->kind == Kind::kDone) ++done;
      }
      clock_.now_ms += 1'000;
    }
    EXPECT_EQ(committed, std::vector<int>(3'500, 1));
    for (auto& ledger : ledgers) EXPECT_EQ(ledger->finished_count(), 3'500);
  }
}

TEST_F(LedgerTest, AnIdleWorkerAsksLessAndLess) {
  MakeRun(1);
  const auto holder = Join("holder");
  Claim(*holder);
  const auto idle = Join("idle");
  int64_t waited_ms = 0;
  const int64_t begin = counted_->CallCount();
  while (waited_ms < kTtlMs / 2) {
    const Result<Ledger::Step> step = idle->Next();
    ASSERT_EQ(step->kind, Kind::kWait);
    EXPECT_LE(step->wait_ms, kTtlMs / 8 * 5 / 4);
    waited_ms += step->wait_ms;
  }
  EXPECT_LE(counted_->CallCount() - begin, 60);
}

TEST_F(LedgerTest, AnIdleWorkerMakesTheUnitOfASilentOne) {
  MakeRun(1);
  const auto gone = Join("gone");
  Claim(*gone);
  const auto heir = Join("heir");
  clock_.now_ms += kTtlMs / 4;
  ASSERT_TRUE(heir->Beat(Heartbeat{}).ok());
  EXPECT_EQ(heir->Next()->kind, Kind::kWait) << "not before";
  ++clock_.now_ms;
  ASSERT_TRUE(heir->Beat(Heartbeat{}).ok());
  const Ledger::Claimed claimed = Claim(*heir);
  EXPECT_EQ(claimed.epoch, 2);
  // It was not gone at all. The commit decides.
  EXPECT_EQ(Commit(*gone, {0, 1}), Ledger::CommitOutcome::kCommitted);
  EXPECT_EQ(Commit(*heir, claimed), Ledger::CommitOutcome::kDuplicate);
  EXPECT_EQ(gone->Next()->kind, Kind::kDone);
  EXPECT_EQ(heir->Next()->kind, Kind::kDone);
}

TEST_F(LedgerTest, AHolderThatBeatsKeepsItsUnit) {
  MakeRun(1);
  const auto holder = Join("holder");
  Claim(*holder);
  const auto idle = Join("idle");
  for (int i = 0; i < 20; ++i) {
    clock_.now_ms += kTtlMs / 2;
    ASSERT_TRUE(holder->Beat(Heartbeat{}).ok());
    ASSERT_TRUE(idle->Beat(Heartbeat{}).ok());
    EXPECT_EQ(idle->Next()->kind, Kind::kWait);
  }
}

TEST_F(LedgerTest, ASlowUnitGetsASecondCopyFromAnIdleWorkerThatKnowsBetter) {
  MakeRun(3);
  const auto slow = Join("slow");
  Claim(*slow);
  const auto fast = Join("fast");
  for (int i = 0; i < 2; ++i) {
    const Ledger::Claimed claimed = Claim(*fast);
    clock_.now_ms += 30'000;
    ASSERT_TRUE(slow->Beat(Heartbeat{}).ok());
    ASSERT_TRUE(fast->Beat(Heartbeat{}).ok());
    Commit(*fast, claimed);
  }
  EXPECT_EQ(fast->Next()->kind, Kind::kWait) << "after 60 s it may still be about to end";
  clock_.now_ms += 1;
  ASSERT_TRUE(slow->Beat(Heartbeat{}).ok());
  ASSERT_TRUE(fast->Beat(Heartbeat{}).ok());
  const Ledger::Claimed copy = Claim(*fast);
  EXPECT_EQ(copy.unit, 0);
  EXPECT_EQ(copy.epoch, 2);
  EXPECT_EQ(Commit(*fast, copy), Ledger::CommitOutcome::kCommitted);
  EXPECT_EQ(Commit(*slow, {0, 1}), Ledger::CommitOutcome::kDuplicate);
}

TEST_F(LedgerTest, AClaimWhoseEndCouldNotBeRecordedIsEndedLater) {
  MakeRun(1);
  const auto ledger = Join("me");
  const Ledger::Claimed claimed = Claim(*ledger);
  counted_->AddFault({.first_call = counted_->CallCount() + 1, .call_count = 100});
  EXPECT_FALSE(ledger->EndClaim(claimed, LeaseEnd::kReleased, "why").ok());
  EXPECT_FALSE(ledger->Next().ok());
  while (!ledger->Next().ok()) {
  }
  EXPECT_TRUE(store_->Stat(LeaseEndKey(0, 1, LeaseEnd::kReleased)).ok());
}

TEST_F(LedgerTest, APoisonedUnitIsSetAsideWithItsErrors) {
  MakeRun(2);
  const auto ledger = Join("me");
  for (int failures = 0; failures < 3;) {
    const Ledger::Claimed claimed = Claim(*ledger);
    if (claimed.unit == 1) {
      Commit(*ledger, claimed);
      continue;
    }
    ++failures;
    ASSERT_TRUE(ledger->EndClaim(claimed, LeaseEnd::kFailed, "it burns").ok());
  }
  EXPECT_EQ(ledger->Next()->kind, Kind::kDone);
  const Result<Quarantine> quarantine = ReadQuarantine(*store_, 0);
  ASSERT_TRUE(quarantine.ok());
  EXPECT_EQ(quarantine->errors.size(), 4u);
  EXPECT_NE(quarantine->errors[0].find("it burns"), std::string::npos);
}

// In the middle of a run of which nobody is idle.
TEST_F(LedgerTest, AUnitThatKillsItsOwnersIsSetAsideByABusyWorker) {
  MakeRun(100);
  for (int64_t epoch = 1; epoch <= 20; ++epoch) {
    const Lease lease{50, epoch, 7, "gone " + std::to_string(epoch)};
    ASSERT_TRUE(store_->Put(LeaseKey(50, epoch), AsBytes(lease.ToText())).ok());
  }
  const auto ledger = Join("me");
  Commit(*ledger, Claim(*ledger));
  clock_.now_ms += kTtlMs;
  ASSERT_TRUE(ledger->Beat(Heartbeat{}).ok());
  Commit(*ledger, Claim(*ledger));
  EXPECT_FALSE(ReadQuarantine(*store_, 50).ok()) << "its last owner may be there";
  clock_.now_ms += kTtlMs / 4;
  ASSERT_TRUE(ledger->Beat(Heartbeat{}).ok());
  Commit(*ledger, Claim(*ledger));
  const Result<Quarantine> quarantine = ReadQuarantine(*store_, 50);
  ASSERT_TRUE(quarantine.ok());
  EXPECT_EQ(quarantine->errors.back(), "20 claims in all ended without a commit");
  EXPECT_EQ(ledger->Next()->kind, Kind::kClaimed);
  EXPECT_EQ(ledger->finished_count(), 4);
}

// Each worker has a block for itself, and one of them fails a unit: the others try it, then set it
// aside, and each goes on with its own.
TEST_F(LedgerTest, AFailedUnitOfALoneWorkerIsTriedFromOtherBlocks) {
  MakeRun(3'000);
  std::vector<std::unique_ptr<Ledger>> ledgers;
  for (int i = 0; i < 3; ++i) ledgers.push_back(Join("session " + std::to_string(i), i, 3));
  for (auto& ledger : ledgers) Commit(*ledger, Claim(*ledger));
  const Ledger::Claimed failed = Claim(*ledgers[1]);
  EXPECT_EQ(failed.unit, 1'001);
  ASSERT_TRUE(ledgers[1]->EndClaim(failed, LeaseEnd::kFailed, "it burns").ok());
  EXPECT_TRUE(store_->Stat(FailureReportKey(1'001, 1)).ok());
  Commit(*ledgers[1], Claim(*ledgers[1]));

  clock_.now_ms += kTtlMs;
  for (const int64_t epoch : {2, 3}) {
    Ledger& other = *ledgers[epoch == 2 ? 0 : 2];
    const int64_t begin = counted_->CallCount();
    const Ledger::Claimed again = Claim(other);
    EXPECT_EQ(again.unit, 1'001);
    EXPECT_EQ(again.epoch, epoch);
    EXPECT_LE(counted_->CallCount() - begin, 8) << "two looks, the reports, claim, commit, report";
    EXPECT_FALSE(store_->Stat(FailureReportKey(1'001, epoch - 1)).ok());
    ASSERT_TRUE(other.EndClaim(again, LeaseEnd::kFailed, "it burns").ok());
  }
  EXPECT_EQ(Claim(*ledgers[2]).unit, 2'001);
  EXPECT_TRUE(ReadQuarantine(*store_, 1'001).ok());
  EXPECT_TRUE(ListAll(*store_, kFailureReportsPrefix)->empty());
  EXPECT_EQ(Claim(*ledgers[0]).unit, 1);
  EXPECT_EQ(Claim(*ledgers[1]).unit, 1'003);
}

TEST_F(LedgerTest, AClaimWhoseAnswerWasLostIsOurs) {
  MakeRun(2);
  counted_->AddFault({.kind = FaultKind::kErrorAfter, .call = StoreCall::kCreateIfAbsent});
  const auto ledger = Join("me");
  EXPECT_EQ(Claim(*ledger).epoch, 1);
  EXPECT_EQ(counted_->FaultCount(), 1);
}

TEST_F(LedgerTest, ACommitWhoseAnswerWasLostIsOurs) {
  MakeRun(1);
  const auto ledger = Join("me");
  const Ledger::Claimed claimed = Claim(*ledger);
  counted_->AddFault({.kind = FaultKind::kErrorAfter,
                      .call = StoreCall::kCreateIfAbsent,
                      .first_call = counted_->CallCount(StoreCall::kCreateIfAbsent) + 1});
  EXPECT_EQ(Commit(*ledger, claimed), Ledger::CommitOutcome::kCommitted);
  EXPECT_EQ(counted_->FaultCount(), 1);
}

}  // namespace
}  // namespace thresher
