#ifndef THRESHER_ENGINE_PJRT_STAGING_H_
#define THRESHER_ENGINE_PJRT_STAGING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/pjrt/pjrt_client.h"

namespace thresher {

// Host memory that devices write results into, registered with the plug-in where it can do that
// (copies are then faster). Kept and used again: fresh memory of that size costs more than the
// copy.
class StagingPool {
 public:
  explicit StagingPool(const PjrtClient& client) : client_(client) {}
  ~StagingPool();
  StagingPool(const StagingPool&) = delete;
  StagingPool& operator=(const StagingPool&) = delete;

  // Memory of at least that many bytes; nothing if the system has none.
  std::byte* Take(size_t bytes);

  // Gives it back.
  void Return(std::byte* memory);

 private:
  struct Block {
    std::byte* memory;
    size_t bytes;
    bool in_use;
    bool is_registered;
  };

  const PjrtClient& client_;
  std::vector<Block> blocks_;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_STAGING_H_
