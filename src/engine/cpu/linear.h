#ifndef THRESHER_ENGINE_CPU_LINEAR_H_
#define THRESHER_ENGINE_CPU_LINEAR_H_

#include <cstdint>
#include <dnnl.hpp>
#include <optional>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "engine/cpu/aligned_buffer.h"
#include "engine/cpu/matmul.h"
#include "model/weights.h"

namespace thresher {

// One of the linears that are computed as one because they read the same input.
struct LinearPart {
  WeightView weight;               // [output width, input width]
  std::optional<WeightView> bias;  // [output width]
};

// Weights of linears with one input, side by side, converted to the compute dtype and packed the
// way oneDNN wants them. Output columns are those of the parts one after another.
class PackedLinear {
 public:
  // `cache` is only asked for the form of packed weights. Throws dnnl::error and std::bad_alloc.
  PackedLinear(const std::vector<LinearPart>& parts, DType compute, DType out, MatmulCache& cache);

  // The product for a number of rows.
  MatmulShape ShapeFor(int64_t rows) const;

  // Reads and packs the weights: the slow part, safe to run for several linears at once. Called
  // once, under a SingleThreadScope.
  void Pack(const std::vector<LinearPart>& parts);

  // [rows, input width] -> [rows, output width], with the primitive of ShapeFor(rows).
  void Execute(const Matmul& matmul, const void* in, void* out, std::byte* scratchpad) const;

  int64_t packed_bytes() const { return packed_.bytes(); }

 private:
  MatmulShape shape_;
  dnnl::engine engine_;
  dnnl::memory::desc packed_desc_;
  AlignedBuffer packed_;
  std::vector<float> bias_;
};

// The elements of a weight tensor as f32.
std::vector<float> ReadWeight(const WeightView& view);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_LINEAR_H_
