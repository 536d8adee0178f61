#include "extract/run_store.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "extract/completion.h"
#include "extract/ledger.h"
#include "extract/small_run_for_test.h"
#include "store/fault_store.h"
#include "store/forwarding_store.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

TEST(RunStoreTest, ARunIsExtendedAtItsEnd) {
  MemoryStore store;
  const Result<thresher::Run> first = CreateOrJoinRun(store, SmallSpec(5), SmallParts());
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_EQ(first->plan.unit_count(), 3);
  CommitAll(store, *first);
  ASSERT_TRUE((*WriteManifest(store, *first)).has_value());
  const std::string run_json = *store.GetText(kRunKey);

  const Result<thresher::Run> longer = CreateOrJoinRun(store, SmallSpec(9), SmallParts(true));
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

TEST(RunStoreTest, FilesOfOthersAreNotReplaced) {
  for (const std::string_view key : {kReadmeKey, kSummaryKey, kManifestKey}) {
    MemoryStore store;
    ASSERT_TRUE(store.Put(key, AsBytes("mine")).ok());
    const Status refused = CreateOrJoinRun(store, SmallSpec(5), SmallParts()).status();
    EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
    EXPECT_NE(refused.message().find("holds a " + std::string(key)), std::string::npos)
        << refused.message();
    EXPECT_EQ(ListAll(store, "")->size(), 1U) << "nothing was begun";
    ASSERT_TRUE(store.Delete(key).ok());
    ASSERT_TRUE(store.Put("notes.txt", AsBytes("mine")).ok());
    EXPECT_TRUE(CreateOrJoinRun(store, SmallSpec(5), SmallParts()).ok()) << "it is in nobody's way";
  }
}

TEST(RunStoreTest, AnotherRunJsonIsNamedWithItsFolder) {
  MemoryStore store;
  ASSERT_TRUE(store.Put(kRunKey, AsBytes("{}")).ok());
  const Status refused = CreateOrJoinRun(store, SmallSpec(5), SmallParts()).status();
  EXPECT_NE(refused.message().find(store.url() + ": run.json: "), std::string::npos)
      << refused.message();
}

TEST(RunStoreTest, JoinersSeeTheExtendedRun) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(4), SmallParts()).ok());
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(6), SmallParts(true)).ok());
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(10), SmallParts(true)).ok());
  for (const bool extend : {false, true}) {
    const Result<thresher::Run> joined = CreateOrJoinRun(store, SmallSpec(10), SmallParts(extend));
    ASSERT_TRUE(joined.ok()) << joined.status().message();
    EXPECT_EQ(joined->extension_count, 2);
    EXPECT_EQ(joined->plan.unit_count(), 5);
  }
  EXPECT_EQ(CreateOrJoinRun(store, SmallSpec(4), SmallParts()).status().code(),
            Code::kFailedPrecondition)
      << "with the old data set";
}

TEST(RunStoreTest, WithoutTheWordARunIsNotExtended) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(4), SmallParts()).ok());
  const Status status = CreateOrJoinRun(store, SmallSpec(6), SmallParts()).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("--extend"), std::string::npos) << status.message();
}

// Fingerprints alone tell nobody what to look at.
TEST(RunStoreTest, ARefusalNamesBothDataSets) {
  MemoryStore store;
  RunSpec spec = SmallSpec(4);
  spec.dataset.path = "mine.jsonl";
  ASSERT_TRUE(CreateOrJoinRun(store, spec, SmallParts()).ok());
  spec.dataset.path = "yours.jsonl";
  spec.dataset.fingerprint = "other";
  const std::string message = CreateOrJoinRun(store, spec, SmallParts()).status().message();
  EXPECT_NE(message.find("the run's data set is mine.jsonl, this worker's yours.jsonl"),
            std::string::npos)
      << message;
}

TEST(RunStoreTest, OnlyADataSetThatBeginsWithTheRunsSamplesExtendsIt) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(4), SmallParts()).ok());
  JoinParts other = SmallParts(true);
  other.dataset_fingerprint = [](int64_t) -> Result<std::string> {
    return std::string("other samples");
  };
  const Status status = CreateOrJoinRun(store, SmallSpec(6), other).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("does not begin with the 4 samples"), std::string::npos);
  EXPECT_FALSE(store.Stat(ExtensionKey(1)).ok());

  RunSpec other_model = SmallSpec(6);
  other_model.model.weights_fingerprint = "other";
  EXPECT_FALSE(CreateOrJoinRun(store, other_model, SmallParts(true)).ok());
  EXPECT_FALSE(store.Stat(ExtensionKey(1)).ok());
}

TEST(RunStoreTest, OfTwoDifferentExtensionsOneWins) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(4), SmallParts()).ok());
  // Another worker extends the run between our reading and our writing.
  JoinParts slow = SmallParts(true);
  slow.make_plan = [&](SampleRange samples) {
    EXPECT_TRUE(CreateOrJoinRun(store, SmallSpec(6), SmallParts(true)).ok());
    return TwoByTwo(samples);
  };
  const Status status = CreateOrJoinRun(store, SmallSpec(8), slow).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  const Result<thresher::Run> run = LoadRun(store);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->spec.dataset.sample_count, 6);
  EXPECT_TRUE(CreateOrJoinRun(store, SmallSpec(8), SmallParts(true)).ok())
      << "and can be extended again";
}

TEST(RunStoreTest, ABrokenExtensionIsAnError) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(4), SmallParts()).ok());
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(6), SmallParts(true)).ok());
  std::string text = *store.GetText(ExtensionKey(1));
  const size_t count = text.find("\"sample_count\":6");
  ASSERT_NE(count, std::string::npos) << text;
  text.replace(count, 16, "\"sample_count\":7");
  ASSERT_TRUE(store.Put(ExtensionKey(1), AsBytes(text)).ok());
  EXPECT_EQ(LoadRun(store).status().code(), Code::kDataLoss);
}

TEST(RunStoreTest, AReopenedUnitIsAllThatIsMissing) {
  MemoryStore store;
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(6), SmallParts());
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
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(6), SmallParts());
  CommitUnit(store, *run, 0);
  EXPECT_TRUE(ReopenUnit(store, *run, 1).ok());
  EXPECT_EQ(*ListUnits(store, kCommitsPrefix, 3), (std::vector<int64_t>{0}));
}

TEST(RunStoreTest, StrangeObjectsAmongTheExtensionsAreIgnored) {
  MemoryStore store;
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(4), SmallParts()).ok());
  ASSERT_TRUE(store.Put("extensions/notes.txt", AsBytes("x")).ok());
  EXPECT_EQ(CreateOrJoinRun(store, SmallSpec(6), SmallParts(true))->extension_count, 1);
}

TEST(RunStoreTest, JoiningReadsEachRecordOnce) {
  MemoryStore inner;
  ASSERT_TRUE(CreateOrJoinRun(inner, SmallSpec(4), SmallParts()).ok());
  // Which objects were read.
  struct Recording : public ForwardingStore {
    using ForwardingStore::ForwardingStore;
    Result<std::string> GetText(std::string_view key) override {
      read.emplace_back(key);
      return ForwardingStore::GetText(key);
    }
    std::vector<std::string> read;
  } store(inner);
  const Result<thresher::Run> joined = CreateOrJoinRun(store, SmallSpec(4), SmallParts());
  ASSERT_TRUE(joined.ok()) << joined.status().message();
  const std::string plan = PlanKey(joined->fingerprint);
  EXPECT_EQ(store.read, (std::vector<std::string>{std::string(kRunKey), plan, ExtensionKey(1)}));

  store.read.clear();
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(6), SmallParts(true)).ok());
  EXPECT_EQ(store.read, (std::vector<std::string>{std::string(kRunKey), plan, ExtensionKey(1),
                                                  ExtensionKey(1), ExtensionKey(2)}));

  FaultStore counted(inner, Clock::Real());
  ASSERT_TRUE(CreateOrJoinRun(counted, SmallSpec(6), SmallParts()).ok());
  EXPECT_EQ(counted.CallCount(), 4)
      << "run.json, the plan, its extension, and that there is no more";
}

// What docs/protocol.md says of a worker's start, call by call as thresher extract makes them.
TEST(RunStoreTest, AWorkerStartsWithNineRequests) {
  MemoryStore inner;
  ASSERT_TRUE(CreateOrJoinRun(inner, SmallSpec(400'000), SmallParts()).ok());
  FaultStore store(inner, Clock::Real());
  ASSERT_TRUE(LoadRunSpec(store).ok());
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(400'000), SmallParts());
  ASSERT_TRUE(run.ok());
  EXPECT_FALSE(FindCompletion(store, *run).value().has_value());
  Ledger ledger(store, Clock::Real(), *run, {.session = "me"});
  ASSERT_TRUE(ledger.Beat(Heartbeat{}).ok());
  ASSERT_EQ(ledger.Next()->kind, Ledger::Step::Kind::kClaimed);
  EXPECT_EQ(store.CallCount(StoreCall::kCreateIfAbsent), 1) << "the first claim, of a unit";
  EXPECT_EQ(store.CallCount(), 9 + 1);
}

TEST(RunStoreTest, TheSpecCanBeReadAlone) {
  MemoryStore inner;
  FaultStore store(inner, Clock::Real());
  EXPECT_EQ(LoadRunSpec(store).status().code(), Code::kNotFound);
  ASSERT_TRUE(CreateOrJoinRun(inner, SmallSpec(4), SmallParts()).ok());
  const Result<RunSpec> spec = LoadRunSpec(store);
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_TRUE(DifferingFields(*spec, SmallSpec(4)).empty());
  EXPECT_EQ(store.CallCount(), 2);
  ASSERT_TRUE(inner.Put(kRunKey, AsBytes("{")).ok());
  EXPECT_FALSE(LoadRunSpec(store).ok());
}

// Of two workers that create the run at the same time the later one gets the other's.
TEST(RunStoreTest, ARunThatIsCreatedMeanwhileIsJoined) {
  for (const int64_t samples : {4, 6}) {
    MemoryStore store;
    JoinParts slow = SmallParts();
    slow.make_plan = [&](SampleRange range) {
      EXPECT_TRUE(CreateOrJoinRun(store, SmallSpec(4), SmallParts()).ok());
      return TwoByTwo(range);
    };
    const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(samples), slow);
    if (samples == 4) {
      ASSERT_TRUE(run.ok()) << run.status().message();
      EXPECT_EQ(run->plan.unit_count(), 2);
    } else {
      EXPECT_EQ(run.status().code(), Code::kFailedPrecondition);
    }
  }
}

// A store whose lists lag behind does not hide what was just added.
TEST(RunStoreTest, AnExtensionIsSeenThoughListsLag) {
  MemoryStore inner;
  struct NoLists : public ForwardingStore {
    using ForwardingStore::ForwardingStore;
    Result<ListPage> List(std::string_view, std::string_view, int64_t) override {
      return ListPage{};
    }
  } store(inner);
  ASSERT_TRUE(CreateOrJoinRun(store, SmallSpec(4), SmallParts()).ok());
  const Result<thresher::Run> run = CreateOrJoinRun(store, SmallSpec(6), SmallParts(true));
  ASSERT_TRUE(run.ok()) << run.status().message();
  EXPECT_EQ(run->extension_count, 1);
}

}  // namespace
}  // namespace thresher
