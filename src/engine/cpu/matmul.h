#ifndef THRESHER_ENGINE_CPU_MATMUL_H_
#define THRESHER_ENGINE_CPU_MATMUL_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <dnnl.hpp>
#include <map>
#include <unordered_map>

#include "base/dtype.h"
#include "engine/cpu/aligned_buffer.h"

namespace thresher {

// How the second operand of a product lies in memory.
enum class RightLayout {
  kPacked,      // as the product likes it best, by Matmul::Pack
  kRows,        // [inner, columns], row-major
  kTransposed,  // [columns, inner], row-major
};

// out[rows, columns] = left[rows, inner] * right, dense and row-major; the sums are f32.
struct MatmulShape {
  int64_t rows = 0;
  int64_t inner = 0;
  int64_t columns = 0;
  DType in = DType::kF32;   // of both operands: kF32 or kBf16
  DType out = DType::kF32;  // kF32 or kBf16
  RightLayout right = RightLayout::kRows;
  bool has_bias = false;     // adds bias [columns], f32
  bool accumulates = false;  // adds to what is in `out`
  // By AmxMultiply instead of oneDNN: of bf16, with a packed right operand and `inner` a multiple
  // of kAmxBlock, where AmxIsUsable().
  bool on_tiles = false;
  // On tiles: the right operand is [gates, ups] (AmxProduct::is_gated), `columns` of both together.
  bool is_gated = false;

  auto operator<=>(const MatmulShape&) const = default;
};

struct MatmulOperands {
  const void* left = nullptr;
  const void* right = nullptr;
  const float* bias = nullptr;
  void* out = nullptr;
};

class Matmul;

// What one thread calls products with: scratch memory, and for each product that it has called
// oneDNN's objects, which take longer to make than a small product. Not thread-safe. Must not
// outlive the products.
class MatmulCaller {
 public:
  explicit MatmulCaller(const dnnl::engine& engine) : stream_(engine) {}

 private:
  friend class Matmul;
  struct Call {
    dnnl::memory left;
    dnnl::memory right;
    dnnl::memory bias;
    dnnl::memory out;
    dnnl::memory scratchpad;
  };

  dnnl::stream stream_;
  AlignedBuffer scratchpad_;
  std::unordered_map<const Matmul*, Call> calls_;
};

// One product that runs in the calling thread: a oneDNN primitive, whose caller is under a
// SingleThreadScope, or AmxMultiply. Thread-safe. Throws dnnl::error, as everything in this header.
//
// A row's result does not depend on the number of rows on tiles and wherever oneDNN has its brgemm
// kernels (from AVX-512 on): they add up the products of one output element in order of `inner`.
// Its older kernels (AVX2) do depend on it, so there the engine does not let the number of rows
// depend on the number of threads.
class Matmul {
 public:
  Matmul(const dnnl::engine& engine, const MatmulShape& shape);

  // `caller` is used by no other thread meanwhile.
  void Execute(const MatmulOperands& operands, MatmulCaller& caller) const;

  // Memory of a packed right operand. Its form is the same for every number of rows.
  int64_t packed_bytes() const;

  // Packs a right operand that lies transposed, [columns, inner], into packed_bytes() bytes.
  void Pack(const std::byte* transposed, std::byte* packed) const;

 private:
  MatmulCaller::Call MakeCall() const;
  void ExecuteOnTiles(const MatmulOperands& operands) const;

  MatmulShape shape_;
  // Empty on tiles.
  dnnl::engine engine_;
  dnnl::matmul primitive_;
  dnnl::memory::desc left_desc_;
  dnnl::memory::desc right_desc_;
  dnnl::memory::desc bias_desc_;
  dnnl::memory::desc out_desc_;
  dnnl::memory::desc scratchpad_desc_;
};

// The primitives made so far. Get may be called by one thread at a time, under a SingleThreadScope;
// what it returns stays where it is.
class MatmulCache {
 public:
  explicit MatmulCache(dnnl::engine engine) : engine_(std::move(engine)) {}

  const Matmul& Get(const MatmulShape& shape);

  const dnnl::engine& engine() const { return engine_; }

 private:
  dnnl::engine engine_;
  std::map<MatmulShape, Matmul> primitives_;
};

dnnl::memory::data_type OneDnnType(DType dtype);

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_MATMUL_H_
