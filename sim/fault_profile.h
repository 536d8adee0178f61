#ifndef THRESHER_SIM_FAULT_PROFILE_H_
#define THRESHER_SIM_FAULT_PROFILE_H_

#include <cstdint>
#include <vector>

namespace thresher::sim {

// How a simulated store behaves. Probabilities are per request; while faults are over
// (StoreProfile::faults_end_us) none of them counts any more and lists are up to date.
struct StoreFaults {
  double error_before = 0;    // an error, without effect
  double error_after = 0;     // the effect, then an error
  double lost_request = 0;    // never arrives: time-out
  double lost_answer = 0;     // the effect, then a time-out
  double late_effect = 0;     // time-out; the effect comes later, up to `max_late_us`
  double duplicate = 0;       // executed twice, a moment apart; the second answer is the one given
  double false_conflict = 0;  // a create is refused though nothing is there (S3's 409)
  double truncate = 0;        // a shard arrives cut off, and the store says that all is well
  double slow = 0;            // takes up to `max_slow_us` longer
  double stale_list = 0;      // a list shows what was there up to `max_list_lag_us` ago
  int64_t max_late_us = 0;
  int64_t max_slow_us = 0;
  int64_t max_list_lag_us = 0;
  bool shows_partial_uploads = false;  // the uploader died: the store shows what had arrived
};

// The whole store is away.
struct Outage {
  int64_t begin_us = 0;
  int64_t end_us = 0;
  bool hangs = false;  // time-outs instead of errors
};

// The store's clock is set forth or back.
struct StoreClockJump {
  int64_t at_us = 0;
  int64_t by_ms = 0;
};

struct StoreProfile {
  int64_t latency_us = 20'000;    // there and back, on average
  int64_t shard_transfer_us = 0;  // of one shard, besides the latency
  int64_t timeout_us = 60'000'000;
  int64_t page_objects = 1000;
  int64_t clock_base_ms = 1'790'000'000'000;
  int64_t clock_resolution_ms = 1;
  double clock_rate = 1.0;
  bool gives_checksums = false;
  StoreFaults faults;
  std::vector<Outage> outages;
  std::vector<StoreClockJump> clock_jumps;
  int64_t faults_end_us = 0;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_FAULT_PROFILE_H_
