#ifndef THRESHER_SIM_SEEDS_H_
#define THRESHER_SIM_SEEDS_H_

#include <cstdint>
#include <string_view>

#include "base/random.h"

namespace thresher::sim {

// A seed of its own for each concern of a world, so that one more draw in one of them changes
// nothing in the others.
inline uint64_t SeedFor(uint64_t seed, std::string_view concern) {
  uint64_t mixed = Random(seed).Next();
  for (const char letter : concern) {
    mixed = Random(mixed ^ static_cast<unsigned char>(letter)).Next();
  }
  return mixed;
}

}  // namespace thresher::sim

#endif  // THRESHER_SIM_SEEDS_H_
