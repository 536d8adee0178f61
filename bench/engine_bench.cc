// Speed of the CPU engine on a random model of a named shape, beside the peak that oneDNN reaches
// on this machine on the same products.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "engine/cpu/graph_engine.h"
#include "engine/cpu/parallel.h"
#include "graph/graph.h"
#include "graph/hook_point.h"

namespace thresher {
namespace {

struct ModelShape {
  int64_t vocabulary;
  int64_t hidden;
  int64_t intermediate;
  int64_t layers;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  float rope_theta;
  bool has_qkv_bias;
};

const std::map<std::string, ModelShape> kShapes = {
    {"qwen2.5-0.5b", {151936, 896, 4864, 24, 14, 2, 64, 1e6F, true}},
    {"qwen2.5-1.5b", {151936, 1536, 8960, 28, 12, 2, 128, 1e6F, true}},
    {"smollm2-135m", {49152, 576, 1536, 30, 9, 3, 64, 1e5F, false}},
    {"tiny", {512, 96, 256, 2, 4, 2, 24, 1e4F, true}},
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A Llama-like decoder without its language-model head.
Graph BuildGraph(const ModelShape& shape) {
  Graph graph;
  const auto linear = [&](ValueId input, int64_t width, bool has_bias) {
    Linear operation = {input, graph.AddParameter("weight", {width, graph.width(input)}), {}};
    if (has_bias) operation.bias = graph.AddParameter("bias", {width});
    return graph.AddNode(operation);
  };
  const auto norm = [&](ValueId input) {
    return graph.AddNode(RmsNorm{input, graph.AddParameter("norm", {shape.hidden}), 1e-6F});
  };
  std::vector<float> frequencies;
  for (int64_t c = 0; c < shape.head_dim / 2; ++c) {
    frequencies.push_back(std::pow(
        shape.rope_theta, -2.0F * static_cast<float>(c) / static_cast<float>(shape.head_dim)));
  }
  ValueId residual =
      graph.AddNode(Embed{graph.AddParameter("embed", {shape.vocabulary, shape.hidden})});
  graph.SetHook({-1, HookKind::kEmbed}, residual);
  for (int32_t layer = 0; layer < shape.layers; ++layer) {
    graph.SetHook({layer, HookKind::kResidPre}, residual);
    const ValueId normed = norm(residual);
    const int64_t kv_width = shape.kv_heads * shape.head_dim;
    const ValueId q = linear(normed, shape.heads * shape.head_dim, shape.has_qkv_bias);
    const ValueId k = linear(normed, kv_width, shape.has_qkv_bias);
    const ValueId v = linear(normed, kv_width, shape.has_qkv_bias);
    const ValueId turned_q = graph.AddNode(Rope{q, shape.heads, shape.head_dim, frequencies});
    const ValueId turned_k = graph.AddNode(Rope{k, shape.kv_heads, shape.head_dim, frequencies});
    const ValueId z = graph.AddNode(
        Attention{turned_q, turned_k, v, shape.heads, shape.kv_heads, shape.head_dim,
                  1.0F / std::sqrt(static_cast<float>(shape.head_dim)), std::nullopt});
    const ValueId attention = linear(z, shape.hidden, false);
    residual = graph.AddNode(Add{residual, attention});
    graph.SetHook({layer, HookKind::kResidMid}, residual);
    const ValueId mlp_in = norm(residual);
    const ValueId gate = linear(mlp_in, shape.intermediate, false);
    const ValueId up = linear(mlp_in, shape.intermediate, false);
    const ValueId gated = graph.AddNode(GatedSilu{gate, up});
    const ValueId mlp = linear(gated, shape.hidden, false);
    residual = graph.AddNode(Add{residual, mlp});
    graph.SetHook({layer, HookKind::kQ}, q);
    graph.SetHook({layer, HookKind::kK}, k);
    graph.SetHook({layer, HookKind::kV}, v);
    graph.SetHook({layer, HookKind::kZ}, z);
    graph.SetHook({layer, HookKind::kAttnOut}, attention);
    graph.SetHook({layer, HookKind::kMlpPost}, gated);
    graph.SetHook({layer, HookKind::kMlpOut}, mlp);
    graph.SetHook({layer, HookKind::kResidPost}, residual);
  }
  graph.SetHook({static_cast<int32_t>(shape.layers), HookKind::kFinalNorm}, norm(residual));
  return graph;
}

// One block of random bf16 numbers serves as every weight: cost does not depend on values.
class RandomWeights {
 public:
  explicit RandomWeights(const Graph& graph) {
    int64_t largest = 0;
    for (const Parameter& parameter : graph.parameters()) {
      int64_t count = 1;
      for (const int64_t extent : parameter.shape) count *= extent;
      largest = std::max(largest, count);
    }
    Random random(1);
    elements_.resize(static_cast<size_t>(largest));
    for (uint16_t& element : elements_) {
      // Sign and mantissa at random, magnitude between 1/32 and 1/16.
      element = static_cast<uint16_t>(0x3d00 | (random.Next() & 0x807f));
    }
  }

  WeightLookup lookup() const {
    return [this](const Parameter& parameter) -> Result<WeightView> {
      return WeightView{.dtype = DType::kBf16,
                        .shape = parameter.shape,
                        .data = reinterpret_cast<const std::byte*>(elements_.data()),
                        .file = "random"};
    };
  }

 private:
  std::vector<uint16_t> elements_;
};

// The model's products alone, on as many rows as the batch has, each thread with its own rows as in
// the engine: what the engine could reach if nothing else took time.
class GemmPeak {
 public:
  GemmPeak(const ModelShape& shape, DType compute, int threads, int64_t tokens)
      : cache_(dnnl::engine(dnnl::engine::kind::cpu, 0)),
        compute_(compute),
        threads_(threads),
        chunk_(ChunkRowsFor(tokens)),
        chunks_(std::max<int64_t>(threads, tokens / chunk_)) {
    const SingleThreadScope single_thread;
    const int64_t qkv = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
    AddProduct(shape.hidden, qkv);
    AddProduct(shape.heads * shape.head_dim, shape.hidden);
    AddProduct(shape.hidden, 2 * shape.intermediate);
    AddProduct(shape.intermediate, shape.hidden);
    scratchpads_.resize(static_cast<size_t>(threads));
    for (AlignedBuffer& scratchpad : scratchpads_) scratchpad.Reserve(cache_.scratchpad_bytes());
  }

  // FLOP/s of one pass over the products, the best so far of each counting.
  double Measure() {
    double seconds = 0;
    double flops = 0;
    for (Product& product : products_) {
      const double begin = Now();
      const Status status = ParallelFor(threads_, chunks_, [&](int64_t index, int thread) {
        const auto t = static_cast<size_t>(thread);
        const MatmulShape& shape = product.shape;
        product.matmul->Execute(
            {.left = product.left.data() + index * chunk_ * shape.inner * DTypeBytes(compute_),
             .right = product.right.data(),
             .out = product.out[t].data()},
            scratchpads_[t].data());
      });
      THRESHER_CHECK(status.ok());
      product.best_seconds = std::min(product.best_seconds, Now() - begin);
      seconds += product.best_seconds;
      flops += 2.0 * static_cast<double>(chunks_ * chunk_ * product.shape.inner) *
               static_cast<double>(product.shape.columns);
    }
    return flops / seconds;
  }

 private:
  struct Product {
    MatmulShape shape;
    const Matmul* matmul = nullptr;
    AlignedBuffer left;
    AlignedBuffer right;
    std::vector<AlignedBuffer> out;  // one for each thread
    double best_seconds = 1e30;
  };

  void AddProduct(int64_t inner, int64_t columns) {
    Product product;
    product.shape = {.rows = chunk_,
                     .inner = inner,
                     .columns = columns,
                     .in = compute_,
                     .out = compute_,
                     .right = RightLayout::kPacked};
    product.matmul = &cache_.Get(product.shape);
    product.left.Reserve(chunks_ * chunk_ * inner * DTypeBytes(compute_));
    product.right.Reserve(static_cast<int64_t>(product.matmul->right_desc().get_size()));
    // Numbers near 0.05 in both dtypes: zeros would cost less power than real data.
    std::memset(product.left.data(), 0x3d, static_cast<size_t>(product.left.bytes()));
    std::memset(product.right.data(), 0x3d, static_cast<size_t>(product.right.bytes()));
    product.out.resize(static_cast<size_t>(threads_));
    for (AlignedBuffer& out : product.out) out.Reserve(chunk_ * columns * DTypeBytes(compute_));
    products_.push_back(std::move(product));
  }

  MatmulCache cache_;
  DType compute_;
  int threads_;
  int64_t chunk_;
  int64_t chunks_;
  std::vector<Product> products_;
  std::vector<AlignedBuffer> scratchpads_;
};

struct Options {
  std::string shape = "qwen2.5-0.5b";
  std::vector<int64_t> lengths = {2048, 2048};
  std::string compute = "auto";
  std::string hooks = "resid_post";
  std::string stored = "bf16";
  int threads = 0;
  int repeat = 3;
  bool tiny = false;
};

struct Batch {
  std::vector<int32_t> token_ids;
  std::vector<int64_t> offsets = {0};
  double query_key_pairs = 0;
};

Batch MakeBatch(const std::vector<int64_t>& lengths, int64_t vocabulary) {
  Batch batch;
  Random random(2);
  for (const int64_t length : lengths) {
    for (int64_t t = 0; t < length; ++t) {
      batch.token_ids.push_back(
          static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocabulary))));
    }
    batch.offsets.push_back(batch.offsets.back() + length);
    batch.query_key_pairs += static_cast<double>(length) * static_cast<double>(length + 1) / 2;
  }
  return batch;
}

void PrintReport(const GraphEngine& engine, double seconds, double flops, double peak,
                 int64_t tokens, const std::array<double, kWorkKinds>& work) {
  fmt::print("engine    {}, {}; packed weights {:.0f} MB\n", engine.info().device,
             engine.info().compute, static_cast<double>(engine.packed_bytes()) / 1e6);
  fmt::print("speed     {:.1f} tokens/s, {:.0f} GFLOP/s ({} tokens in {:.3f} s)\n",
             static_cast<double>(tokens) / seconds, flops / seconds / 1e9, tokens, seconds);
  fmt::print("GEMM peak {:.0f} GFLOP/s; fraction {:.3f}\n", peak / 1e9, flops / seconds / peak);
  double all = 0;
  for (const double part : work) all += part;
  fmt::print("work     ");
  for (size_t kind = 0; kind < kWorkKinds; ++kind) {
    fmt::print(" {} {:.1f}%", WorkKindName(static_cast<WorkKind>(kind)), 100 * work[kind] / all);
  }
  fmt::print("\n");
}

Status Run(const Options& options) {
  const ModelShape& shape = kShapes.at(options.shape);
  const Graph graph = BuildGraph(shape);
  const RandomWeights weights(graph);
  ASSIGN_OR_RETURN(const std::vector<HookPoint> hooks,
                   SelectHooks(options.hooks, "all", static_cast<int32_t>(shape.layers)));
  ASSIGN_OR_RETURN(const Graph pruned, graph.PrunedTo(hooks));
  const Batch batch = MakeBatch(options.lengths, shape.vocabulary);
  const auto tokens = static_cast<int64_t>(batch.token_ids.size());
  const std::optional<DType> stored = StoredDTypeFromName(options.stored);
  if (!stored) return InvalidArgument("unknown --stored");
  const std::map<std::string, CpuCompute> computes = {
      {"auto", CpuCompute::kAuto}, {"f32", CpuCompute::kF32}, {"bf16", CpuCompute::kBf16}};

  const double load_begin = Now();
  ASSIGN_OR_RETURN(const std::unique_ptr<GraphEngine> engine,
                   GraphEngine::Create(graph, weights.lookup(), hooks,
                                       {.compute = computes.at(options.compute),
                                        .threads = options.threads,
                                        .max_batch_tokens = tokens,
                                        .stored_dtype = *stored}));
  fmt::print("packed in {:.2f} s\n", Now() - load_begin);

  std::vector<std::vector<std::byte>> rows;
  std::vector<std::vector<float>> scales;
  std::vector<HookOutput> outputs;
  for (const HookPoint& hook : hooks) {
    ASSIGN_OR_RETURN(const ValueId value, graph.FindHook(hook));
    rows.emplace_back(static_cast<size_t>(tokens * graph.width(value) * DTypeBytes(*stored)));
    scales.emplace_back(static_cast<size_t>(tokens));
    outputs.push_back({rows.back().data(), scales.back().data()});
  }
  const int threads = options.threads > 0 ? options.threads : UsableCores();
  const DType compute = engine->info().compute == "bf16" ? DType::kBf16 : DType::kF32;
  GemmPeak gemm_peak(shape, compute, threads, tokens);
  double peak = 0;
  double best = 1e30;
  std::array<double, kWorkKinds> work = {};
  for (int repeat = 0; repeat <= options.repeat; ++repeat) {  // the first one warms up
    // In turns, so that a noisy machine treats both alike.
    for (int i = 0; i < 3; ++i) peak = gemm_peak.Measure();
    const std::array<double, kWorkKinds> before = engine->work_seconds();
    const double begin = Now();
    RETURN_IF_ERROR(engine->Forward({batch.token_ids, batch.offsets}, outputs));
    const double seconds = Now() - begin;
    if (repeat == 0 || seconds >= best) continue;
    best = seconds;
    work = engine->work_seconds();
    for (size_t kind = 0; kind < kWorkKinds; ++kind) work[kind] -= before[kind];
  }
  const Graph::Flops flops = pruned.CountFlops();
  const double useful = flops.per_token * static_cast<double>(tokens) +
                        flops.per_query_key_pair * batch.query_key_pairs;
  PrintReport(*engine, best, useful, peak, tokens, work);
  return OkStatus();
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) {
  thresher::Options options;
  CLI::App app("Measures the CPU engine on a random model.");
  app.add_option("--shape", options.shape, "qwen2.5-0.5b, qwen2.5-1.5b, smollm2-135m or tiny");
  app.add_option("--lengths", options.lengths, "sequence lengths")->delimiter(',');
  app.add_option("--compute", options.compute, "auto, f32 or bf16")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}));
  app.add_option("--hooks", options.hooks, "short names of hook points, in all layers");
  app.add_option("--stored", options.stored, "bf16, f32, f16, fp8_e4m3 or int8");
  app.add_option("--threads", options.threads, "0: all cores");
  app.add_option("--repeat", options.repeat, "timed runs; the best one counts");
  app.add_flag("--tiny", options.tiny, "a small model, once: only to see that it works");
  CLI11_PARSE(app, argc, argv);
  if (options.tiny) {
    options.shape = "tiny";
    options.lengths = {100, 33, 1};
    options.repeat = 1;
  }
  if (!thresher::kShapes.contains(options.shape)) {
    fmt::print(stderr, "unknown shape {}\n", options.shape);
    return 2;
  }
  const thresher::Status status = thresher::Run(options);
  if (!status.ok()) fmt::print(stderr, "{}\n", status.message());
  return status.ok() ? 0 : 1;
}
