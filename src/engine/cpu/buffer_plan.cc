#include "engine/cpu/buffer_plan.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "base/check.h"

namespace thresher {

void AssignBuffers(const std::vector<Lifetime>& lifetimes, Program& program) {
  THRESHER_CHECK(lifetimes.size() == program.storages.size());
  std::vector<size_t> last_storage;  // of each buffer
  for (size_t s = 0; s < lifetimes.size(); ++s) {
    Storage& storage = program.storages[s];
    const auto fits = [&](size_t b) {
      const Lifetime& before = lifetimes[last_storage[b]];
      if (program.buffers[b].whole_batch != storage.whole_batch) return false;
      if (before.last_step >= lifetimes[s].first_step) return false;
      return !storage.whole_batch || before.last_stage < lifetimes[s].first_stage ||
             program.storages[last_storage[b]].row_bytes == storage.row_bytes;
    };
    size_t best = program.buffers.size();
    const auto distance = [&](size_t b) {
      return std::abs(program.buffers[b].row_bytes - storage.row_bytes);
    };
    for (size_t b = 0; b < program.buffers.size(); ++b) {
      if (!fits(b)) continue;
      if (best == program.buffers.size() || distance(b) < distance(best)) best = b;
    }
    if (best == program.buffers.size()) {
      program.buffers.push_back({.row_bytes = 0, .whole_batch = storage.whole_batch});
      last_storage.push_back(s);
    }
    last_storage[best] = s;
    storage.buffer = static_cast<int32_t>(best);
    program.buffers[best].row_bytes = std::max(program.buffers[best].row_bytes, storage.row_bytes);
  }
}

}  // namespace thresher
