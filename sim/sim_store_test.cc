#include "sim/sim_store.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace thresher::sim {
namespace {

constexpr int64_t kSecondUs = 1'000'000;

// One process and a store whose faults a test chooses; each of them meets every request.
class SimStoreTest : public ::testing::Test {
 protected:
  SimStoreTest() { profile_.faults_end_us = kNever; }
  ~SimStoreTest() override {
    scheduler_.Kill(process_);
    scheduler_.Drain();
  }

  // Runs `body` as a task, and then everything that is still on its way.
  void Do(const std::function<void()>& body) {
    scheduler_.Spawn(process_, body);
    scheduler_.Run();
  }
  std::vector<std::string> Listed() {
    std::vector<std::string> keys;
    const auto page = store_.List("", "", 100);
    if (!page.ok()) return {page.status().message()};
    for (const ObjectInfo& object : page->objects) keys.push_back(object.key);
    return keys;
  }

  StoreProfile profile_;
  Scheduler scheduler_;
  StoreState state_{scheduler_, profile_};
  Network network_{scheduler_, state_, profile_, 1};
  Machine machine_{1.0};
  Process process_{machine_, [] {}};
  SimStore store_{network_, process_, "test"};
};

TEST_F(SimStoreTest, KeepsWhatItIsGiven) {
  Do([&] {
    ASSERT_TRUE(store_.Put("a/b", AsBytes("text")).ok());
    EXPECT_EQ(*store_.GetText("a/b"), "text");
    EXPECT_EQ(store_.Stat("a/b")->bytes, 4);
    EXPECT_EQ(store_.CreateIfAbsent("a/b", AsBytes("other")).outcome, CreateOutcome::kConflict);
    EXPECT_EQ(store_.CreateIfAbsent("a/c", AsBytes("new")).outcome, CreateOutcome::kWritten);
    EXPECT_EQ(Listed(), (std::vector<std::string>{"a/b", "a/c"}));
    ASSERT_TRUE(store_.Delete("a/b").ok());
    EXPECT_EQ(store_.GetText("a/b").status().code(), Code::kNotFound);
    EXPECT_EQ(Listed(), std::vector<std::string>{"a/c"});
  });
}

TEST_F(SimStoreTest, ListsAPrefixPageByPage) {
  const std::vector<std::string> keys = {"a/1", "a/2", "a/3", "a0", "b/1"};
  for (const std::string& key : keys) state_.Put(key, "x", 1, 0);
  profile_.page_objects = 2;
  Do([&] {
    const auto first = store_.List("a/", "", 100);
    ASSERT_EQ(first->objects.size(), 2u);
    EXPECT_EQ(first->objects[1].key, "a/2");
    EXPECT_TRUE(first->more);
    const auto second = store_.List("a/", "a/2", 100);
    ASSERT_EQ(second->objects.size(), 1u);
    EXPECT_EQ(second->objects[0].key, "a/3");
    EXPECT_FALSE(second->more);
    for (const char* start_after : {"a/3", "a0", "zebra"}) {
      EXPECT_TRUE(store_.List("a/", start_after, 100)->objects.empty()) << start_after;
    }
    EXPECT_EQ(store_.List("b", "a/1", 100)->objects.size(), 1u);
    EXPECT_TRUE(store_.List("c", "", 100)->objects.empty());
  });
}

TEST_F(SimStoreTest, ADuplicatedCreateConflictsWithItself) {
  profile_.faults.duplicate = 1;
  Do([&] {
    EXPECT_EQ(store_.CreateIfAbsent("a", AsBytes("mine")).outcome, CreateOutcome::kConflict);
  });
  EXPECT_EQ(state_.Find("a")->text, "mine");
}

TEST_F(SimStoreTest, AFalseConflictLeavesNothing) {
  profile_.faults.false_conflict = 1;
  Do([&] {
    EXPECT_EQ(store_.CreateIfAbsent("a", AsBytes("x")).outcome, CreateOutcome::kConflict);
  });
  EXPECT_EQ(state_.Find("a"), nullptr);
}

TEST_F(SimStoreTest, AnErrorMayComeBeforeOrAfterTheEffect) {
  profile_.faults.error_before = 1;
  Do([&] { EXPECT_EQ(store_.Put("before", AsBytes("x")).code(), Code::kUnavailable); });
  EXPECT_EQ(state_.Find("before"), nullptr);
  profile_.faults.error_before = 0;
  profile_.faults.error_after = 1;
  Do([&] { EXPECT_EQ(store_.Put("after", AsBytes("x")).code(), Code::kUnavailable); });
  EXPECT_NE(state_.Find("after"), nullptr);
}

TEST_F(SimStoreTest, ALateWriteLandsAfterTheDeathOfItsSender) {
  profile_.faults.late_effect = 1;
  profile_.faults.max_late_us = 100 * kSecondUs;
  bool landed = false;
  // Half of such requests are dropped with their sender.
  for (int attempt = 0; attempt < 20 && !landed; ++attempt) {
    Process sender(machine_, [] {});
    SimStore store(network_, sender, "sender");
    scheduler_.Spawn(sender, [&] { (void)store.Put("late", AsBytes("x")); });
    scheduler_.After(kSecondUs, [&] { scheduler_.Kill(sender); });
    scheduler_.Run(scheduler_.now_us() + 2 * kSecondUs);
    ASSERT_TRUE(sender.ended());
    EXPECT_EQ(state_.Find("late"), nullptr);
    scheduler_.Run();
    landed = state_.Find("late") != nullptr;
  }
  EXPECT_TRUE(landed);
}

TEST_F(SimStoreTest, AListMayLagBehindAndAReadNever) {
  profile_.faults.stale_list = 1;
  profile_.faults.max_list_lag_us = 10 * kSecondUs;
  bool missed = false;
  bool shown_though_deleted = false;
  for (int attempt = 0; attempt < 30; ++attempt) {
    const std::string key = "k" + std::to_string(attempt);
    Do([&] {
      ASSERT_TRUE(store_.Put(key, AsBytes("x")).ok());
      missed |= Listed().empty();
      EXPECT_TRUE(store_.GetText(key).ok());
      scheduler_.SleepUntil(scheduler_.now_us() + 20 * kSecondUs);
      EXPECT_EQ(Listed(), std::vector<std::string>{key});
      ASSERT_TRUE(store_.Delete(key).ok());
      shown_though_deleted |= !Listed().empty();
      EXPECT_FALSE(store_.GetText(key).ok());
      scheduler_.SleepUntil(scheduler_.now_us() + 20 * kSecondUs);
    });
  }
  EXPECT_TRUE(missed);
  EXPECT_TRUE(shown_though_deleted);
}

TEST_F(SimStoreTest, ACutOffUploadIsShorterThanWhatWasSent) {
  profile_.faults.truncate = 1;
  Do([&] {
    ASSERT_TRUE(store_.Put("x.safetensors", AsBytes("0123456789")).ok());
    EXPECT_EQ(store_.Stat("x.safetensors")->bytes, 5);
  });
}

TEST_F(SimStoreTest, ADeadUploaderLeavesAPartOrNothing) {
  profile_.shard_transfer_us = 100 * kSecondUs;
  for (const bool shown : {false, true}) {
    profile_.faults.shows_partial_uploads = shown;
    Process sender(machine_, [] {});
    SimStore store(network_, sender, "sender");
    scheduler_.Spawn(sender, [&] { (void)store.Put("y.safetensors", AsBytes("0123456789")); });
    scheduler_.After(kSecondUs, [&] { scheduler_.Kill(sender); });
    scheduler_.Run();
    const StoredObject* object = state_.Find("y.safetensors");
    ASSERT_EQ(object != nullptr, shown);
    if (shown) {
      EXPECT_LT(object->bytes, 10);
    }
  }
}

TEST_F(SimStoreTest, TimestampsAreTheStoresOwn) {
  profile_.clock_base_ms = 5'000;
  profile_.clock_resolution_ms = 1000;
  profile_.clock_jumps = {{.at_us = 100 * kSecondUs, .by_ms = -60'000}};
  Do([&] {
    scheduler_.SleepUntil(90 * kSecondUs);
    ASSERT_TRUE(store_.Put("a", AsBytes("x")).ok());
    EXPECT_EQ(store_.Stat("a")->modified_ms, 95'000);
    scheduler_.SleepUntil(110 * kSecondUs);
    ASSERT_TRUE(store_.Put("b", AsBytes("x")).ok());
    EXPECT_EQ(store_.Stat("b")->modified_ms, 55'000);
  });
}

}  // namespace
}  // namespace thresher::sim
