#ifndef THRESHER_FORECAST_BATCH_OUTPUTS_H_
#define THRESHER_FORECAST_BATCH_OUTPUTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "extract/shard_builder.h"

namespace thresher {

// Memory for the rows of one batch at a time, for runs of an engine whose rows are not kept.
class BatchOutputs {
 public:
  BatchOutputs(const ShardFormat& format, int64_t most_rows);

  std::span<const HookOutput> outputs() const { return outputs_; }

  // Where the first `rows` rows and their scales lie.
  std::vector<std::span<const std::byte>> Blocks(int64_t rows) const;

 private:
  std::vector<int64_t> row_bytes_;
  std::vector<std::vector<std::byte>> rows_;
  std::vector<std::vector<float>> scales_;
  std::vector<HookOutput> outputs_;
};

}  // namespace thresher

#endif  // THRESHER_FORECAST_BATCH_OUTPUTS_H_
