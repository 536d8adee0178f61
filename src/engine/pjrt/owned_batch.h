#ifndef THRESHER_ENGINE_PJRT_OWNED_BATCH_H_
#define THRESHER_ENGINE_PJRT_OWNED_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/engine.h"

namespace thresher {

// A copy of a batch, for when the caller's may be gone; the memory of the outputs is still the
// caller's.
struct OwnedBatch {
  std::vector<int32_t> token_ids;
  std::vector<int64_t> offsets;
  std::optional<std::vector<int32_t>> stored;
  std::vector<HookOutput> outputs;

  PackedBatch packed() const;
  size_t sequence_count() const { return offsets.size() - 1; }
};

OwnedBatch CopyBatch(const PackedBatch& batch, std::span<const HookOutput> outputs);

// Sequences `first` to `end` - 1 of a batch, with their places in its outputs. `row_bytes`: of a
// row of each output.
OwnedBatch PartOfBatch(const OwnedBatch& batch, size_t first, size_t end,
                       std::span<const int64_t> row_bytes);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_OWNED_BATCH_H_
