#ifndef THRESHER_SIM_SCHEDULER_H_
#define THRESHER_SIM_SCHEDULER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/fiber.h"

namespace thresher::sim {

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// Thrown out of every blocking call of a process that was killed, so that its stacks unwind.
struct Killed {};

class Scheduler;
class Task;

// The right to wake one task out of one wait. A stale one does nothing.
struct WakeToken {
  Task* task = nullptr;
  uint64_t wait = 0;
};

// A machine that processes run on. While it is suspended nothing on it runs, and what should have
// run is made up for when it is resumed.
class Machine {
 public:
  explicit Machine(double clock_rate) : clock_rate_(clock_rate) {}

  bool suspended() const { return suspended_; }
  // Seconds that its monotonic clock counts in a second.
  double clock_rate() const { return clock_rate_; }
  int64_t MonotonicUs(int64_t now_us) const;
  // By how much its wall clock is wrong.
  int64_t unix_offset_ms() const { return unix_offset_ms_; }
  void JumpWallClock(int64_t by_ms) { unix_offset_ms_ += by_ms; }

 private:
  friend class Scheduler;
  double clock_rate_;
  int64_t unix_offset_ms_ = 0;
  bool suspended_ = false;
  bool clock_stands_still_ = false;  // of the present suspension
  int64_t suspended_since_us_ = 0;
  int64_t stood_still_us_ = 0;
  std::vector<Task*> deferred_;
};

// Tasks that die together.
class Process {
 public:
  Process(Machine& machine, std::function<void()> on_end)
      : machine_(machine), on_end_(std::move(on_end)) {}

  Machine& machine() const { return machine_; }
  bool killed() const { return killed_; }
  bool ended() const { return tasks_.empty(); }

 private:
  friend class Scheduler;
  Machine& machine_;
  std::function<void()> on_end_;  // after the last task has ended
  bool killed_ = false;
  std::vector<Task*> tasks_;
};

// A fiber of a process, and what it waits for. The object is used again for later fibers, so that
// stale tokens never dangle.
class Task {
 public:
  Process& process() const { return *process_; }

 private:
  friend class Scheduler;
  std::optional<Fiber> fiber_;
  Process* process_ = nullptr;
  uint64_t wait_ = 0;  // 0: does not wait; no two waits of a world have the same number
};

// Virtual time, events in its order (of equal times: in the order of their making), and tasks. A
// pure function of what is scheduled: no thread, no clock, no randomness of its own.
class Scheduler {
 public:
  ~Scheduler();

  int64_t now_us() const { return now_us_; }

  // Runs `action` at that time, on the thread's own stack: it may not block.
  void At(int64_t time_us, std::function<void()> action);
  void After(int64_t delay_us, std::function<void()> action) {
    At(now_us_ + delay_us, std::move(action));
  }

  void Spawn(Process& process, std::function<void()> body);

  // For tasks only. All but the first throw Killed if the process was killed.
  WakeToken PrepareToWait();  // hand out the token, then Wait
  void Wait();                // until the token is used
  void SleepUntil(int64_t time_us);
  Task& current() const;

  void Wake(WakeToken token);

  // Unwinds every task of the process. May be called from anywhere but a task of that process.
  void Kill(Process& process);
  void Suspend(Machine& machine, bool clock_stands_still);
  void Resume(Machine& machine);

  // Runs events until none is left, the time is up, or Stop was called.
  void Run(int64_t until_us = kNever);
  void Stop() { stopped_ = true; }
  // Lets tasks that were killed unwind, without any event.
  void Drain();
  bool idle() const { return ready_.empty() && events_.empty(); }
  int64_t event_count() const { return event_count_; }

 private:
  struct Event {
    int64_t time_us;
    uint64_t order;
    std::function<void()> action;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.time_us != b.time_us ? a.time_us > b.time_us : a.order > b.order;
    }
  };

  void RunReady();
  void RunTask(Task& task);
  void RunBody(Process& process, const std::function<void()>& body);

  int64_t now_us_ = 0;
  uint64_t next_order_ = 0;
  uint64_t next_wait_ = 1;
  int64_t event_count_ = 0;
  bool stopped_ = false;
  std::vector<Event> events_;  // a heap
  std::deque<Task*> ready_;
  Task* current_ = nullptr;
  FiberStackPool stacks_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<Task*> free_tasks_;
};

// What tasks of one process wait for.
class Signal {
 public:
  explicit Signal(Scheduler& scheduler) : scheduler_(scheduler) {}

  // Until the next NotifyAll, or until then. May also return for no reason.
  void Wait(int64_t until_us = kNever);
  void NotifyAll();

 private:
  Scheduler& scheduler_;
  std::vector<WakeToken> waiting_;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_SCHEDULER_H_
