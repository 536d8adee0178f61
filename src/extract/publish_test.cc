// Every step of publishing, failing in every way.

#include "extract/publish.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "store/fault_store.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

// Time passes only when somebody sleeps.
class SleeplessClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return 1000 * now_ms_; }
  int64_t UnixMs() const override { return 1'700'000'000'000 + now_ms_; }
  void SleepMs(int64_t duration_ms) override { now_ms_ += duration_ms; }

 private:
  int64_t now_ms_ = 0;
};

// Reports a checksum as some clouds do, and damages or drops the first uploads of shards.
class CloudLikeStore : public MemoryStore {
 public:
  enum class Damage { kNone, kCut, kFlip, kDrop };

  using MemoryStore::MemoryStore;

  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    if (!key.ends_with(".safetensors")) return MemoryStore::Put(key, bytes);
    ++uploads;
    if (uploads > damaged_uploads) return MemoryStore::Put(key, bytes);
    std::vector<std::byte> damaged(bytes.begin(), bytes.end());
    switch (damage) {
      case Damage::kDrop:
        return OkStatus();
      case Damage::kCut:
        damaged.pop_back();
        break;
      case Damage::kFlip:
        damaged[3] ^= std::byte{1};
        break;
      case Damage::kNone:
        break;
    }
    return MemoryStore::Put(key, damaged);
  }
  Result<ObjectInfo> Stat(std::string_view key) override {
    ASSIGN_OR_RETURN(ObjectInfo info, MemoryStore::Stat(key));
    if (checksum_kind == "crc32c:") {
      ASSIGN_OR_RETURN(const std::string bytes, MemoryStore::GetText(key));
      info.checksum = FormatCrc32c(ExtendCrc32c(0, AsBytes(bytes)));
    } else if (!checksum_kind.empty()) {
      info.checksum = checksum_kind + "00112233445566778899aabbccddeeff";
    }
    return info;
  }

  std::string checksum_kind;
  Damage damage = Damage::kNone;
  int64_t damaged_uploads = 0;
  int64_t uploads = 0;
};

// A run of two units, one worker's ledger, and a shard for unit 1.
class PublishTest : public ::testing::Test {
 protected:
  PublishTest() {
    commit_.run_fingerprint = run_.fingerprint;
    commit_.unit = 1;
    commit_.epoch = 1;
    commit_.session = "ours";
    commit_.first_sample = 10;
    commit_.sample_count = 10;
    commit_.bytes = static_cast<int64_t>(kFile.size());
    commit_.checksum = FormatCrc32c(ExtendCrc32c(0, AsBytes(kFile)));
    commit_.header_checksum = FormatCrc32c(0);
    commit_.shard = ShardKey(0, 1, 1, "ours");
  }

  Result<Published> Publish(Store& store) {
    Ledger ledger(store, clock_, run_, {.session = "ours"});
    return PublishShard(store, clock_, ledger, commit_, AsBytes(kFile), {},
                        [this](int64_t upload_ms) { upload_ms_ = upload_ms; });
  }

  // Another worker's commit of the same unit.
  void CommitOfAnother(Store& store) {
    Commit other = commit_;
    other.session = "theirs";
    other.shard = ShardKey(1, 1, 1, "theirs");
    ASSERT_TRUE(store.Put(other.shard, AsBytes(kFile)).ok());
    ASSERT_TRUE(store.Put(CommitKey(1), AsBytes(other.ToText())).ok());
  }

  bool HasShard(Store& store) { return store.Stat(commit_.shard).ok(); }
  bool HasCommit(Store& store) { return store.Stat(CommitKey(1)).ok(); }

  // Whatever happened: a commit that is there names a shard that is there and whole.
  void ExpectNoBrokenCommit(Store& store) {
    const Result<std::string> text = store.GetText(CommitKey(1));
    if (!text.ok()) return;
    const Result<Commit> commit = Commit::FromText(*text, CommitKey(1));
    ASSERT_TRUE(commit.ok());
    const Result<std::string> shard = store.GetText(commit->shard);
    ASSERT_TRUE(shard.ok()) << "the commit names a shard that is not there";
    EXPECT_EQ(*shard, kFile);
  }

  static inline const std::string kFile = "the bytes of a shard";
  SleeplessClock clock_;
  // Two units of ten samples.
  thresher::Run run_{RunSpec(), "xxh3:00", Plan::Balanced(std::vector<int64_t>(20, 1), 10)};
  Commit commit_;
  int64_t upload_ms_ = -1;
};

TEST_F(PublishTest, PutsComparesAndCommits) {
  MemoryStore inner(clock_);
  FaultStore store(inner, clock_);
  const Result<Published> published = Publish(store);
  ASSERT_TRUE(published.ok()) << published.status().message();
  EXPECT_EQ(published->outcome, Ledger::CommitOutcome::kCommitted);
  EXPECT_EQ(store.CallCount(), 3) << "put, stat, create";
  EXPECT_EQ(upload_ms_, 0);
  EXPECT_EQ(*inner.GetText(commit_.shard), kFile);
  const Result<Commit> commit = ReadCommit(inner, 1);
  ASSERT_TRUE(commit.ok());
  EXPECT_EQ(commit->committed_unix_ms, clock_.UnixMs());
}

TEST_F(PublishTest, ADuplicateIsDeleted) {
  MemoryStore store(clock_);
  CommitOfAnother(store);
  const Result<Published> published = Publish(store);
  ASSERT_TRUE(published.ok()) << published.status().message();
  EXPECT_EQ(published->outcome, Ledger::CommitOutcome::kDuplicate);
  EXPECT_TRUE(published->left_behind.ok());
  EXPECT_FALSE(HasShard(store));
  ExpectNoBrokenCommit(store);
}

TEST_F(PublishTest, ADuplicateThatCannotBeDeletedIsADuplicateAllTheSame) {
  MemoryStore inner(clock_);
  CommitOfAnother(inner);
  FaultStore store(inner, clock_,
                   {{.call = StoreCall::kDelete, .first_call = 1, .call_count = 100}});
  const Result<Published> published = Publish(store);
  ASSERT_TRUE(published.ok()) << published.status().message();
  EXPECT_EQ(published->outcome, Ledger::CommitOutcome::kDuplicate);
  EXPECT_EQ(published->left_behind.code(), Code::kUnavailable);
  EXPECT_NE(published->left_behind.message().find(commit_.shard), std::string::npos);
  EXPECT_TRUE(HasShard(inner));
}

// The same call of the same worker again, after an answer was lost on the way up.
TEST_F(PublishTest, PublishingAgainIsCommittedNotDuplicate) {
  MemoryStore store(clock_);
  ASSERT_TRUE(Publish(store).ok());
  clock_.SleepMs(1000);  // the second record differs in its time
  const Result<Published> published = Publish(store);
  ASSERT_TRUE(published.ok()) << published.status().message();
  EXPECT_EQ(published->outcome, Ledger::CommitOutcome::kCommitted);
  EXPECT_TRUE(HasShard(store));
}

// A fault at one of the three calls, once: publishing gets over it.
class OneFaultTest : public PublishTest,
                     public ::testing::WithParamInterface<std::pair<StoreCall, FaultKind>> {};

TEST_P(OneFaultTest, IsSurvived) {
  for (const bool duplicate : {false, true}) {
    MemoryStore inner(clock_);
    if (duplicate) CommitOfAnother(inner);
    FaultStore store(inner, clock_, {{.kind = GetParam().second, .call = GetParam().first}});
    const Result<Published> published = Publish(store);
    ASSERT_TRUE(published.ok()) << published.status().message();
    EXPECT_EQ(published->outcome == Ledger::CommitOutcome::kDuplicate, duplicate);
    EXPECT_TRUE(published->left_behind.ok());
    EXPECT_EQ(HasShard(inner), !duplicate);
    EXPECT_TRUE(HasCommit(inner));
    ExpectNoBrokenCommit(inner);
    const bool is_called = duplicate || GetParam().first != StoreCall::kDelete;
    EXPECT_EQ(store.FaultCount(), is_called ? 1 : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Faults, OneFaultTest,
    ::testing::Values(std::pair(StoreCall::kPut, FaultKind::kErrorBefore),
                      std::pair(StoreCall::kPut, FaultKind::kErrorAfter),
                      std::pair(StoreCall::kStat, FaultKind::kErrorBefore),
                      std::pair(StoreCall::kStat, FaultKind::kErrorAfter),
                      std::pair(StoreCall::kCreateIfAbsent, FaultKind::kErrorBefore),
                      std::pair(StoreCall::kCreateIfAbsent, FaultKind::kErrorAfter),
                      std::pair(StoreCall::kCreateIfAbsent, FaultKind::kFalseConflict),
                      std::pair(StoreCall::kDelete, FaultKind::kErrorBefore),
                      std::pair(StoreCall::kDelete, FaultKind::kErrorAfter)));

// A call that fails for good: the unit fails, with the step and the shard named, and nothing in the
// store is wrong.
class LastingFaultTest : public PublishTest,
                         public ::testing::WithParamInterface<std::pair<StoreCall, FaultKind>> {};

TEST_P(LastingFaultTest, FailsTheUnitAndBreaksNothing) {
  for (const Code code : {Code::kUnavailable, Code::kPermissionDenied, Code::kResourceExhausted}) {
    MemoryStore inner(clock_);
    FaultStore store(inner, clock_,
                     {{.kind = GetParam().second,
                       .call = GetParam().first,
                       .call_count = 1'000'000,
                       .status = Status(code, "no")}});
    if (GetParam().first == StoreCall::kCreateIfAbsent) {
      // The answer cannot be read back either.
      store.AddFault({.call = StoreCall::kGetText, .call_count = 1'000'000});
    }
    const Result<Published> published = Publish(store);
    ASSERT_FALSE(published.ok());
    EXPECT_NE(published.status().message().find(commit_.shard), std::string::npos);
    if (GetParam().first == StoreCall::kCreateIfAbsent) {
      EXPECT_TRUE(HasShard(inner)) << "the commit may be there, so the shard must be too";
    } else {
      EXPECT_EQ(published.status().code(), code);
    }
    ExpectNoBrokenCommit(inner);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Faults, LastingFaultTest,
    ::testing::Values(std::pair(StoreCall::kPut, FaultKind::kErrorBefore),
                      std::pair(StoreCall::kPut, FaultKind::kErrorAfter),
                      std::pair(StoreCall::kStat, FaultKind::kErrorBefore),
                      std::pair(StoreCall::kCreateIfAbsent, FaultKind::kErrorBefore),
                      std::pair(StoreCall::kCreateIfAbsent, FaultKind::kErrorAfter)));

TEST_F(PublishTest, TriesAgainOnlyWhatMaySucceed) {
  MemoryStore inner(clock_);
  FaultStore full(inner, clock_,
                  {{.call = StoreCall::kPut,
                    .call_count = 1'000'000,
                    .status = ResourceExhausted("disk full")}});
  EXPECT_EQ(Publish(full).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(full.CallCount(StoreCall::kPut), 1);
  EXPECT_EQ(clock_.MonotonicMs(), 0);
  FaultStore away(inner, clock_, {{.call = StoreCall::kPut, .call_count = 1'000'000}});
  EXPECT_EQ(Publish(away).status().code(), Code::kUnavailable);
  EXPECT_EQ(away.CallCount(StoreCall::kPut), 5);
  EXPECT_EQ(clock_.MonotonicMs(), 200 + 600 + 1800 + 5400);
}

// --- what the store holds is not what was sent ---

using Damage = CloudLikeStore::Damage;

class DamageTest : public PublishTest, public ::testing::WithParamInterface<Damage> {};

TEST_P(DamageTest, IsUploadedAgain) {
  CloudLikeStore store(clock_);
  store.checksum_kind = "crc32c:";
  store.damage = GetParam();
  store.damaged_uploads = 2;
  const Result<Published> published = Publish(store);
  ASSERT_TRUE(published.ok()) << published.status().message();
  EXPECT_EQ(store.uploads, 3);
  ExpectNoBrokenCommit(store);
}

TEST_P(DamageTest, ThatStaysFailsTheUnitWithoutACommit) {
  CloudLikeStore store(clock_);
  store.checksum_kind = "crc32c:";
  store.damage = GetParam();
  store.damaged_uploads = 1'000'000;
  const Result<Published> published = Publish(store);
  ASSERT_FALSE(published.ok());
  EXPECT_EQ(published.status().code(), Code::kDataLoss);
  EXPECT_NE(published.status().message().find(commit_.shard), std::string::npos);
  EXPECT_EQ(store.uploads, 3);
  EXPECT_FALSE(HasCommit(store));
  EXPECT_FALSE(HasShard(store));
  EXPECT_EQ(upload_ms_, -1);
}

INSTANTIATE_TEST_SUITE_P(Damages, DamageTest,
                         ::testing::Values(Damage::kCut, Damage::kFlip, Damage::kDrop));

TEST_F(PublishTest, AChecksumOfAnotherSortIsPassedOver) {
  CloudLikeStore store(clock_);
  store.checksum_kind = "md5:";
  EXPECT_TRUE(Publish(store).ok());
}

}  // namespace
}  // namespace thresher
