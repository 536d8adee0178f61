// bf16 products and attention of the CPU engine: oneDNN's kernels and those on the tile unit (AMX)
// in turns on one thread, best of many runs. Weights of many layers, so that they come from memory.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "engine/cpu/amx_product.h"
#include "engine/cpu/attention.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/matmul.h"
#include "engine/cpu/parallel.h"

namespace thresher {
namespace {

using Kernels = std::vector<std::function<void(int64_t run)>>;

// FLOP/s of the best run of each kernel, the kernels in turns.
std::vector<double> Speeds(const Kernels& kernels, double flops, int64_t runs) {
  std::vector<double> best(kernels.size());
  for (int64_t run = 0; run < runs; ++run) {
    for (size_t i = 0; i < kernels.size(); ++i) {
      const auto begin = std::chrono::steady_clock::now();
      kernels[i](run);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      best[i] = std::max(best[i], flops / took.count());
    }
  }
  return best;
}

void Print(const std::string& what, const std::vector<double>& speeds) {
  fmt::print("  {:<40} {:>8.0f}", what, speeds[0] / 1e9);
  if (speeds.size() > 1) {
    fmt::print(" {:>8.0f} {:>8.2f}", speeds[1] / 1e9, speeds[1] / speeds[0]);
  }
  fmt::print("\n");
  std::fflush(stdout);
}

// Whether kernels on tiles are measured too.
std::vector<bool> OnTiles() {
  return AmxIsUsable() ? std::vector{false, true} : std::vector{false};
}

AlignedBuffer RandomBf16(int64_t count) {
  Random random(1);
  AlignedBuffer buffer;
  buffer.Reserve(count * 2);
  // Of both signs, between 0.25 and 1: zeros would cost less power than real data.
  for (int64_t i = 0; i < count; ++i) {
    buffer.as<uint16_t>()[i] =
        static_cast<uint16_t>(0x3e80 + random.Below(256) + (random.Below(2) << 15));
  }
  return buffer;
}

struct ProductShape {
  int64_t inner;
  int64_t columns;
  bool accumulates = false;
  bool is_gated = false;  // oneDNN's is gated by a step of its own
};

// silu of the left half of each f32 row times the right half.
void GateHalves(const RowsShape& shape, std::byte* joined, std::byte* out) {
  const Rows gate = {.data = joined, .dtype = DType::kF32, .stride = 2 * shape.width};
  Rows up = gate;
  up.data += shape.width * DTypeBytes(DType::kF32);
  GateRows(shape, gate, up, {.data = out, .dtype = DType::kBf16, .stride = shape.width});
}

void MeasureProduct(MatmulCache& cache, int64_t rows, const ProductShape& shape, int64_t runs) {
  constexpr int64_t kWeightBytes = int64_t{256} << 20;
  const int64_t bytes = AmxPackedBytes(shape.inner, shape.columns);
  const int64_t layers = std::clamp<int64_t>(kWeightBytes / bytes, 1, runs);
  const AlignedBuffer weights = RandomBf16(layers * bytes / 2);
  const AlignedBuffer left = RandomBf16(rows * shape.inner);
  AlignedBuffer out;
  out.Reserve(rows * shape.columns * static_cast<int64_t>(sizeof(float)));
  AlignedBuffer gated;
  gated.Reserve(rows * shape.columns * 2);
  MatmulCaller caller(cache.engine());
  Kernels kernels;
  for (const bool on_tiles : OnTiles()) {
    const Matmul& matmul = cache.Get({.rows = rows,
                                      .inner = shape.inner,
                                      .columns = shape.columns,
                                      .in = DType::kBf16,
                                      .right = RightLayout::kPacked,
                                      .accumulates = shape.accumulates,
                                      .on_tiles = on_tiles,
                                      .is_gated = on_tiles && shape.is_gated});
    const bool has_gate_step = shape.is_gated && !on_tiles;
    kernels.emplace_back([&, matmul = &matmul, has_gate_step](int64_t run) {
      matmul->Execute(
          {.left = left.data(), .right = weights.data() + run % layers * bytes, .out = out.data()},
          caller);
      if (has_gate_step) GateHalves({rows, shape.columns / 2}, out.data(), gated.data());
    });
  }
  const double flops = 2.0 * static_cast<double>(rows * shape.inner * shape.columns);
  Print(fmt::format("{} x {} x {}{}{}", rows, shape.inner, shape.columns,
                    shape.accumulates ? ", added" : "", shape.is_gated ? ", gated" : ""),
        Speeds(kernels, flops, runs));
}

struct AttentionShape {
  const char* model;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
};

void MeasureAttention(MatmulCache& cache, const AttentionShape& shape, int64_t tokens,
                      int64_t runs) {
  const int64_t width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  AlignedBuffer joined = RandomBf16(tokens * width);
  AlignedBuffer out;
  out.Reserve(tokens * shape.heads * shape.head_dim * 2);
  const auto part = [&](int64_t column) {
    return Rows{.data = joined.data() + column * 2, .dtype = DType::kBf16, .stride = width};
  };
  const std::array<int64_t, 2> offsets = {0, tokens};
  const AttentionArguments arguments = {
      .q = part(0),
      .k = part(shape.heads * shape.head_dim),
      .v = part((shape.heads + shape.kv_heads) * shape.head_dim),
      .out = {.data = out.data(), .dtype = DType::kBf16, .stride = shape.heads * shape.head_dim},
      .sequence_offsets = offsets,
      .heads = shape.heads,
      .kv_heads = shape.kv_heads,
      .head_dim = shape.head_dim,
      .scale = 0.125F};
  std::vector<BlockedAttention> ways;
  ways.reserve(2);
  Kernels kernels;
  for (const bool on_tiles : OnTiles()) {
    BlockedAttention& attention = ways.emplace_back(cache, 1, on_tiles);
    kernels.emplace_back([&](int64_t) { THRESHER_CHECK(attention.Run(arguments).ok()); });
  }
  // What a causal mask leaves: both products of every pair of a query and a key before it.
  const double pairs = static_cast<double>(tokens) * static_cast<double>(tokens + 1) / 2;
  const double flops = 4.0 * static_cast<double>(shape.heads * shape.head_dim) * pairs;
  Print(fmt::format("attention, {}, {} tokens", shape.model, tokens), Speeds(kernels, flops, runs));
}

int Main(int argc, char** argv) {
  CLI::App app("bf16 kernels of the CPU engine, GFLOP/s of one thread");
  int64_t runs = 100;
  int64_t rows = 256;
  app.add_option("--runs", runs, "Of each kernel; the best counts [100]");
  app.add_option("--rows", rows, "Of the products [256]");
  CLI11_PARSE(app, argc, argv);
  const SingleThreadScope single_thread;
  MatmulCache cache(dnnl::engine(dnnl::engine::kind::cpu, 0));
  fmt::print("  {:<40} {:>8} {:>8} {:>8}\n", "", "oneDNN", "tiles", "ratio");
  for (const ProductShape& shape :
       {ProductShape{896, 1152}, ProductShape{896, 896}, ProductShape{896, 1216},
        ProductShape{.inner = 896, .columns = 1216, .is_gated = true},
        ProductShape{.inner = 608, .columns = 896, .accumulates = true}, ProductShape{576, 960},
        ProductShape{1536, 576}}) {
    MeasureProduct(cache, rows, shape, runs);
  }
  for (const int64_t tokens : {512, 2048}) {
    MeasureAttention(cache, {"Qwen2.5-0.5B", 14, 2, 64}, tokens, std::max<int64_t>(1, runs / 4));
    MeasureAttention(cache, {"SmolLM2-135M", 9, 3, 64}, tokens, std::max<int64_t>(1, runs / 4));
  }
  return 0;
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) { return thresher::Main(argc, argv); }
