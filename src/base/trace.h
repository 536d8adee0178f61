#ifndef THRESHER_BASE_TRACE_H_
#define THRESHER_BASE_TRACE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/result.h"

namespace thresher {

// A file of where time went, in Chrome's trace format, which Perfetto (ui.perfetto.dev) opens:
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
// A JSON array with one event a line. Each event is written at once and whole, so that after a kill
// only the closing bracket is missing, which the format allows. Thread-safe.
class TraceWriter {
 public:
  static constexpr int64_t kDefaultMaxBytes = 256'000'000;

  // Creates or replaces `path`. `clock` is borrowed. Once the file has `max_bytes`, a last event
  // says so and later ones are dropped.
  static Result<std::unique_ptr<TraceWriter>> Create(const std::string& path, Clock& clock,
                                                     std::string_view process_name,
                                                     int64_t max_bytes = kDefaultMaxBytes);
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;
  ~TraceWriter();  // closes the array

  // What the calling thread is called from now on.
  void NameThread(std::string_view name);

  // The calling thread was busy with `name` from `begin_us` to `end_us` of the clock's monotonic
  // time. `unit`: for which unit; -1: none.
  void AddSpan(std::string_view name, int64_t begin_us, int64_t end_us, int64_t unit);

  Clock& clock() const { return clock_; }

 private:
  TraceWriter(int file, Clock& clock, int64_t max_bytes)
      : file_(file), clock_(clock), max_bytes_(max_bytes) {}

  void Write(const std::string& event);
  int64_t ThreadNumber();

  const int file_;
  Clock& clock_;
  const int64_t max_bytes_;
  std::mutex mutex_;
  std::map<std::thread::id, int64_t> threads_;  // guarded by mutex_
  int64_t bytes_ = 0;                           // guarded by mutex_
  bool is_full_ = false;                        // guarded by mutex_
};

// A span from here to the end of the block; nothing if `trace` is null.
class TraceSpan {
 public:
  TraceSpan(TraceWriter* trace, const char* name, int64_t unit = -1)
      : trace_(trace),
        name_(name),
        unit_(unit),
        begin_us_(trace ? trace->clock().MonotonicUs() : 0) {}
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;
  ~TraceSpan() {
    if (trace_) trace_->AddSpan(name_, begin_us_, trace_->clock().MonotonicUs(), unit_);
  }

 private:
  TraceWriter* const trace_;
  const char* const name_;
  const int64_t unit_;
  const int64_t begin_us_;
};

}  // namespace thresher

#endif  // THRESHER_BASE_TRACE_H_
