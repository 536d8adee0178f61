#ifndef THRESHER_SIM_MUTANTS_H_
#define THRESHER_SIM_MUTANTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/scenario.h"
#include "sim/world.h"

namespace thresher::sim {

// A protocol that is broken on purpose, to show that the simulator finds what is wrong with it. The
// product has no switch for any of this: a mutant is a store, or a step of its own.
struct Mutant {
  std::string name;
  std::string what;  // it does wrong
  ProtocolFactory protocol;
};

const std::vector<Mutant>& Mutants();

struct MutantFound {
  uint64_t seed = 0;
  std::string failure;
};
// The first seed from 1 to `last_seed` in which the checks find something; nothing if none does.
std::optional<MutantFound> FindMutant(const Mutant& mutant, uint64_t last_seed);

}  // namespace thresher::sim

#endif  // THRESHER_SIM_MUTANTS_H_
