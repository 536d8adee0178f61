#ifndef THRESHER_EXTRACT_SHARD_BUILDER_H_
#define THRESHER_EXTRACT_SHARD_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "engine/engine.h"
#include "extract/unit_job.h"
#include "graph/graph.h"
#include "graph/hook_point.h"
#include "shard/layout.h"
#include "shard/statistics.h"
#include "work/records.h"

namespace thresher {

// What every shard of a run has in common.
struct ShardFormat {
  std::string run_fingerprint;
  std::vector<ShardHook> hooks;
  DType dtype = DType::kBf16;
};

// What a shard of these hook points is. kInvalidArgument if the model has no such hook point, or if
// `dtype` does not fit one's width.
Result<ShardFormat> ShardFormatOf(const Graph& graph, const std::vector<HookPoint>& hooks,
                                  DType dtype);

// Builds one unit's shard in place: memory of the caller is laid out as the finished file, the
// engine's outputs land at their final offsets, and checksums run over the rows as they arrive, in
// order. Not thread-safe, but Outputs may be called while another thread is in Absorb.
class ShardBuilder {
 public:
  // `job` must outlive the builder.
  ShardBuilder(const ShardFormat& format, const UnitJob& job);

  int64_t file_bytes() const { return layout_.file_bytes; }

  // The memory to build in: file_bytes() of it, borrowed until the builder goes.
  void SetMemory(std::byte* memory) { memory_ = memory; }

  // Where the engine puts the rows of a batch whose first row is `first_row` (of those stored).
  std::vector<HookOutput> Outputs(int64_t first_row) const;

  // Takes rows [absorbed_rows(), end_row) into checksums and statistics; they are final.
  void Absorb(int64_t end_row);
  int64_t absorbed_rows() const { return absorbed_rows_; }

  // Writes the header and the small tensors. Every row must be absorbed.
  void Finish();

  // The finished file. Valid after Finish.
  std::span<const std::byte> file() const;

  // The part of the commit record that describes the content. Valid after Finish.
  Commit DescribeContent() const;

  // Copies the first `row_count` rows of every hook point from the memory of a builder of the same
  // format whose job begins with the same sequences. They still have to be absorbed.
  void CopyRows(const ShardBuilder& from, int64_t row_count);

 private:
  // The tensors that have one row for each stored token: hook points, then their scales.
  size_t RowTensorCount() const;
  int64_t RowBytes(size_t tensor) const;
  std::byte* Row(size_t tensor, int64_t row) const;
  void WriteSmallTensors();

  const UnitJob& job_;
  DType dtype_;
  std::string run_fingerprint_;
  std::vector<ShardHook> hooks_;
  ShardLayout layout_;
  std::byte* memory_ = nullptr;
  int64_t absorbed_rows_ = 0;
  uint32_t header_crc_ = 0;
  std::vector<uint32_t> tensor_crcs_;         // as layout_.tensors
  std::vector<TensorStatistics> statistics_;  // as hooks_
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_SHARD_BUILDER_H_
