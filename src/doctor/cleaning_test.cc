#include "doctor/cleaning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extract/run_store.h"
#include "store/fault_store.h"
#include "store/forwarding_store.h"
#include "store/local_store.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr int64_t kHourMs = 3'600'000;

class ManualClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return 1000 * now_ms; }
  int64_t UnixMs() const override { return now_ms; }
  void SleepMs(int64_t duration_ms) override { now_ms += duration_ms; }

  std::atomic<int64_t> now_ms = 1'000'000'000;
};

// Calls `before` in front of each call.
class ScriptedStore : public ForwardingStore {
 public:
  ScriptedStore(Store& inner, std::function<void(int64_t call)> before)
      : ForwardingStore(inner), before_(std::move(before)) {}

  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    before_(++calls_);
    return inner_.Put(key, bytes);
  }
  Result<std::string> GetText(std::string_view key) override {
    before_(++calls_);
    return inner_.GetText(key);
  }
  Result<ObjectInfo> Stat(std::string_view key) override {
    before_(++calls_);
    return inner_.Stat(key);
  }
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    before_(++calls_);
    return inner_.List(prefix, start_after, limit);
  }
  Status Delete(std::string_view key) override {
    before_(++calls_);
    return inner_.Delete(key);
  }

  int64_t calls() const { return calls_; }

 private:
  std::function<void(int64_t)> before_;
  std::atomic<int64_t> calls_ = 0;
};

// A run of four units; what its workers have done is written by hand.
class CleaningTest : public testing::Test {
 protected:
  void SetUp() override { MakeRun(store_); }

  void MakeRun(Store& store) {
    RunSpec spec;
    spec.model = {"m", "Fake", 2, 24, "c", "w"};
    spec.dataset = {"d", "f", 4};
    spec.prompts = {"p", {{"max_tokens", "2048"}}};
    spec.capture.hooks = {"blocks.0.hook_resid_post"};
    spec.capture.dtype = "bf16";
    spec.capture.compute = "f32";
    spec.capture.engine = "cpu";
    spec.capture.batch_tokens = 64;
    spec.shard_bytes = 1000;
    const Result<thresher::Run> run =
        CreateOrJoinRun(store, spec, {.make_plan = [](SampleRange) -> Result<Plan> {
                          return Plan::Balanced(std::vector<int64_t>{1, 1, 1, 1}, 1);
                        }});
    ASSERT_TRUE(run.ok()) << run.status().message();
    run_ = std::make_unique<thresher::Run>(*run);
    ASSERT_EQ(run_->plan.unit_count(), 4);
  }

  void Pass(int64_t duration_ms) { clock_.now_ms += duration_ms; }

  void Put(const std::string& key, const std::string& text) {
    ASSERT_TRUE(store_.Put(key, AsBytes(text)).ok());
  }
  bool Has(const std::string& key) { return store_.Stat(key).ok(); }

  std::string PutShard(int64_t unit, const std::string& session, int64_t epoch = 1) {
    const std::string key = ShardKey(0, unit, epoch, session);
    Put(key, "shard of " + session);
    return key;
  }
  void PutCommit(int64_t unit, const std::string& session, int64_t epoch = 1) {
    Commit commit;
    commit.run_fingerprint = run_->fingerprint;
    commit.unit = unit;
    commit.epoch = epoch;
    commit.session = session;
    commit.first_sample = unit;
    commit.sample_count = 1;
    commit.shard = ShardKey(0, unit, epoch, session);
    commit.bytes = 1;
    commit.checksum = "crc32c:00000000";
    commit.header_checksum = "crc32c:00000000";
    ASSERT_TRUE(store_.CreateIfAbsent(CommitKey(unit), AsBytes(commit.ToText())).outcome ==
                CreateOutcome::kWritten);
  }
  void PutHeartbeat(const std::string& session, const std::string& state = "running") {
    Heartbeat heartbeat;
    heartbeat.session = session;
    heartbeat.state = state;
    Put(HeartbeatKey(0, session), heartbeat.ToText());
  }

  CleanReport Clean(bool remove, Store* store = nullptr) {
    Result<CleanReport> report = CleanRun(store ? *store : store_, *run_, {.remove = remove});
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? *std::move(report) : CleanReport();
  }
  static std::vector<std::string> Keys(const std::vector<Leftover>& leftovers) {
    std::vector<std::string> keys;
    for (const Leftover& leftover : leftovers) keys.push_back(leftover.key);
    return keys;
  }

  ManualClock clock_;
  MemoryStore store_{clock_};
  std::unique_ptr<thresher::Run> run_;
};

TEST_F(CleaningTest, OfACommittedUnitOnlyTheCommittedShardStays) {
  const std::string duplicate = PutShard(0, "loser");
  const std::string committed = PutShard(0, "winner", 2);
  const std::string only = PutShard(1, "winner");
  PutCommit(0, "winner", 2);
  PutCommit(1, "winner");
  PutHeartbeat("loser");
  Pass(2 * kHourMs);
  PutHeartbeat("loser");  // alive, and yet its shard can never be committed
  PutHeartbeat("winner");
  const CleanReport seen = Clean(false);
  EXPECT_THAT(Keys(seen.leftovers), ElementsAre(duplicate));
  EXPECT_EQ(seen.bytes(), 14);
  EXPECT_TRUE(Has(duplicate)) << "a dry run";
  const CleanReport removed = Clean(true);
  EXPECT_THAT(Keys(removed.leftovers), ElementsAre(duplicate));
  EXPECT_FALSE(Has(duplicate));
  EXPECT_TRUE(Has(committed));
  EXPECT_TRUE(Has(only));
  EXPECT_THAT(Clean(true).leftovers, IsEmpty());
}

TEST_F(CleaningTest, OfAnOpenUnitOnlyShardsOfGoneSessionsGo) {
  const std::string silent = PutShard(0, "silent");
  const std::string stopped = PutShard(0, "stopped", 2);
  const std::string alive = PutShard(0, "alive", 3);
  const std::string unknown = PutShard(1, "unknown");
  const std::string claimed = PutShard(2, "claimed");
  PutHeartbeat("silent");
  Pass(2 * kHourMs);
  PutHeartbeat("stopped", "stopped");
  PutHeartbeat("alive");
  Put(LeaseKey(2, 1), "any");
  const std::string young = PutShard(3, "young");
  const CleanReport report = Clean(true);
  EXPECT_THAT(Keys(report.kept), UnorderedElementsAre(alive, claimed, young));
  EXPECT_THAT(Keys(report.leftovers),
              UnorderedElementsAre(silent, stopped, unknown, HeartbeatKey(0, "silent")));
  for (const std::string& key : {alive, claimed, young}) EXPECT_TRUE(Has(key)) << key;
  for (const std::string& key : {silent, stopped, unknown}) EXPECT_FALSE(Has(key)) << key;
}

TEST_F(CleaningTest, WhatCannotBeReadIsKept) {
  const std::string one = PutShard(0, "one");
  const std::string two = PutShard(0, "two");
  Put(CommitKey(0), "{garbled");
  Put("tpu_0/unit-000001-e1-x.other", "not a shard's name");
  Put("tpu_0/notes.txt", "a person's");
  PutShard(99, "beyond");  // a unit that the run does not have
  Pass(2 * kHourMs);
  const CleanReport report = Clean(true);
  EXPECT_THAT(report.leftovers, IsEmpty());
  EXPECT_THAT(Keys(report.kept), UnorderedElementsAre(one, two));
  EXPECT_THAT(report.kept[0].why, HasSubstr("cannot be read"));
}

TEST_F(CleaningTest, NothingYoungGoes) {
  PutShard(0, "loser");
  PutShard(0, "winner", 2);
  PutCommit(0, "winner", 2);
  Put(HandoverKey(0, 1), "handover");
  PutHeartbeat("loser");
  Pass(kHourMs / 2);
  EXPECT_THAT(Clean(true).leftovers, IsEmpty());
  Pass(kHourMs);
  EXPECT_EQ(Clean(true).leftovers.size(), 3u);
}

// A store's clock that is set back makes everything seem young.
TEST_F(CleaningTest, WhatSeemsToComeFromTheFutureIsKept) {
  PutShard(0, "silent");
  Pass(-10 * kHourMs);
  EXPECT_THAT(Clean(true).leftovers, IsEmpty());
}

TEST_F(CleaningTest, HandoversOfCommittedUnitsAndOldHeartbeatsGo) {
  for (const int64_t unit : {0, 1}) {
    Put(HandoverKey(unit, 1), "handover");
    Put(HandoverShardKey(unit, 1), "rows");
  }
  PutShard(0, "winner");
  PutCommit(0, "winner");
  PutHeartbeat("old");
  Pass(2 * kHourMs);
  PutHeartbeat("new");
  EXPECT_THAT(Keys(Clean(true).leftovers),
              ElementsAre(HandoverKey(0, 1), HandoverShardKey(0, 1), HeartbeatKey(0, "old")));
  EXPECT_TRUE(Has(HandoverKey(1, 1)));
  EXPECT_TRUE(Has(HeartbeatKey(0, "new")));
}

TEST_F(CleaningTest, ItLeavesNothingOfItsOwn) {
  const size_t before = ListAll(store_, "")->size();
  Clean(false);
  Clean(true);
  EXPECT_EQ(ListAll(store_, "")->size(), before);
}

TEST_F(CleaningTest, WhoMayNotDeleteSeesTheLeftoversAllTheSame) {
  const std::string silent = PutShard(0, "silent");
  Pass(2 * kHourMs);
  FaultStore undeletable(
      store_, clock_,
      {{.call = StoreCall::kDelete, .call_count = 1000, .status = PermissionDenied("keep all")}});
  const CleanReport report = Clean(false, &undeletable);
  EXPECT_THAT(Keys(report.leftovers), ElementsAre(silent));
  EXPECT_THAT(report.problems,
              ElementsAre(AllOf(HasSubstr("clean-probe-"), HasSubstr("keep all"))));
  EXPECT_EQ(ListAll(store_, "clean-probe-")->size(), 1u);
}

TEST_F(CleaningTest, OldProbesOfCleaningsGo) {
  Put("clean-probe-old", "time");
  Put("clean-probe-notes/of-a-person", "text");
  Pass(2 * kHourMs);
  Put("clean-probe-young", "time");
  EXPECT_THAT(Keys(Clean(false).leftovers), ElementsAre("clean-probe-old"));
  EXPECT_TRUE(Has("clean-probe-old"));
  EXPECT_THAT(Keys(Clean(true).leftovers), ElementsAre("clean-probe-old"));
  EXPECT_FALSE(Has("clean-probe-old"));
  EXPECT_TRUE(Has("clean-probe-notes/of-a-person"));
  EXPECT_TRUE(Has("clean-probe-young"));
}

TEST_F(CleaningTest, WhoMayNotWriteSeesAgesThatAreTooSmall) {
  const std::string silent = PutShard(0, "silent");
  PutHeartbeat("silent");
  Pass(2 * kHourMs);
  FaultStore readable(
      store_, clock_,
      {{.call = StoreCall::kPut, .call_count = 1000, .status = PermissionDenied("read only")}});
  EXPECT_THAT(Clean(false, &readable).leftovers, IsEmpty()) << "the newest object is its heartbeat";
  PutHeartbeat("another");
  EXPECT_THAT(Keys(Clean(false, &readable).leftovers),
              ElementsAre(silent, HeartbeatKey(0, "silent")));
}

TEST_F(CleaningTest, WhatCannotBeRemovedIsAProblem) {
  PutShard(0, "silent");
  Pass(2 * kHourMs);
  FaultStore store(store_, clock_,
                   {{.call = StoreCall::kDelete,
                     .first_call = 2,  // the first one is of the probe
                     .call_count = 1000,
                     .status = PermissionDenied("may not delete")}});
  const CleanReport report = Clean(true, &store);
  EXPECT_THAT(report.leftovers, IsEmpty());
  EXPECT_THAT(report.problems, ElementsAre(HasSubstr("may not delete")));
}

// A worker that is alive uploads a shard, checks it and commits it. Whichever of these steps comes
// before whichever call of the cleaning: the shard stays.
TEST_F(CleaningTest, ALiveWorkersShardIsSafeAtEveryCall) {
  int64_t calls = 1;
  for (int64_t upload_at = 1; upload_at <= calls; ++upload_at) {
    for (int64_t commit_at = upload_at; commit_at <= calls; ++commit_at) {
      MemoryStore fresh(clock_);
      MakeRun(fresh);
      Pass(2 * kHourMs);
      Heartbeat beat;
      beat.session = "live";
      beat.state = "running";
      const auto put = [&](const std::string& key, const std::string& text) {
        ASSERT_TRUE(fresh.Put(key, AsBytes(text)).ok());
      };
      put(ShardKey(0, 0, 1, "dead"), "an old one beside it");
      Pass(2 * kHourMs);
      put(HeartbeatKey(0, "live"), beat.ToText());
      put(LeaseKey(0, 2), "claim");
      const std::string key = ShardKey(0, 0, 2, "live");
      Commit commit;
      commit.run_fingerprint = run_->fingerprint;
      commit.sample_count = 1;
      commit.shard = key;
      commit.bytes = 5;
      commit.checksum = commit.header_checksum = "crc32c:00000000";
      ScriptedStore store(fresh, [&](int64_t call) {
        if (call == upload_at) put(key, "shard");
        if (call == commit_at) put(CommitKey(0), commit.ToText());
      });
      Clean(true, &store);
      calls = std::max(calls, store.calls());
      if (store.calls() < commit_at) continue;  // the worker did not come to it
      ASSERT_TRUE(fresh.Stat(key).ok())
          << "upload before call " << upload_at << ", commit before call " << commit_at;
    }
  }
  EXPECT_GT(calls, 8);
}

// The worst case: a worker that slept for longer than --older-than with an uploaded shard wakes up
// in the middle of the cleaning and commits it. Whenever it does: no commit refers to nothing.
TEST_F(CleaningTest, ASleepersCommitIsNeverLeftWithoutItsShard) {
  // What came of it, by when it woke: first its shard was saved, then its unit was opened again,
  // and when the cleaning had looked at the unit for the last time there was nothing to be done
  // from here: verify tells it then.
  std::string outcomes;
  for (int64_t wake_at = 1;; ++wake_at) {
    ASSERT_TRUE(store_.Delete(CommitKey(0)).ok());
    const std::string key = PutShard(0, "sleeper");
    PutHeartbeat("sleeper");
    Pass(2 * kHourMs);
    ScriptedStore store(store_, [&](int64_t call) {
      if (call == wake_at) PutCommit(0, "sleeper");
    });
    const CleanReport report = Clean(true, &store);
    if (store.calls() < wake_at) break;
    const char outcome = !Has(CommitKey(0)) ? 'r' : Has(key) ? 's' : 'l';
    if (outcomes.empty() || outcomes.back() != outcome) outcomes += outcome;
    if (outcome == 'r') {
      EXPECT_THAT(report.problems, ElementsAre(HasSubstr("is open again"))) << wake_at;
    }
  }
  EXPECT_EQ(outcomes, "srl");
}

TEST_F(CleaningTest, TemporaryFilesOfKilledWritersGo) {
  TemporaryFolder folder;
  LocalStore local(folder.path());
  MakeRun(local);
  folder.Write("commits-are-no-temporaries", "x");
  const std::string old_file = folder.Write(".tmp-old", "12345");
  std::filesystem::create_directories(folder.PathOf("tpu_0"));
  const std::string deep_file = folder.Write("tpu_0/.tmp-deep", "12345");
  const std::string young_file = folder.Write(".tmp-young", "12345");
  for (const std::string& path : {old_file, deep_file}) {
    std::filesystem::last_write_time(
        path, std::filesystem::last_write_time(path) - std::chrono::hours(2));
  }
  EXPECT_THAT(Keys(Clean(false, &local).leftovers), ElementsAre(".tmp-old", "tpu_0/.tmp-deep"));
  EXPECT_EQ(Clean(true, &local).bytes(), 10);
  EXPECT_FALSE(std::filesystem::exists(old_file));
  EXPECT_FALSE(std::filesystem::exists(deep_file));
  EXPECT_TRUE(std::filesystem::exists(young_file));
  EXPECT_TRUE(std::filesystem::exists(folder.PathOf("run.json")));
}

}  // namespace
}  // namespace thresher
