#include "sim/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace thresher::sim {

int64_t Machine::MonotonicUs(int64_t now_us) const {
  const int64_t until_us = suspended_ && clock_stands_still_ ? suspended_since_us_ : now_us;
  return static_cast<int64_t>(clock_rate_ * static_cast<double>(until_us - stood_still_us_));
}

Scheduler::~Scheduler() { THRESHER_CHECK(free_tasks_.size() == tasks_.size()); }

void Scheduler::At(int64_t time_us, std::function<void()> action) {
  THRESHER_CHECK(time_us >= now_us_);
  events_.push_back({time_us, next_order_++, std::move(action)});
  std::push_heap(events_.begin(), events_.end(), Later{});
}

void Scheduler::RunBody(Process& process, const std::function<void()>& body) {
  if (process.killed_) return;
  try {
    body();
  } catch (const Killed&) {
    // The stack is unwound: that is all a kill asks for.
  }
}

void Scheduler::Spawn(Process& process, std::function<void()> body) {
  THRESHER_CHECK(!process.killed_);
  if (free_tasks_.empty()) {
    tasks_.push_back(std::make_unique<Task>());
    free_tasks_.push_back(tasks_.back().get());
  }
  Task* task = free_tasks_.back();
  free_tasks_.pop_back();
  task->process_ = &process;
  task->wait_ = 0;
  task->fiber_.emplace(stacks_,
                       [this, &process, body = std::move(body)] { RunBody(process, body); });
  process.tasks_.push_back(task);
  ready_.push_back(task);
}

Task& Scheduler::current() const {
  THRESHER_CHECK(current_ != nullptr);
  return *current_;
}

WakeToken Scheduler::PrepareToWait() {
  Task& task = current();
  task.wait_ = next_wait_++;
  return {&task, task.wait_};
}

void Scheduler::Wait() {
  Task& task = current();
  if (task.process_->killed_) throw Killed();
  task.fiber_->Pause();
  if (task.process_->killed_) throw Killed();
}

void Scheduler::SleepUntil(int64_t time_us) {
  const WakeToken token = PrepareToWait();
  At(std::max(time_us, now_us_), [this, token] { Wake(token); });
  Wait();
}

void Scheduler::Wake(WakeToken token) {
  if (token.task == nullptr || token.task->wait_ != token.wait) return;
  token.task->wait_ = 0;
  ready_.push_back(token.task);
}

void Scheduler::Kill(Process& process) {
  if (process.killed_) return;
  process.killed_ = true;
  std::vector<Task*>& deferred = process.machine_.deferred_;
  for (Task* task : process.tasks_) {
    THRESHER_CHECK(task != current_);
    const bool was_deferred = std::erase(deferred, task) > 0;
    if (was_deferred || task->wait_ != 0) {
      task->wait_ = 0;
      ready_.push_back(task);
    }
  }
}

void Scheduler::Suspend(Machine& machine, bool clock_stands_still) {
  if (machine.suspended_) return;
  machine.suspended_ = true;
  machine.clock_stands_still_ = clock_stands_still;
  machine.suspended_since_us_ = now_us_;
}

void Scheduler::Resume(Machine& machine) {
  if (!machine.suspended_) return;
  if (machine.clock_stands_still_) {
    machine.stood_still_us_ += now_us_ - machine.suspended_since_us_;
  }
  machine.suspended_ = false;
  ready_.insert(ready_.end(), machine.deferred_.begin(), machine.deferred_.end());
  machine.deferred_.clear();
}

void Scheduler::RunTask(Task& task) {
  Process& process = *task.process_;
  if (process.machine_.suspended_ && !process.killed_) {
    process.machine_.deferred_.push_back(&task);
    return;
  }
  current_ = &task;
  task.fiber_->Resume();
  current_ = nullptr;
  if (!task.fiber_->ended()) return;
  task.fiber_.reset();
  free_tasks_.push_back(&task);
  std::erase(process.tasks_, &task);
  if (process.tasks_.empty()) process.on_end_();
}

void Scheduler::RunReady() {
  while (!ready_.empty() && !stopped_) {
    Task* task = ready_.front();
    ready_.pop_front();
    RunTask(*task);
  }
}

void Scheduler::Run(int64_t until_us) {
  stopped_ = false;
  RunReady();
  while (!stopped_ && !events_.empty() && events_.front().time_us <= until_us) {
    std::pop_heap(events_.begin(), events_.end(), Later{});
    Event event = std::move(events_.back());
    events_.pop_back();
    now_us_ = event.time_us;
    ++event_count_;
    event.action();
    RunReady();
  }
}

void Scheduler::Drain() {
  stopped_ = false;
  RunReady();
}

void Signal::Wait(int64_t until_us) {
  const WakeToken token = scheduler_.PrepareToWait();
  std::erase_if(waiting_, [&](const WakeToken& other) { return other.task == token.task; });
  waiting_.push_back(token);
  if (until_us != kNever) {
    scheduler_.At(std::max(until_us, scheduler_.now_us()),
                  [&scheduler = scheduler_, token] { scheduler.Wake(token); });
  }
  scheduler_.Wait();
}

void Signal::NotifyAll() {
  for (const WakeToken& token : waiting_) scheduler_.Wake(token);
  waiting_.clear();
}

}  // namespace thresher::sim
