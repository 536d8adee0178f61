#include "sim/scheduler.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/sim_clock.h"

namespace thresher::sim {
namespace {

constexpr int64_t kSecondUs = 1'000'000;

// Ends the tasks that a test leaves behind.
class SchedulerTest : public ::testing::Test {
 protected:
  ~SchedulerTest() override {
    scheduler_.Kill(process_);
    scheduler_.Drain();
  }

  Scheduler scheduler_;
  Machine machine_{1.0};
  int ends_ = 0;
  Process process_{machine_, [this] { ++ends_; }};
  std::vector<std::string> log_;
};

TEST_F(SchedulerTest, RunsEventsInTheOrderOfTimeAndThenOfTheirMaking) {
  scheduler_.At(20, [&] { log_.push_back("third"); });
  scheduler_.At(10, [&] { log_.push_back("first"); });
  scheduler_.At(10, [&] { log_.push_back("second"); });
  scheduler_.Run();
  EXPECT_EQ(log_, (std::vector<std::string>{"first", "second", "third"}));
  EXPECT_EQ(scheduler_.now_us(), 20);
}

TEST_F(SchedulerTest, StopsAtTheGivenTime) {
  scheduler_.At(10, [&] { log_.push_back("early"); });
  scheduler_.At(30, [&] { log_.push_back("late"); });
  scheduler_.Run(20);
  EXPECT_EQ(log_, std::vector<std::string>{"early"});
  scheduler_.Run();
  EXPECT_EQ(log_.size(), 2u);
}

TEST_F(SchedulerTest, TasksSleepWithoutHoldingUpEachOther) {
  for (const int64_t seconds : {3, 1, 2}) {
    scheduler_.Spawn(process_, [this, seconds] {
      scheduler_.SleepUntil(seconds * kSecondUs);
      log_.push_back(std::to_string(seconds));
    });
  }
  scheduler_.Run();
  EXPECT_EQ(log_, (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(ends_, 1) << "the process ends once, with its last task";
}

TEST_F(SchedulerTest, AKillUnwindsEveryTaskOfTheProcessAndNoOther) {
  Process other(machine_, [] {});
  auto held = std::make_shared<int>(1);
  for (int task = 0; task < 3; ++task) {
    scheduler_.Spawn(process_, [this, held] {
      const std::shared_ptr<int> on_the_stack = held;
      scheduler_.SleepUntil(10 * kSecondUs);
      log_.push_back("not reached");
    });
  }
  scheduler_.Spawn(other, [this] {
    scheduler_.SleepUntil(10 * kSecondUs);
    log_.push_back("other");
  });
  scheduler_.At(kSecondUs, [&] { scheduler_.Kill(process_); });
  scheduler_.At(2 * kSecondUs, [&] {
    EXPECT_EQ(held.use_count(), 1);
    EXPECT_EQ(ends_, 1);
  });
  scheduler_.Run();
  EXPECT_EQ(log_, std::vector<std::string>{"other"});
}

TEST_F(SchedulerTest, ASuspendedMachineMakesUpForWhatItMissed) {
  int64_t woke_us = 0;
  scheduler_.Spawn(process_, [&] {
    scheduler_.SleepUntil(2 * kSecondUs);
    woke_us = scheduler_.now_us();
  });
  scheduler_.At(kSecondUs, [&] { scheduler_.Suspend(machine_, false); });
  scheduler_.At(9 * kSecondUs, [&] { scheduler_.Resume(machine_); });
  scheduler_.Run();
  EXPECT_EQ(woke_us, 9 * kSecondUs);
}

TEST_F(SchedulerTest, AKillReachesASuspendedMachine) {
  scheduler_.Spawn(process_, [&] { scheduler_.SleepUntil(2 * kSecondUs); });
  scheduler_.At(kSecondUs, [&] { scheduler_.Suspend(machine_, true); });
  scheduler_.At(3 * kSecondUs, [&] { scheduler_.Kill(process_); });
  scheduler_.Run();
  EXPECT_TRUE(process_.ended());
  scheduler_.Resume(machine_);
  scheduler_.Run();
}

TEST_F(SchedulerTest, AStaleTokenWakesNobody) {
  WakeToken first;
  scheduler_.Spawn(process_, [&] {
    first = scheduler_.PrepareToWait();
    scheduler_.Wait();
    log_.push_back("woken");
    scheduler_.SleepUntil(10 * kSecondUs);
    log_.push_back("slept");
  });
  scheduler_.At(1, [&] { scheduler_.Wake(first); });
  scheduler_.At(2, [&] { scheduler_.Wake(first); });
  scheduler_.At(3, [&] { EXPECT_EQ(log_, std::vector<std::string>{"woken"}); });
  scheduler_.Run();
  EXPECT_EQ(log_.size(), 2u);
}

TEST_F(SchedulerTest, ASignalWakesAllThatWaitAndATimeLimitOne) {
  Signal signal(scheduler_);
  for (const int64_t until_us : {kNever, 5 * kSecondUs}) {
    scheduler_.Spawn(process_, [&, until_us] {
      signal.Wait(until_us);
      log_.push_back(std::to_string(scheduler_.now_us() / kSecondUs));
    });
  }
  scheduler_.At(7 * kSecondUs, [&] { signal.NotifyAll(); });
  scheduler_.Run();
  EXPECT_EQ(log_, (std::vector<std::string>{"5", "7"}));
}

TEST_F(SchedulerTest, AClockRunsAtItsMachinesRate) {
  Machine fast(1.1);
  Process on_fast(fast, [] {});
  SimClock clock(scheduler_, fast);
  int64_t woke_us = 0;
  scheduler_.Spawn(on_fast, [&] {
    clock.SleepMs(11'000);
    woke_us = scheduler_.now_us();
  });
  scheduler_.Run();
  EXPECT_NEAR(static_cast<double>(woke_us), 10e6, 10);
}

TEST_F(SchedulerTest, AClockMayStandStillWhileItsMachineDoes) {
  SimClock clock(scheduler_, machine_);
  scheduler_.At(kSecondUs, [&] { scheduler_.Suspend(machine_, true); });
  scheduler_.At(5 * kSecondUs, [&] {
    EXPECT_EQ(clock.MonotonicUs(), kSecondUs);
    scheduler_.Resume(machine_);
  });
  scheduler_.At(6 * kSecondUs, [&] { EXPECT_EQ(clock.MonotonicUs(), 2 * kSecondUs); });
  scheduler_.Run();
}

}  // namespace
}  // namespace thresher::sim
