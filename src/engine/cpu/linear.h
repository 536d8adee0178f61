#ifndef THRESHER_ENGINE_CPU_LINEAR_H_
#define THRESHER_ENGINE_CPU_LINEAR_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "engine/cpu/matmul.h"
#include "model/weights.h"

namespace thresher {

// One of the linears that are computed as one because they read the same input.
struct LinearPart {
  WeightView weight;               // [output width, width of the checkpoint's input]
  std::optional<WeightView> bias;  // [output width]
  int64_t first_input = 0;         // the columns of `weight` that are used
  int64_t inputs = 0;
};

// Weights of linears with one input, side by side, converted to the compute dtype and packed the
// way the product wants them. Output columns are those of the parts one after another; every part
// has the same number of inputs.
class PackedLinear {
 public:
  // Of `shape`, in, out, accumulates, on_tiles (where possible) and is_gated (then of the parts
  // gate and up) are read: the rest follows from the parts. `cache` must outlive the linear. Throws
  // dnnl::error and std::bad_alloc.
  PackedLinear(const std::vector<LinearPart>& parts, MatmulShape shape, MatmulCache& cache);

  // The product for a number of rows.
  MatmulShape ShapeFor(int64_t rows) const;

  // Reads the weights and packs them into packed_bytes() bytes at `memory`, which begin at a cache
  // line and must outlive the linear. The slow part, safe to run for several linears at once.
  // Called once, under a SingleThreadScope.
  void Pack(const std::vector<LinearPart>& parts, std::byte* memory);

  // [rows, input width] -> [rows, output width], half of that if it is gated, with the primitive of
  // ShapeFor(rows).
  void Execute(const Matmul& matmul, const void* in, void* out, MatmulCaller& caller) const;

  int64_t packed_bytes() const { return packer_->packed_bytes(); }

 private:
  void SetBias(const std::vector<float>& values, int64_t first_column);

  MatmulShape shape_;
  const Matmul* packer_;
  std::byte* packed_ = nullptr;
  std::vector<float> bias_;
};

// The elements of a weight tensor as f32.
std::vector<float> ReadWeight(const WeightView& view);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_LINEAR_H_
