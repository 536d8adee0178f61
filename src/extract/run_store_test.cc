#include "extract/run_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "extract/completion.h"
#include "store/fault_store.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

// A data set of so many samples: two of them agree in as many first samples as the shorter has.
std::string FingerprintOfSamples(int64_t count) { return "samples:" + std::to_string(count); }

RunSpec SpecOf(int64_t samples) {
  RunSpec spec;
  spec.model = {"m", "Fake", 2, 24, "c", "w"};
  spec.dataset = {"d.jsonl", FingerprintOfSamples(samples), samples};
  spec.prompts = {"p", 16, "truncate"};
  spec.capture = {.hooks = {"hook_embed"},
                  .dtype = "bf16",
                  .compute = "f32",
                  .engine = "fake",
                  .batch_tokens = 16};
  spec.shard_bytes = 100;
  return spec;
}

// Units of two samples.
Result<Plan> TwoByTwo(SampleRange samples) {
  return Plan::Balanced(std::vector<int64_t>(static_cast<size_t>(samples.count), 1), 2);
}

JoinParts Parts(bool extend = false) {
  return {.make_plan = TwoByTwo, .dataset_fingerprint = FingerprintOfSamples, .extend = extend};
}

void CommitUnit(Store& store, const Run& run, int64_t unit, int64_t rejected = 0) {
  const SampleRange samples = run.plan.Samples(unit);
  Commit commit;
  commit.run_fingerprint = run.fingerprint;
  commit.unit = unit;
  commit.epoch = 1;
  commit.bytes = 1;
  commit.session = "s";
  commit.first_sample = samples.first;
  commit.sample_count = samples.count;
  commit.shard = ShardKey(0, unit, 1, "s");
  for (int64_t i = 0; i < rejected; ++i) commit.rejected.push_back({samples.first + i, "bad"});
  const Result<CreatedRecord> created = CreateRecord(store, CommitKey(unit), commit.ToText());
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(created->creation, Creation::kOurs);
}

void CommitAll(Store& store, const Run& run) {
  const Result<std::vector<int64_t>> done = ListUnits(store, kCommitsPrefix, run.plan.unit_count());
  for (int64_t unit = 0; unit < run.plan.unit_count(); ++unit) {
    if (!std::binary_search(done->begin(), done->end(), unit)) CommitUnit(store, run, unit);
  }
}

TEST(RunStoreTest, ARunIsExtendedAtItsEnd) {
  MemoryStore store;
  const Result<thresher::Run> first = CreateOrJoinRun(store, SpecOf(5), Parts());
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_EQ(first->plan.unit_count(), 3);
  CommitAll(store, *first);
  ASSERT_TRUE((*WriteManifest(store, *first)).has_value());
  const std::string run_json = *store.GetText(kRunKey);

  const Result<thresher::Run> longer = CreateOrJoinRun(store, SpecOf(9), Parts(true));
  ASSERT_TRUE(longer.ok()) << longer.status().message();
  EXPECT_EQ(longer->fingerprint, first->fingerprint);
  EXPECT_EQ(longer->extension_count, 1);
  EXPECT_EQ(longer->plan.unit_count(), 5);
  for (int64_t unit = 0; unit < 3; ++unit) {
    EXPECT_EQ(longer->plan.Samples(unit).first, first->plan.Samples(unit).first);
    EXPECT_EQ(longer->plan.Samples(unit).count, first->plan.Samples(unit).count);
  }
  EXPECT_EQ(longer->plan.Samples(3).first, 5);
  EXPECT_EQ(longer->plan.sample_count(), 9);
  EXPECT_EQ(*store.GetText(kRunKey), run_json) << "what is there is not touched";

  EXPECT_FALSE((*WriteManifest(store, *longer)).has_value()) << "the new units are missing";
  CommitAll(store, *longer);
  const auto completion = WriteManifest(store, *longer);
  ASSERT_TRUE(completion.ok());
  EXPECT_EQ((*completion)->unit_count, 5);
  const std::string manifest = *store.GetText(kManifestKey);

  // A worker that was started before does not know; it must not shorten the manifest.
  ASSERT_TRUE((*WriteManifest(store, *first)).has_value());
  EXPECT_EQ(*store.GetText(kManifestKey), manifest);
}

TEST(RunStoreTest, JoinersSeeTheExtendedRun) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SpecOf(4), Parts()).ok());
  ASSERT_TRUE(CreateOrJoinRun(store, SpecOf(6), Parts(true)).ok());
  ASSERT_TRUE(CreateOrJoinRun(store, SpecOf(10), Parts(true)).ok());
  for (const bool extend : {false, true}) {
    const Result<thresher::Run> joined = CreateOrJoinRun(store, SpecOf(10), Parts(extend));
    ASSERT_TRUE(joined.ok()) << joined.status().message();
    EXPECT_EQ(joined->extension_count, 2);
    EXPECT_EQ(joined->plan.unit_count(), 5);
  }
  EXPECT_EQ(CreateOrJoinRun(store, SpecOf(4), Parts()).status().code(), Code::kFailedPrecondition)
      << "with the old data set";
}

TEST(RunStoreTest, WithoutTheWordARunIsNotExtended) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SpecOf(4), Parts()).ok());
  const Status status = CreateOrJoinRun(store, SpecOf(6), Parts()).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("--extend"), std::string::npos) << status.message();
}

TEST(RunStoreTest, OnlyADataSetThatBeginsWithTheRunsSamplesExtendsIt) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SpecOf(4), Parts()).ok());
  JoinParts other = Parts(true);
  other.dataset_fingerprint = [](int64_t) { return "other samples"; };
  const Status status = CreateOrJoinRun(store, SpecOf(6), other).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("does not begin with the 4 samples"), std::string::npos);
  EXPECT_FALSE(store.Stat(ExtensionKey(1)).ok());

  RunSpec other_model = SpecOf(6);
  other_model.model.weights_fingerprint = "other";
  EXPECT_FALSE(CreateOrJoinRun(store, other_model, Parts(true)).ok());
  EXPECT_FALSE(store.Stat(ExtensionKey(1)).ok());
}

TEST(RunStoreTest, OfTwoDifferentExtensionsOneWins) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SpecOf(4), Parts()).ok());
  // Another worker extends the run between our reading and our writing.
  JoinParts slow = Parts(true);
  slow.make_plan = [&](SampleRange samples) {
    EXPECT_TRUE(CreateOrJoinRun(store, SpecOf(6), Parts(true)).ok());
    return TwoByTwo(samples);
  };
  const Status status = CreateOrJoinRun(store, SpecOf(8), slow).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  const Result<thresher::Run> run = LoadRun(store);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->spec.dataset.sample_count, 6);
  EXPECT_TRUE(CreateOrJoinRun(store, SpecOf(8), Parts(true)).ok()) << "and can be extended again";
}

TEST(RunStoreTest, ABrokenExtensionIsAnError) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SpecOf(4), Parts()).ok());
  ASSERT_TRUE(CreateOrJoinRun(store, SpecOf(6), Parts(true)).ok());
  std::string text = *store.GetText(ExtensionKey(1));
  const size_t count = text.find("\"sample_count\":6");
  ASSERT_NE(count, std::string::npos) << text;
  text.replace(count, 16, "\"sample_count\":7");
  ASSERT_TRUE(store.Put(ExtensionKey(1), AsBytes(text)).ok());
  EXPECT_EQ(LoadRun(store).status().code(), Code::kDataLoss);
}

TEST(RunStoreTest, AReopenedUnitIsAllThatIsMissing) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SpecOf(6), Parts());
  ASSERT_TRUE(store.Put(LeaseKey(1, 1), AsBytes("{}")).ok());
  ASSERT_TRUE(store.Put(LeaseEndKey(1, 1, LeaseEnd::kFailed), AsBytes("{}")).ok());
  ASSERT_TRUE(store.Put(BlockMarkKey(0, 3, BlockMark::kFinished), AsBytes("{}")).ok());
  CommitAll(store, *run);
  ASSERT_TRUE((*ConcludeRun(store, Clock::Real(), *run, {})).has_value());
  ASSERT_TRUE(ReopenUnit(store, *run, 1).ok());
  EXPECT_EQ(*ListUnits(store, kCommitsPrefix, 3), (std::vector<int64_t>{0, 2}));
  for (const std::string& prefix :
       {std::string(kIndexPrefix), LeasePrefix(1), ManifestLeasePrefix(3), std::string("manif")}) {
    EXPECT_TRUE(ListAll(store, prefix)->empty()) << prefix;
  }
  EXPECT_EQ(ReopenUnit(store, *run, 3).code(), Code::kInvalidArgument);
  CommitUnit(store, *run, 1, 1);
  const auto completion = ConcludeRun(store, Clock::Real(), *run, {});
  ASSERT_TRUE(completion.ok());
  EXPECT_TRUE((*completion)->HasExceptions());
}

TEST(RunStoreTest, AnOpenUnitCanBeReopened) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SpecOf(6), Parts());
  CommitUnit(store, *run, 0);
  EXPECT_TRUE(ReopenUnit(store, *run, 1).ok());
  EXPECT_EQ(*ListUnits(store, kCommitsPrefix, 3), (std::vector<int64_t>{0}));
}

TEST(RunStoreTest, StrangeObjectsAmongTheExtensionsAreIgnored) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SpecOf(4), Parts()).ok());
  ASSERT_TRUE(store.Put("extensions/notes.txt", AsBytes("x")).ok());
  EXPECT_EQ(CreateOrJoinRun(store, SpecOf(6), Parts(true))->extension_count, 1);
}

// Time passes only while somebody sleeps.
class SleepClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return now_us_; }
  int64_t UnixMs() const override { return now_us_ / 1000; }
  void SleepMs(int64_t duration_ms) override {
    now_us_ += duration_ms * 1000;
    if (on_sleep) on_sleep();
  }

  std::function<void()> on_sleep;

 private:
  int64_t now_us_ = 0;
};

TEST(CompletionTest, OneWorkerWritesTheManifestAndOthersWait) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SpecOf(6), Parts());
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
  const Result<thresher::Run> run = CreateOrJoinRun(store, SpecOf(4'000), Parts());
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
  const Result<thresher::Run> small = CreateOrJoinRun(store, SpecOf(4), Parts());
  CommitAll(store, *small);
  struct PutHook : public FaultStore {
    using FaultStore::FaultStore;
    Status Put(std::string_view key, std::span<const std::byte> bytes) override {
      if (before_put) std::exchange(before_put, nullptr)();
      return FaultStore::Put(key, bytes);
    }
    std::function<void()> before_put;
  } slow(store, Clock::Real());
  std::string manifest;
  slow.before_put = [&] {
    const Result<thresher::Run> larger = CreateOrJoinRun(store, SpecOf(6), Parts(true));
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
  const Result<thresher::Run> run = CreateOrJoinRun(store, SpecOf(6), Parts());
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
  const Result<thresher::Run> run = CreateOrJoinRun(store, SpecOf(6), Parts());
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
  const Result<thresher::Run> run = CreateOrJoinRun(store, SpecOf(2'000), Parts());
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
    const Result<thresher::Run> run = CreateOrJoinRun(inner, SpecOf(6), Parts());
    CommitAll(inner, *run);
    SleepClock clock;
    FaultStore store(inner, clock, {{.kind = FaultKind::kErrorAfter, .first_call = call}});
    (void)ConcludeRun(store, clock, *run, {.session = "first"});
    const auto completion = ConcludeRun(inner, clock, *run, {.session = "second"});
    ASSERT_TRUE(completion.ok() && completion->has_value()) << "call " << call;
    EXPECT_TRUE(inner.Stat(kManifestKey).ok());
    if (store.FaultCount() == 0) break;
  }
}

}  // namespace
}  // namespace thresher
