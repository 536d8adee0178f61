// Local copies of shards: what stays, what goes, and what a later session takes over.

#include "extract/spool.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/collected_log_for_test.h"
#include "extract/worker_fixture_for_test.h"
#include "store/fault_store.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

constexpr int64_t kForEver = 1'000'000'000;

class SpoolTest : public WorkerTest {
 protected:
  // A worker with a spool in `copies_`, opened as a new session does.
  void RunWithSpool(Store& store, FakeEngine& engine, WorkerRun& result,
                    Spool::Options options = {}, Worker::Options worker_options = {}) {
    const Result<thresher::Run> run = Join(store);
    ASSERT_TRUE(run.ok()) << run.status().message();
    Spool spool(copies_, options, spool_log_.logger());
    const Status opened = spool.Open(store, run->fingerprint);
    ASSERT_TRUE(opened.ok()) << opened.message();
    RunWorker(store, engine, 0, result, worker_options, &spool);
  }

  static std::vector<std::string> KeysOf(Store& store) {
    const Result<std::vector<ObjectInfo>> objects = ListAll(store, "");
    std::vector<std::string> keys;
    for (const ObjectInfo& object : *objects) keys.push_back(object.key);
    return keys;
  }
  std::vector<std::string> SpooledKeys() { return KeysOf(spooled_); }

  // A store that takes no shards: every upload fails, the rest works.
  std::unique_ptr<FaultStore> WithoutUploads(Store& inner) {
    auto store = std::make_unique<FaultStore>(inner, clock_);
    // Puts: the first heartbeat, then shards (the beat interval is longer than the test).
    store->AddFault({.call = StoreCall::kPut,
                     .first_call = 2,
                     .call_count = kForEver,
                     .status = PermissionDenied("no uploads today")});
    return store;
  }
  static constexpr Worker::Options kOneFailure = {.beat_interval_ms = kForEver,
                                                  .max_consecutive_failures = 1};

  MemoryStore spooled_{clock_};
  FaultStore copies_{spooled_, clock_};
  CollectedLog spool_log_;
};

TEST_F(SpoolTest, CommittedShardsStayUnderTheNamesOfTheRun) {
  MemoryStore store(clock_);
  FakeEngine engine(format_, kBatchTokens);
  WorkerRun worker;
  RunWithSpool(store, engine, worker);
  ASSERT_TRUE(worker.outcome.ok()) << worker.outcome.status().message();
  ExpectWhole(store);
  const auto shards = ListAll(store, "tpu_");
  ASSERT_EQ(SpooledKeys().size(), shards->size());
  for (const ObjectInfo& shard : *shards) {
    EXPECT_EQ(*spooled_.GetText(shard.key), *store.GetText(shard.key));
  }
}

TEST_F(SpoolTest, NothingStaysIfCopiesAreDeletedAfterUpload) {
  MemoryStore store(clock_);
  FakeEngine engine(format_, kBatchTokens);
  WorkerRun worker;
  RunWithSpool(store, engine, worker, {.delete_after_upload = true});
  ASSERT_TRUE(worker.outcome.ok());
  EXPECT_GT(copies_.CallCount(StoreCall::kPut), 0);
  EXPECT_TRUE(SpooledKeys().empty());
  ExpectWhole(store);
}

TEST_F(SpoolTest, AShardWhoseUploadFailedIsNotComputedAgain) {
  for (const bool delete_after_upload : {false, true}) {
    MemoryStore store(clock_);
    const auto broken = WithoutUploads(store);
    FakeEngine first(format_, kBatchTokens);
    WorkerRun failed;
    RunWithSpool(*broken, first, failed, {delete_after_upload}, kOneFailure);
    ASSERT_FALSE(failed.outcome.ok());
    const size_t left = SpooledKeys().size();
    ASSERT_GE(left, 2u) << "a shard and its record";

    FakeEngine second(format_, kBatchTokens);
    WorkerRun healthy;
    RunWithSpool(store, second, healthy, {delete_after_upload});
    ASSERT_TRUE(healthy.outcome.ok()) << healthy.outcome.status().message();
    EXPECT_EQ(healthy.progress.units_adopted, static_cast<int64_t>(left / 2));
    EXPECT_LT(second.tokens_computed, TotalTokens());
    ExpectWhole(store);
    EXPECT_EQ(SpooledKeys().size(), delete_after_upload ? 0 : ListAll(store, "tpu_")->size());
    for (const std::string& key : SpooledKeys()) ASSERT_TRUE(spooled_.Delete(key).ok());
  }
}

TEST_F(SpoolTest, ADamagedCopyIsNotUsed) {
  MemoryStore store(clock_);
  const auto broken = WithoutUploads(store);
  FakeEngine first(format_, kBatchTokens);
  WorkerRun failed;
  RunWithSpool(*broken, first, failed, {}, kOneFailure);
  for (const std::string& key : SpooledKeys()) {
    if (!key.ends_with(".safetensors")) continue;
    std::string bytes = *spooled_.GetText(key);
    bytes[bytes.size() / 2] ^= 1;
    ASSERT_TRUE(spooled_.Put(key, AsBytes(bytes)).ok());
  }
  FakeEngine second(format_, kBatchTokens);
  WorkerRun healthy;
  RunWithSpool(store, second, healthy);
  ASSERT_TRUE(healthy.outcome.ok());
  EXPECT_EQ(healthy.progress.units_adopted, 0);
  EXPECT_EQ(second.tokens_computed, TotalTokens());
  ExpectWhole(store);
}

TEST_F(SpoolTest, CopiesOfAnotherRunAreLeftAlone) {
  MemoryStore store(clock_);
  const auto broken = WithoutUploads(store);
  FakeEngine first(format_, kBatchTokens);
  WorkerRun failed;
  RunWithSpool(*broken, first, failed, {}, kOneFailure);
  const std::vector<std::string> left = SpooledKeys();

  MemoryStore other(clock_);
  spec_.shard_bytes += 1;
  format_.run_fingerprint = spec_.Fingerprint();
  FakeEngine second(format_, kBatchTokens);
  WorkerRun worker;
  RunWithSpool(other, second, worker, {.delete_after_upload = true});
  ASSERT_TRUE(worker.outcome.ok());
  EXPECT_EQ(second.tokens_computed, TotalTokens());
  EXPECT_EQ(SpooledKeys(), left);
}

// The run was finished by others while this machine was away.
TEST_F(SpoolTest, WhatHasBeenCommittedSinceIsClearedAway) {
  MemoryStore store(clock_);
  const auto broken = WithoutUploads(store);
  FakeEngine first(format_, kBatchTokens);
  WorkerRun failed;
  RunWithSpool(*broken, first, failed, {}, kOneFailure);
  ASSERT_FALSE(SpooledKeys().empty());
  FakeEngine others(format_, kBatchTokens);
  WorkerRun elsewhere;
  RunWorker(store, others, 1, elsewhere);
  ASSERT_TRUE(elsewhere.outcome.ok());

  FakeEngine second(format_, kBatchTokens);
  WorkerRun back;
  RunWithSpool(store, second, back);
  ASSERT_TRUE(back.outcome.ok());
  EXPECT_TRUE(SpooledKeys().empty());
  EXPECT_EQ(second.tokens_computed, 0);
}

TEST_F(SpoolTest, AFullDiskIsToldOnceAndFailsNothing) {
  MemoryStore store(clock_);
  // The record of the third shard fits, the shard does not.
  copies_.AddFault({.call = StoreCall::kPut,
                    .first_call = 6,
                    .call_count = kForEver,
                    .status = ResourceExhausted("no space left")});
  FakeEngine engine(format_, kBatchTokens);
  WorkerRun worker;
  RunWithSpool(store, engine, worker);
  ASSERT_TRUE(worker.outcome.ok()) << worker.outcome.status().message();
  ASSERT_EQ(spool_log_.messages().size(), 1u);
  EXPECT_NE(spool_log_.messages()[0].find("no space left"), std::string::npos);
  EXPECT_EQ(SpooledKeys().size(), 2u) << "the two shards that had fitted";
  EXPECT_EQ(copies_.CallCount(StoreCall::kPut), 6);
  ExpectWhole(store);
}

// Every call to the spool's folder may fail, and a later session finds what there is.
TEST_F(SpoolTest, AnyCallMayFail) {
  for (int64_t n = 1;; ++n) {
    MemoryStore store(clock_);
    MemoryStore disk(clock_);
    FaultStore folder(disk, clock_, {{.first_call = n}});
    const Result<thresher::Run> run = Join(store);
    ASSERT_TRUE(run.ok());
    const CollectedLog log;
    Spool spool(folder, {}, log.logger());
    if (!spool.Open(store, run->fingerprint).ok()) continue;
    FakeEngine engine(format_, 100'000);
    WorkerRun worker;
    RunWorker(store, engine, 0, worker, {}, &spool);
    ASSERT_TRUE(worker.outcome.ok()) << "call " << n;
    ExpectWhole(store);
    if (folder.FaultCount() == 0) break;
    const CollectedLog later_log;
    Spool later(disk, {}, later_log.logger());
    ASSERT_TRUE(later.Open(store, run->fingerprint).ok());
    EXPECT_TRUE(later_log.messages().empty());
    for (const std::string& key : KeysOf(disk)) {
      EXPECT_TRUE(store.Stat(key).ok()) << key << " is no copy of a committed shard";
    }
  }
}

TEST_F(SpoolTest, TheFolderOfARunIsRefused) {
  MemoryStore store(clock_);
  ASSERT_TRUE(Join(store).ok());
  const CollectedLog log;
  Spool spool(store, {}, log.logger());
  EXPECT_EQ(spool.Open(store, "xxh3:00").code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace thresher
