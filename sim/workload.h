#ifndef THRESHER_SIM_WORKLOAD_H_
#define THRESHER_SIM_WORKLOAD_H_

#include <cstdint>
#include <map>
#include <string>

#include "extract/run_store.h"
#include "work/records.h"

namespace thresher::sim {

enum class Poison : uint8_t {
  kNone,
  kFails,  // its production fails everywhere
  kKills,  // it kills every process that works on it
};

// What there is to do, and what is true of it.
struct Workload {
  int64_t sample_count = 0;
  int64_t samples_per_unit = 0;
  int64_t unit_us = 0;  // to compute a unit on a machine of speed 1
  int64_t batches_per_unit = 1;
  std::map<int64_t, Poison> poison;  // by unit; others: none
  std::map<int64_t, double>
      slow_on_machine;  // by machine number: its first unit takes so much longer

  int64_t unit_count() const { return (sample_count + samples_per_unit - 1) / samples_per_unit; }
  Poison PoisonOf(int64_t unit) const {
    const auto found = poison.find(unit);
    return found == poison.end() ? Poison::kNone : found->second;
  }
};

RunSpec SpecOf(const Workload& workload);
Plan PlanOf(const Workload& workload);

// The bytes of a unit's shard: the same whoever makes them, and different for every unit.
std::string ShardContent(int64_t unit);

// The record that fits them, but for what the publisher adds.
Commit CommitFor(const Run& run, int64_t unit, int64_t epoch, int64_t worker_id,
                 const std::string& session);

}  // namespace thresher::sim

#endif  // THRESHER_SIM_WORKLOAD_H_
