#ifndef THRESHER_ENGINE_CPU_BUFFER_PLAN_H_
#define THRESHER_ENGINE_CPU_BUFFER_PLAN_H_

#include <cstdint>
#include <vector>

#include "engine/cpu/program.h"

namespace thresher {

// When a storage is in use, both ends included: steps counted over the whole program, and stages.
struct Lifetime {
  int32_t first_step = 0;
  int32_t last_step = 0;
  int32_t first_stage = 0;
  int32_t last_stage = 0;
};

// Gives each storage (lifetimes[i] is that of program.storages[i]; they are in the order of
// first_step) a buffer that no other storage uses at that time, so that few buffers are needed.
//
// Inside a stage, threads run different chunks at different steps. A whole-batch buffer therefore
// changes hands inside one stage only between storages of equal row bytes, whose chunks lie at the
// same places; otherwise one thread's new rows could fall on another's old ones.
void AssignBuffers(const std::vector<Lifetime>& lifetimes, Program& program);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_BUFFER_PLAN_H_
