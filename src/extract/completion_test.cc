#include "extract/completion.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "extract/small_run_for_test.h"
#include "store/fault_store.h"
#include "store/forwarding_store.h"
#include "store/memory_store.h"
#include "work/json_fields.h"
#include "work/keys.h"
#include "work/records.h"

namespace thresher {
namespace {

TEST(CompletionTest, OneWorkerWritesTheManifestAndOthersWait) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(6), SmallParts());
  CommitAll(store, *run);
  ASSERT_TRUE(store.Put(ManifestLeaseKey(3, 1), AsBytes("somebody else's")).ok());
  SleepClock clock;
  clock.on_sleep = [&] {
    if (clock.MonotonicMs() >= 3'000) {
      ASSERT_TRUE(WriteManifest(store, *run).ok());
    }
  };
  const auto completion = ConcludeRun(store, clock, *run, {.session = "me"});
  ASSERT_TRUE(completion.ok());
  EXPECT_EQ((*completion)->unit_count, 3);
  EXPECT_LT(clock.MonotonicMs(), 10'000);
  EXPECT_FALSE(store.Stat(ManifestLeaseKey(3, 2)).ok());
}

TEST(CompletionTest, MarksThatAreWrongAreRemoved) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(4'000), SmallParts());
  CommitAll(store, *run);
  for (int64_t block = 0; block < 2; ++block) {
    const std::string key = BlockMarkKey(block, 1000, BlockMark::kFinished);
    ASSERT_TRUE(store.Put(key, AsBytes("{}")).ok());
  }
  ASSERT_TRUE(store.Delete(CommitKey(1'500)).ok());
  const auto completion = ConcludeRun(store, Clock::Real(), *run, {});
  ASSERT_TRUE(completion.ok());
  EXPECT_FALSE(completion->has_value());
  const std::vector<ObjectInfo> marks = *ListAll(store, kIndexPrefix);
  ASSERT_EQ(marks.size(), 1u);
  EXPECT_EQ(marks[0].key, BlockMarkKey(0, 1000, BlockMark::kFinished));
}

// The larger run is completed between a small one's look for extensions and its manifest.
TEST(CompletionTest, AnExtensionThatComesInBetweenGetsItsManifestBack) {
  MemoryStore store;
  const Result<thresher::Run> small = CreateOrJoinRun(store, SmallSpec(4), SmallParts());
  CommitAll(store, *small);
  struct PutHook : public ForwardingStore {
    using ForwardingStore::ForwardingStore;
    Status Put(std::string_view key, std::span<const std::byte> bytes) override {
      if (before_put) std::exchange(before_put, nullptr)();
      return ForwardingStore::Put(key, bytes);
    }
    std::function<void()> before_put;
  } slow(store);
  std::string manifest;
  slow.before_put = [&] {
    const Result<thresher::Run> larger = CreateOrJoinRun(store, SmallSpec(6), SmallParts(true));
    CommitAll(store, *larger);
    ASSERT_TRUE((*WriteManifest(store, *larger)).has_value());
    manifest = *store.GetText(kManifestKey);
  };
  ASSERT_TRUE((*WriteManifest(slow, *small)).has_value());
  ASSERT_FALSE(manifest.empty());
  EXPECT_EQ(*store.GetText(kManifestKey), manifest);
}

TEST(CompletionTest, AWriterThatDiesIsReplaced) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(6), SmallParts());
  CommitAll(store, *run);
  ASSERT_TRUE(store.Put(ManifestLeaseKey(3, 1), AsBytes("somebody else's")).ok());
  SleepClock clock;
  const auto completion =
      ConcludeRun(store, clock, *run, {.session = "me", .lease_ttl_ms = 10'000});
  ASSERT_TRUE(completion.ok());
  EXPECT_TRUE(completion->has_value());
  EXPECT_GE(clock.MonotonicMs(), 10'000);
  EXPECT_LT(clock.MonotonicMs(), 13'000);
  EXPECT_TRUE(store.Stat(kManifestKey).ok());
}

TEST(CompletionTest, AWaiterCanBeStopped) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(6), SmallParts());
  CommitAll(store, *run);
  ASSERT_TRUE(store.Put(ManifestLeaseKey(3, 1), AsBytes("somebody else's")).ok());
  SleepClock clock;
  const auto completion =
      ConcludeRun(store, clock, *run, {.session = "me", .should_stop = [] { return true; }});
  ASSERT_TRUE(completion.ok());
  EXPECT_FALSE(completion->has_value());
}

TEST(CompletionTest, ManyCommitsAreReadByManyThreadsInOrder) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(2'000), SmallParts());
  CommitAll(store, *run);
  ASSERT_TRUE((*WriteManifest(store, *run)).has_value());
  std::vector<ManifestEntry> entries;
  for (int64_t unit = 0; unit < 1000; ++unit) {
    entries.push_back(ManifestEntry::Of(*ReadCommit(store, unit)));
  }
  EXPECT_EQ(*store.GetText(kManifestKey), ManifestText(run->fingerprint, 1000, entries, {}));
}

TEST(CompletionTest, AnyFailingCallLeavesARunThatCanBeConcluded) {
  for (int64_t call = 1;; ++call) {
    MemoryStore inner;
    const Result<thresher::Run> run = CreateOrJoinRun(inner, SmallSpec(6), SmallParts());
    CommitAll(inner, *run);
    SleepClock clock;
    FaultStore store(inner, clock, {{.kind = FaultKind::kErrorAfter, .first_call = call}});
    (void)ConcludeRun(store, clock, *run, {.session = "first"});
    const auto completion = ConcludeRun(inner, clock, *run, {.session = "second"});
    ASSERT_TRUE(completion.ok() && completion->has_value()) << "call " << call;
    for (const std::string_view key : {kManifestKey, kSummaryKey, kReadmeKey}) {
      EXPECT_TRUE(inner.Stat(key).ok()) << key;
    }
    if (store.FaultCount() == 0) break;
  }
}

// --- a complete run whose records were removed ---

// A worker's start on a run that may be complete, up to where it would make units; then as if it
// made those that are missing. What a worker is told to do goes by the marks alone.
void StartWorker(Store& store, Clock& clock, const Run& run) {
  const auto completion = FindCompletion(store, run);
  ASSERT_TRUE(completion.ok());
  if (completion->has_value()) {
    const Result<bool> complete = IsStillComplete(store, run);
    ASSERT_TRUE(complete.ok());
    if (*complete) return;
  }
  const auto mark = store.Stat(BlockMarkKey(0, run.plan.unit_count(), BlockMark::kFinished));
  if (!mark.ok()) CommitAll(store, run);
  ASSERT_TRUE(ConcludeRun(store, clock, run, {.session = "worker"}).ok());
}

// Complete, with all that workers leave: claims, marks, the manifest and who wrote it.
Run CompleteRun(Store& store, int64_t samples) {
  Run run = CreateOrJoinRun(store, SmallSpec(samples), SmallParts()).value();
  CommitAll(store, run);
  for (int64_t unit = 0; unit < run.plan.unit_count(); ++unit) {
    EXPECT_TRUE(store.Put(LeaseKey(unit, 1), AsBytes("{}")).ok());
  }
  EXPECT_TRUE(
      store.Put(BlockMarkKey(0, run.plan.unit_count(), BlockMark::kFinished), AsBytes("{}")).ok());
  EXPECT_TRUE(ConcludeRun(store, Clock::Real(), run, {.session = "first"}).value().has_value());
  return run;
}

// Lists lag, and do not show the newest commit.
class LateCommitStore : public ForwardingStore {
 public:
  LateCommitStore(Store& inner, std::string hidden)
      : ForwardingStore(inner), hidden_(std::move(hidden)) {}
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    Result<ListPage> page = ForwardingStore::List(prefix, start_after, limit);
    if (page.ok()) {
      std::erase_if(page->objects, [&](const ObjectInfo& object) { return object.key == hidden_; });
    }
    return page;
  }

 private:
  const std::string hidden_;
};

TEST(StillCompleteTest, ARunThatIsWholeIsLeftAsItIs) {
  MemoryStore store;
  const thresher::Run run = CompleteRun(store, 6);
  const size_t before = ListAll(store, "")->size();
  EXPECT_TRUE(IsStillComplete(store, run).value());
  EXPECT_EQ(ListAll(store, "")->size(), before);
}

TEST(StillCompleteTest, AMissingUnitCanBeMadeAgain) {
  MemoryStore store;
  const thresher::Run run = CompleteRun(store, 6);
  ASSERT_TRUE(store.Delete(CommitKey(1)).ok());
  EXPECT_FALSE(IsStillComplete(store, run).value());
  EXPECT_EQ(*ListUnits(store, kCommitsPrefix, 3), (std::vector<int64_t>{0, 2}));
  for (const std::string& prefix :
       {std::string(kIndexPrefix), LeasePrefix(1), ManifestLeasePrefix(3)}) {
    EXPECT_TRUE(ListAll(store, prefix)->empty()) << prefix;
  }
  EXPECT_TRUE(store.Stat(LeaseKey(0, 1)).ok()) << "claims of other units stay";
  EXPECT_TRUE(store.Stat(kManifestKey).ok()) << "until the next one replaces it";
}

// A store that is asked for a commit that lists do not show yet, and fails at that moment.
TEST(StillCompleteTest, AFailingCallCostsNoCommit) {
  for (int64_t call = 1;; ++call) {
    MemoryStore inner;
    const thresher::Run run = CompleteRun(inner, 6);
    LateCommitStore lagging(inner, CommitKey(1));
    FaultStore store(
        lagging, Clock::Real(),
        {{.kind = FaultKind::kErrorBefore, .call = StoreCall::kStat, .first_call = call}});
    const Result<bool> complete = IsStillComplete(store, run);
    EXPECT_EQ(*ListUnits(inner, kCommitsPrefix, 3), (std::vector<int64_t>{0, 1, 2}));
    EXPECT_TRUE(FindCompletion(inner, run).value().has_value());
    EXPECT_TRUE(inner.Stat(LeaseKey(1, 1)).ok());
    if (store.FaultCount() == 0) {
      EXPECT_TRUE(complete.ok() && *complete);
      EXPECT_GT(call, 1) << "the commit was asked for by name";
      break;
    }
    ASSERT_FALSE(complete.ok());
    EXPECT_NE(complete.status().message().find(CommitKey(1)), std::string::npos)
        << complete.status().message();
  }
}

// The same at the end of a run: an error must not look like missing units.
TEST(CompletionTest, AFailingCallIsNotAMissingUnit) {
  MemoryStore inner;
  const thresher::Run run = CompleteRun(inner, 6);
  LateCommitStore lagging(inner, CommitKey(1));
  FaultStore store(lagging, Clock::Real(),
                   {{.kind = FaultKind::kErrorBefore, .call = StoreCall::kStat}});
  EXPECT_EQ(WriteManifest(store, run).status().code(), Code::kUnavailable);
  EXPECT_TRUE(inner.Stat(BlockMarkKey(0, 3, BlockMark::kFinished)).ok());
  EXPECT_TRUE(FindCompletion(inner, run).value().has_value());
}

// Another worker makes the missing unit while this one still looks.
TEST(StillCompleteTest, AUnitThatWasMadeAgainMeanwhileKeepsItsCommit) {
  struct RemakeOnDelete : public ForwardingStore {
    using ForwardingStore::ForwardingStore;
    Status Delete(std::string_view key) override {
      if (on_delete) std::exchange(on_delete, nullptr)();
      EXPECT_FALSE(key.starts_with(kCommitsPrefix) || key.starts_with(kQuarantinePrefix)) << key;
      return ForwardingStore::Delete(key);
    }
    std::function<void()> on_delete;
  };
  MemoryStore inner;
  const thresher::Run run = CompleteRun(inner, 6);
  ASSERT_TRUE(inner.Delete(CommitKey(1)).ok());
  RemakeOnDelete store(inner);
  store.on_delete = [&] { CommitUnit(inner, run, 1); };
  EXPECT_FALSE(IsStillComplete(store, run).value());
  EXPECT_EQ(*ListUnits(inner, kCommitsPrefix, 3), (std::vector<int64_t>{0, 1, 2}));
  SleepClock clock;
  StartWorker(inner, clock, run);
  EXPECT_TRUE(FindCompletion(inner, run).value().has_value());
}

// Whoever dies while opening units leaves a run that ends as it should: with a manifest that names
// the new commit.
TEST(StillCompleteTest, AnyFailingCallLeavesARunThatWorkersComplete) {
  for (const FaultKind kind : {FaultKind::kErrorBefore, FaultKind::kErrorAfter}) {
    for (int64_t call = 1;; ++call) {
      MemoryStore inner;
      const thresher::Run run = CompleteRun(inner, 6);
      const std::string old_manifest = *inner.GetText(kManifestKey);
      ASSERT_TRUE(inner.Delete(CommitKey(1)).ok());
      SleepClock clock;
      FaultStore store(inner, clock, {{.kind = kind, .first_call = call, .call_count = 1'000'000}});
      (void)IsStillComplete(store, run);
      // Others make the unit with another outcome, unless the run still seems to be complete: then
      // the next start finds it out.
      if (!FindCompletion(inner, run).value().has_value()) CommitUnit(inner, run, 1, 1);
      for (int start = 0; start < 3; ++start) StartWorker(inner, clock, run);
      const auto completion = FindCompletion(inner, run);
      ASSERT_TRUE(completion.ok() && completion->has_value()) << "call " << call;
      const Commit remade = *ReadCommit(inner, 1);
      EXPECT_EQ((*completion)->HasExceptions(), !remade.rejected.empty()) << "call " << call;
      if (!remade.rejected.empty()) {
        EXPECT_NE(*inner.GetText(kManifestKey), old_manifest);
      }
      if (store.FaultCount() == 0) break;
    }
  }
}

TEST(CompletionTest, TheManifestIsAskedForOnlyIfTheRunIsSaidToBeComplete) {
  MemoryStore inner;
  const thresher::Run run = CreateOrJoinRun(inner, SmallSpec(6), SmallParts()).value();
  CommitAll(inner, run);
  SleepClock clock;
  FaultStore counted(inner, clock);
  ASSERT_TRUE(ConcludeRun(counted, clock, run, {}).value().has_value());
  EXPECT_EQ(counted.CallCount(StoreCall::kStat), 2) << "for extensions, before and after";

  // Somebody deletes it, to have it written again.
  const std::string manifest = *inner.GetText(kManifestKey);
  ASSERT_TRUE(inner.Delete(kManifestKey).ok());
  ASSERT_TRUE(ConcludeRun(inner, clock, run, {}).value().has_value());
  EXPECT_EQ(*inner.GetText(kManifestKey), manifest);
}

TEST(CompletionTest, ASummaryAndAReadmeAreWrittenWithTheManifest) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(6), SmallParts());
  CommitUnit(store, *run, 0, /*rejected=*/1);
  CommitUnit(store, *run, 1);
  const Quarantine aside{.unit = 2, .first_sample = 4, .sample_count = 2, .errors = {"it burns"}};
  ASSERT_TRUE(store.Put(QuarantineKey(2), AsBytes(aside.ToText())).ok());
  Heartbeat heartbeat;
  heartbeat.started_unix_ms = 1'000'000;
  heartbeat.updated_unix_ms = 1'000'000 + 5'400'000;
  heartbeat.tokens_computed = 700;
  heartbeat.units_duplicate = 1;
  for (const char* session : {"a", "b"}) {
    ASSERT_TRUE(store.Put(HeartbeatKey(3, session), AsBytes(heartbeat.ToText())).ok());
  }
  ASSERT_TRUE(store.Put(HeartbeatKey(4, "c"), AsBytes("broken")).ok());
  ASSERT_TRUE((*WriteManifest(store, *run)).has_value());

  const Result<Json> summary = ParseRecord(*store.GetText(kSummaryKey), kSummaryKey);
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->at("state"), "complete with exceptions");
  const Json& content = summary->at("content");
  EXPECT_EQ(content.at("samples"),
            Json({{"stored", 3}, {"rejected", 1}, {"set_aside", 2}, {"truncated", 0}}));
  EXPECT_EQ(content.at("rejected_by_reason"),
            Json::array({Json({{"reason", "bad"}, {"count", 1}})}));
  EXPECT_EQ(content.at("first_rejected"), Json::array({Json({{"sample", 0}, {"reason", "bad"}})}));
  EXPECT_EQ(summary->at("work"), Json({{"source", "the workers' last heartbeats"},
                                       {"sessions", 2},
                                       {"workers", 1},
                                       {"machine_hours", 3.0},
                                       {"tokens_computed", 1400},
                                       {"tokens_computed_in_vain", 1400},
                                       {"units_thrown_away", 2}}));
  const std::string readme = *store.GetText(kReadmeKey);
  for (const char* text : {"complete with exceptions", "hook_embed", "d.jsonl", "bf16"}) {
    EXPECT_NE(readme.find(text), std::string::npos) << text << "\n" << readme;
  }
  ASSERT_TRUE(ReopenUnit(store, *run, 1).ok());
  EXPECT_FALSE(store.Stat(kSummaryKey).ok());
  EXPECT_FALSE(store.Stat(kReadmeKey).ok());
}

TEST(CompletionTest, ACompleteRunOfAnEarlierVersionGetsThemToo) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(6), SmallParts());
  CommitAll(store, *run);
  ASSERT_TRUE((*WriteManifest(store, *run)).has_value());
  const std::string manifest = *store.GetText(kManifestKey);
  ASSERT_TRUE(store.Delete(kSummaryKey).ok());
  ASSERT_TRUE(store.Delete(kReadmeKey).ok());
  ASSERT_TRUE((*ConcludeRun(store, Clock::Real(), *run, {.session = "me"})).has_value());
  EXPECT_TRUE(store.Stat(kSummaryKey).ok());
  EXPECT_TRUE(store.Stat(kReadmeKey).ok());
  EXPECT_EQ(*store.GetText(kManifestKey), manifest);
}

}  // namespace
}  // namespace thresher
