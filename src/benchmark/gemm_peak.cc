#include "benchmark/gemm_peak.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "base/random.h"
#include "engine/cpu/amx_product.h"
#include "engine/cpu/graph_engine.h"
#include "engine/cpu/parallel.h"

namespace thresher {
namespace {

struct JoinedLinear {
  int64_t inner = 0;
  int64_t columns = 0;
  auto operator<=>(const JoinedLinear&) const = default;
};

// How often the graph has each.
std::map<JoinedLinear, int64_t> JoinedLinears(const Graph& graph) {
  std::map<ValueId, JoinedLinear> of_input;
  for (const Node& node : graph.nodes()) {
    const auto* linear = std::get_if<Linear>(&node.operation);
    if (linear == nullptr) continue;
    JoinedLinear& joined = of_input[linear->input];
    joined.inner = graph.width(linear->input);
    joined.columns += graph.width(node.output);
  }
  std::map<JoinedLinear, int64_t> counts;
  for (const auto& [input, joined] : of_input) ++counts[joined];
  return counts;
}

// Random numbers of either sign from 0.008 to 0.125, in f32 or bf16. On bits that never change a
// processor needs less power and runs up to a fifth faster than on real data.
void FillWithNumbers(AlignedBuffer& buffer, uint64_t seed) {
  constexpr uint64_t kExponents = 0x3c003c003c003c00;
  constexpr uint64_t kSignsAndFractions = 0x81ff81ff81ff81ff;
  Random random(seed);
  for (int64_t at = 0; at + 8 <= buffer.bytes(); at += 8) {
    const uint64_t numbers = kExponents | (random.Next() & kSignsAndFractions);
    std::memcpy(buffer.data() + at, &numbers, sizeof(numbers));
  }
}

}  // namespace

GemmPeak::GemmPeak(int threads, int64_t tokens)
    : cache_(dnnl::engine(dnnl::engine::kind::cpu, 0)),
      threads_(threads),
      chunk_rows_(ChunkRowsFor(tokens, threads)),
      chunks_(std::max<int64_t>(threads, tokens / chunk_rows_)) {
  for (int thread = 0; thread < threads; ++thread) callers_.emplace_back(cache_.engine());
}

Result<std::unique_ptr<GemmPeak>> GemmPeak::Make(const Graph& graph, DType compute, int threads,
                                                 int64_t tokens) {
  std::unique_ptr<GemmPeak> peak;
  RETURN_IF_ERROR(CatchExceptions([&] {
    const SingleThreadScope single_thread;
    peak.reset(new GemmPeak(threads, tokens));
    for (const auto& [joined, count] : JoinedLinears(graph)) {
      peak->AddProduct({.rows = peak->chunk_rows_,
                        .inner = joined.inner,
                        .columns = joined.columns,
                        .in = compute,
                        .out = compute,
                        .right = RightLayout::kPacked},
                       count);
    }
  }));
  return peak;
}

void GemmPeak::AddProduct(const MatmulShape& shape, int64_t count) {
  const int64_t bytes = DTypeBytes(shape.in);
  Product product{.shape = shape, .count = count, .kernels = {{.matmul = &cache_.Get(shape)}}};
  if (AmxCanMultiply(shape.in, shape.inner)) {
    MatmulShape on_tiles = shape;
    on_tiles.on_tiles = true;
    product.kernels.push_back({.matmul = &cache_.Get(on_tiles)});
  }
  product.left.Reserve(chunks_ * chunk_rows_ * shape.inner * bytes);
  for (const Kernel& kernel : product.kernels) {
    product.right.Reserve(kernel.matmul->packed_bytes());
  }
  FillWithNumbers(product.left, 1);
  FillWithNumbers(product.right, 2);
  product.out.resize(static_cast<size_t>(threads_));
  for (AlignedBuffer& out : product.out) out.Reserve(chunk_rows_ * shape.columns * bytes);
  products_.push_back(std::move(product));
}

Result<GemmPeaks> GemmPeak::Measure() {
  double fastest_seconds = 0;
  double onednn_seconds = 0;
  double flops = 0;
  for (Product& product : products_) {
    const MatmulShape& shape = product.shape;
    for (Kernel& kernel : product.kernels) {
      const int64_t begin_us = Clock::Real().MonotonicUs();
      RETURN_IF_ERROR(ParallelFor(threads_, chunks_, [&](int64_t index, int thread) {
        const auto t = static_cast<size_t>(thread);
        kernel.matmul->Execute(
            {.left = product.left.data() + index * chunk_rows_ * shape.inner * DTypeBytes(shape.in),
             .right = product.right.data(),
             .out = product.out[t].data()},
            callers_[t]);
      }));
      const auto took_us = std::max<int64_t>(1, Clock::Real().MonotonicUs() - begin_us);
      kernel.best_seconds = std::min(kernel.best_seconds, static_cast<double>(took_us) / 1e6);
    }
    const auto count = static_cast<double>(product.count);
    onednn_seconds += count * product.kernels.front().best_seconds;
    fastest_seconds +=
        count * std::ranges::min(product.kernels, {}, &Kernel::best_seconds).best_seconds;
    flops += count * 2.0 * static_cast<double>(chunks_ * chunk_rows_ * shape.inner) *
             static_cast<double>(shape.columns);
  }
  return GemmPeaks{.fastest = flops / fastest_seconds, .onednn = flops / onednn_seconds};
}

}  // namespace thresher
