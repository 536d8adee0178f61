#include "store/fault_store.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "store/memory_store.h"

namespace thresher {
namespace {

// A clock that moves only when somebody sleeps.
class ManualClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return 1000 * now_ms_; }
  int64_t UnixMs() const override { return now_ms_; }
  void SleepMs(int64_t duration_ms) override { now_ms_ += duration_ms; }

 private:
  int64_t now_ms_ = 1000;
};

class FaultStoreTest : public testing::Test {
 protected:
  ManualClock clock_;
  MemoryStore inner_{clock_};
};

TEST_F(FaultStoreTest, ErrorBeforeHasNoEffect) {
  FaultStore store(inner_, clock_, {{.first_call = 2, .status = PermissionDenied("no")}});
  EXPECT_TRUE(store.Put("a", AsBytes("1")).ok());
  EXPECT_EQ(store.Put("b", AsBytes("1")).code(), Code::kPermissionDenied);
  EXPECT_TRUE(store.Put("c", AsBytes("1")).ok());
  EXPECT_EQ(inner_.Stat("b").status().code(), Code::kNotFound);
  EXPECT_TRUE(inner_.Stat("c").ok());
  EXPECT_EQ(store.FaultCount(), 1);
}

TEST_F(FaultStoreTest, ErrorAfterLosesTheAnswerOnly) {
  FaultStore store(inner_, clock_, {{.kind = FaultKind::kErrorAfter, .call_count = 3}});
  EXPECT_FALSE(store.Put("a", AsBytes("1")).ok());
  const CreateResult created = store.CreateIfAbsent("b", AsBytes("1"));
  EXPECT_EQ(created.outcome, CreateOutcome::kUnknown);
  EXPECT_EQ(created.status.code(), Code::kUnavailable);
  EXPECT_FALSE(store.Delete("a").ok());
  EXPECT_FALSE(inner_.Stat("a").ok());
  EXPECT_TRUE(inner_.Stat("b").ok());
  EXPECT_EQ(store.CreateIfAbsent("b", AsBytes("2")).outcome, CreateOutcome::kConflict);
}

TEST_F(FaultStoreTest, FalseConflictWritesNothing) {
  FaultStore store(inner_, clock_,
                   {{.kind = FaultKind::kFalseConflict, .call = StoreCall::kCreateIfAbsent}});
  EXPECT_EQ(store.CreateIfAbsent("a", AsBytes("1")).outcome, CreateOutcome::kConflict);
  EXPECT_FALSE(inner_.Stat("a").ok());
  EXPECT_EQ(store.CreateIfAbsent("a", AsBytes("1")).outcome, CreateOutcome::kWritten);
}

TEST_F(FaultStoreTest, LatencyPassesOnTheClock) {
  FaultStore store(inner_, clock_, {{.kind = FaultKind::kLatency, .latency_ms = 250}});
  store.AddFault({.kind = FaultKind::kLatency, .call = StoreCall::kStat, .latency_ms = 50});
  EXPECT_FALSE(store.Stat("a").ok());
  EXPECT_EQ(clock_.MonotonicMs(), 1300);
  EXPECT_FALSE(store.Stat("a").ok());
  EXPECT_EQ(clock_.MonotonicMs(), 1300);
  EXPECT_EQ(store.FaultCount(), 1);
}

TEST_F(FaultStoreTest, AHangEndsAfterItsTimeOut) {
  FaultStore store(inner_, clock_,
                   {{.kind = FaultKind::kHang, .latency_ms = 60'000},
                    {.kind = FaultKind::kHangAfter, .first_call = 2, .latency_ms = 500}});
  EXPECT_EQ(store.Put("a", AsBytes("1")).code(), Code::kUnavailable);
  EXPECT_EQ(clock_.MonotonicMs(), 61'000);
  EXPECT_FALSE(inner_.Stat("a").ok());
  const CreateResult created = store.CreateIfAbsent("b", AsBytes("1"));
  EXPECT_EQ(created.outcome, CreateOutcome::kUnknown);
  EXPECT_EQ(created.status.code(), Code::kUnavailable);
  EXPECT_EQ(clock_.MonotonicMs(), 61'500);
  EXPECT_EQ(inner_.Stat("b")->modified_ms, 61'000) << "it took effect before the wait";
  EXPECT_TRUE(store.Put("a", AsBytes("1")).ok());
}

TEST_F(FaultStoreTest, ProbabilityAndSeedDecideWhichCallsFail) {
  const auto failed_calls = [&](uint64_t seed, double probability) {
    FaultStore store(inner_, clock_, {{.call_count = 10'000, .probability = probability}}, seed);
    std::vector<int> failed;
    for (int call = 0; call < 10'000; ++call) {
      if (!store.List("", "", 1).ok()) failed.push_back(call);
    }
    EXPECT_EQ(store.FaultCount(), static_cast<int64_t>(failed.size()));
    return failed;
  };
  const std::vector<int> failed = failed_calls(7, 0.1);
  EXPECT_NEAR(static_cast<double>(failed.size()), 1000, 150);
  EXPECT_EQ(failed, failed_calls(7, 0.1));
  EXPECT_NE(failed, failed_calls(8, 0.1));
  EXPECT_TRUE(failed_calls(7, 0).empty());
  EXPECT_EQ(failed_calls(7, 1).size(), 10'000u);
}

TEST_F(FaultStoreTest, CountsCallsBySort) {
  FaultStore store(inner_, clock_, {{.call = StoreCall::kList, .first_call = 2}});
  std::byte out[1];
  EXPECT_TRUE(store.Put("a", AsBytes("1")).ok());
  EXPECT_TRUE(store.GetRange("a", 0, out).ok());
  EXPECT_TRUE(store.List("", "", 10).ok());
  EXPECT_TRUE(store.Stat("a").ok());
  EXPECT_FALSE(store.List("", "", 10).ok());
  EXPECT_TRUE(store.List("", "", 10).ok());
  EXPECT_TRUE(store.Delete("a").ok());
  EXPECT_EQ(store.CallCount(), 7);
  EXPECT_EQ(store.CallCount(StoreCall::kList), 3);
  EXPECT_EQ(store.CallCount(StoreCall::kPut), 1);
  EXPECT_EQ(store.CallCount(StoreCall::kCreateIfAbsent), 0);
}

// The way it is used: fail the n-th call for n = 1, 2, 3 ... until nothing fails any more.
TEST_F(FaultStoreTest, EveryCallMayFail) {
  ASSERT_TRUE(inner_.Put("a", AsBytes("text")).ok());
  const auto read_all = [](Store& store) -> Status {
    RETURN_IF_ERROR(ListAll(store, "").status());
    RETURN_IF_ERROR(store.Stat("a").status());
    return store.GetText("a").status();
  };
  int64_t failed_runs = 0;
  while (true) {
    FaultStore store(inner_, clock_, {{.first_call = failed_runs + 1}});
    const Status status = read_all(store);
    EXPECT_EQ(store.FaultCount(), status.ok() ? 0 : 1);
    if (status.ok()) break;
    EXPECT_EQ(status.code(), Code::kUnavailable);
    ++failed_runs;
  }
  EXPECT_EQ(failed_runs, 3);
}

TEST_F(FaultStoreTest, ThreadsMeetEveryFaultOnce) {
  FaultStore store(inner_, clock_, {{.first_call = 100, .call_count = 50}});
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&store] {
      for (int call = 0; call < 100; ++call) (void)store.Stat("a");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store.CallCount(), 800);
  EXPECT_EQ(store.FaultCount(), 50);
}

}  // namespace
}  // namespace thresher
