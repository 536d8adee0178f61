#ifndef THRESHER_DOCTOR_DOCTOR_H_
#define THRESHER_DOCTOR_DOCTOR_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace thresher {

enum class Verdict {
  kGood,
  kBad,         // no run works, or none is safe, until it is mended
  kNote,        // worth knowing; a run works
  kNotChecked,  // something before it failed
};

// "good", "bad", "note", "not checked".
std::string_view VerdictName(Verdict verdict);

// One thing that was looked at.
struct DoctorLine {
  std::string name;  // "write", "create-race": for scripts
  Verdict verdict = Verdict::kGood;
  std::string text;    // what was found
  std::string advice;  // what to do about it; empty if nothing
};

// How long calls of one kind took, in milliseconds.
struct CallLatency {
  std::string call;
  int64_t count = 0;
  double median_ms = 0;
  double p95_ms = 0;
  double max_ms = 0;
};

struct TransferRate {
  std::string name;  // "up, one stream"
  int64_t bytes = 0;
  int64_t duration_us = 0;
  double BytesPerSecond() const;
};

// The store's clock as its timestamps show it.
struct StoreClockReading {
  int64_t resolution_ms = 1;   // of timestamps: 1, 10, 100 or 1000
  int64_t ahead_ms = 0;        // of this machine's clock; negative: behind
  int64_t uncertainty_ms = 0;  // of ahead_ms, either way
};

struct DoctorReport {
  std::string url;
  std::string folder;  // where it wrote, below url
  std::vector<DoctorLine> lines;
  std::vector<CallLatency> latencies;
  std::vector<TransferRate> transfers;
  std::optional<StoreClockReading> clock;
  std::string checksum;  // what the store computes itself: "crc32c", "md5" or ""
  bool was_stopped = false;

  // A run would work here.
  bool ok() const;
};

struct DoctorOptions {
  int64_t transfer_bytes = 64'000'000;  // of each transfer; held in memory once
  int64_t latency_calls = 20;           // of each kind
  int64_t part_bytes = 32 << 20;        // as in StoreOptions
  int64_t parallel_parts = 8;
  bool thorough = false;                                // the whole contract suite, too
  std::function<bool()> stop = {};                      // asked before each call to the store
  std::function<void(const DoctorLine&)> on_line = {};  // each line as it is known
  std::function<void(std::string_view)> on_step = {};   // what is being done now
};

// One folder, opened in several ways. Borrowed; they may be the same object.
struct StoresToExamine {
  Store& store;
  Store& single_stream;  // without parallel parts
  Store& impatient;      // gives up soon: for the first call, as long as nobody knows who answers
};

// Tries the store in a folder of its own, "thresher-doctor-<random>", and removes it again. The
// store may be one that does not work at all: that is a finding, not an error. Where nobody answers
// the first call, no other is made.
DoctorReport ExamineStore(const StoresToExamine& stores, Clock& clock,
                          const DoctorOptions& options);

}  // namespace thresher

#endif  // THRESHER_DOCTOR_DOCTOR_H_
