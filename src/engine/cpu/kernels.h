#ifndef THRESHER_ENGINE_CPU_KERNELS_H_
#define THRESHER_ENGINE_CPU_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace thresher {

// SIMD operations on rows of activations, dispatched at run time. All compute in f32; a result that
// is stored as bf16 is rounded to nearest, ties to even. Thread-safe; each row's result depends on
// nothing but that row.

// Rows of f32 or bf16 elements inside a buffer, `stride` elements apart.
struct Rows {
  std::byte* data = nullptr;
  DType dtype = DType::kF32;  // kF32 or kBf16
  int64_t stride = 0;

  std::byte* row(int64_t index) const { return data + index * stride * DTypeBytes(dtype); }
};

struct RowsShape {
  int64_t rows = 0;
  int64_t width = 0;
};

// out = in / sqrt(mean(in^2) + epsilon) * weight, per row. `in` is f32; weight [width].
void NormalizeRows(RowsShape shape, Rows in, const float* weight, float epsilon, Rows out);

// out = a + b, all f32; out may be a or b.
void AddRows(RowsShape shape, Rows a, Rows b, Rows out);

// out = gate / (1 + exp(-gate)) * up; gate and up are f32.
void GateRows(RowsShape shape, Rows gate, Rows up, Rows out);

// Changes the dtype.
void ConvertRows(RowsShape shape, Rows in, Rows out);

struct RopeShape {
  int64_t rows = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t frequency_count = 0;
};

// Rotary embedding as graph.h defines it. `table` as RopeTable::data(); positions [rows]. `in` is
// f32; out may be in.
void RotateRows(RopeShape shape, const float* table, const int32_t* positions, Rows in, Rows out);

// One step of softmax over blocks of keys (Milakov, Gimelshein 2018): takes the scores of one block
// and keeps, per row, the largest scaled score, the sum of exponentials and a weighted sum of
// values, all relative to the largest score so far.
struct SoftmaxBlock {
  int64_t rows = 0;            // row r belongs to query r / rows_per_query
  int64_t rows_per_query = 0;  // query heads that share the keys
  int64_t first_query = 0;     // position of query 0
  int64_t first_key = 0;       // position of the block's first key
  int64_t keys = 0;            // a multiple of 16
  int64_t window = 0;          // a query sees its own key and window - 1 before it; 0: all before
  int64_t head_dim = 0;
  float scale = 1.0F;

  const float* scores = nullptr;  // [rows, keys]
  Rows probabilities;             // [rows, keys]; f32 may be `scores` itself
  float* largest = nullptr;       // [rows]; minus infinity before the first block
  float* sum = nullptr;           // [rows]; 0 before the first block
  float* mixed = nullptr;         // [rows, head_dim]; is scaled down where `largest` rises
};

// Writes exp(scale * score - largest) of the keys that a query may see, 0 for the others.
void UpdateSoftmax(const SoftmaxBlock& block);

// out = in / divisor[row]; in f32.
void DivideRows(RowsShape shape, Rows in, const float* divisors, Rows out);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_KERNELS_H_
