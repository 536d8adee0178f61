#ifndef THRESHER_SIM_SEED_RUNNER_H_
#define THRESHER_SIM_SEED_RUNNER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/world.h"

namespace thresher::sim {

struct SeedRange {
  uint64_t first = 1;
  uint64_t last = 1;

  uint64_t count() const { return last - first + 1; }
};

// All worlds of a range together.
struct SeedSummary {
  std::vector<WorldReport> failures;  // ascending by seed
  int64_t worlds = 0;
  int64_t units = 0;
  int64_t sessions = 0;
  int64_t kills = 0;
  int64_t events = 0;
  int64_t innocents_set_aside = 0;
  RequestCounts requests;
  WorkDone work;

  void Add(const WorldReport& report);
  std::string Describe() const;
};

struct SeedRunOptions {
  int64_t jobs = 1;  // threads
  ProtocolFactory protocol;
  uint64_t max_failures = 10;  // then it stops
  // Called now and then, on one thread at a time.
  std::function<void(const SeedSummary& so_far)> progress;
};

SeedSummary RunSeeds(const SeedRange& range, const SeedRunOptions& options);

// The world of one seed, with its trace.
WorldReport RunSeed(uint64_t seed, const ProtocolFactory& protocol, const TraceSink& trace);

// The last `count` lines of a seed's trace.
std::vector<std::string> LastEvents(uint64_t seed, const ProtocolFactory& protocol, size_t count);

}  // namespace thresher::sim

#endif  // THRESHER_SIM_SEED_RUNNER_H_
