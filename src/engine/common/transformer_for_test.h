#ifndef THRESHER_ENGINE_COMMON_TRANSFORMER_FOR_TEST_H_
#define THRESHER_ENGINE_COMMON_TRANSFORMER_FOR_TEST_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/common/weight_lookup.h"
#include "engine/engine.h"
#include "graph/graph.h"
#include "model/reference_forward.h"
#include "shard/convert.h"

namespace thresher {

struct TransformerShape {
  int64_t vocabulary = 50;
  int64_t hidden = 72;
  int64_t intermediate = 100;
  int32_t layers = 2;
  int64_t heads = 6;
  int64_t kv_heads = 2;
  int64_t head_dim = 24;
  int64_t frequencies = 12;
  bool has_qkv_bias = true;
  std::optional<int64_t> window = std::nullopt;
  bool is_parallel = false;  // attention and MLP read the same input, as in GPT-NeoX
};

// A pre-norm decoder with every hook point set.
inline Graph BuildTransformer(const TransformerShape& shape) {
  Graph graph;
  int next_name = 0;
  const auto parameter = [&](std::vector<int64_t> extents) {
    return graph.AddParameter("p" + std::to_string(next_name++), std::move(extents));
  };
  const auto linear = [&](ValueId input, int64_t width, bool has_bias) {
    Linear operation = {input, parameter({width, graph.width(input)}), std::nullopt};
    if (has_bias) operation.bias = parameter({width});
    return graph.AddNode(operation);
  };
  const auto norm = [&](ValueId input) {
    return graph.AddNode(RmsNorm{input, parameter({shape.hidden}), 1e-5F});
  };
  std::vector<float> frequencies;
  for (int64_t c = 0; c < shape.frequencies; ++c) {
    frequencies.push_back(
        std::pow(1e4F, -static_cast<float>(c) / static_cast<float>(shape.frequencies)));
  }
  ValueId residual = graph.AddNode(Embed{parameter({shape.vocabulary, shape.hidden})});
  graph.SetHook({-1, HookKind::kEmbed}, residual);
  for (int32_t layer = 0; layer < shape.layers; ++layer) {
    graph.SetHook({layer, HookKind::kResidPre}, residual);
    const ValueId normed = norm(residual);
    const int64_t kv_width = shape.kv_heads * shape.head_dim;
    const ValueId q = linear(normed, shape.heads * shape.head_dim, shape.has_qkv_bias);
    const ValueId k = linear(normed, kv_width, shape.has_qkv_bias);
    const ValueId v = linear(normed, kv_width, false);
    const ValueId turned_q = graph.AddNode(Rope{q, shape.heads, shape.head_dim, frequencies});
    const ValueId turned_k = graph.AddNode(Rope{k, shape.kv_heads, shape.head_dim, frequencies});
    const ValueId z = graph.AddNode(
        Attention{turned_q, turned_k, v, shape.heads, shape.kv_heads, shape.head_dim,
                  1.0F / std::sqrt(static_cast<float>(shape.head_dim)), shape.window});
    const ValueId attention = linear(z, shape.hidden, false);
    const ValueId middle = graph.AddNode(Add{residual, attention});
    const ValueId mlp_in = norm(shape.is_parallel ? residual : middle);
    const ValueId gate = linear(mlp_in, shape.intermediate, false);
    const ValueId up = linear(mlp_in, shape.intermediate, true);
    const ValueId gated = graph.AddNode(GatedSilu{gate, up});
    const ValueId mlp = linear(gated, shape.hidden, true);
    residual = graph.AddNode(Add{middle, mlp});
    graph.SetHook({layer, HookKind::kQ}, q);
    graph.SetHook({layer, HookKind::kK}, k);
    graph.SetHook({layer, HookKind::kV}, v);
    graph.SetHook({layer, HookKind::kZ}, z);
    graph.SetHook({layer, HookKind::kAttnOut}, attention);
    graph.SetHook({layer, HookKind::kResidMid}, middle);
    graph.SetHook({layer, HookKind::kMlpPost}, gated);
    graph.SetHook({layer, HookKind::kMlpOut}, mlp);
    graph.SetHook({layer, HookKind::kResidPost}, residual);
  }
  graph.SetHook({shape.layers, HookKind::kFinalNorm}, norm(residual));
  return graph;
}

inline std::vector<HookPoint> AllHooks(const Graph& graph) {
  std::vector<HookPoint> hooks;
  for (const auto& [hook, value] : graph.hooks()) hooks.push_back(hook);
  return hooks;
}

// Random weights for a graph, kept as a checkpoint file would have them: any dtype, unaligned.
class TestWeights {
 public:
  TestWeights(const Graph& graph, DType dtype, uint64_t seed) : dtype_(dtype) {
    Random random(seed);
    for (const Parameter& parameter : graph.parameters()) {
      int64_t count = 1;
      for (const int64_t extent : parameter.shape) count *= extent;
      // A gain of one: results of a linear are about as large as its input.
      const bool is_matrix = parameter.shape.size() == 2;
      const double size =
          is_matrix ? std::sqrt(3.0 / static_cast<double>(parameter.shape[1])) : 1.0;
      std::vector<float> values;
      for (int64_t i = 0; i < count; ++i) {
        values.push_back(static_cast<float>((2 * random.Uniform() - 1) * size));
      }
      std::vector<std::byte>& bytes = tensors_[parameter.name];
      bytes.resize(static_cast<size_t>(1 + count * DTypeBytes(dtype)));
      EncodeRows(values.data(), 1, count, count, dtype, bytes.data() + 1, nullptr);
    }
  }

  WeightLookup lookup() const {
    return [this](const Parameter& parameter) -> Result<WeightView> {
      return WeightView{.dtype = dtype_,
                        .shape = parameter.shape,
                        .data = tensors_.at(parameter.name).data() + 1,
                        .file = "test"};
    };
  }

  ParameterLookup reference_lookup() const {
    return [this](const Parameter& parameter) -> Result<std::vector<double>> {
      const std::vector<std::byte>& bytes = tensors_.at(parameter.name);
      const int64_t count = static_cast<int64_t>(bytes.size() - 1) / DTypeBytes(dtype_);
      std::vector<float> values(static_cast<size_t>(count));
      DecodeRows(bytes.data() + 1, nullptr, 1, count, dtype_, values.data());
      return std::vector<double>(values.begin(), values.end());
    };
  }

 private:
  DType dtype_;
  std::map<std::string, std::vector<std::byte>> tensors_;
};

// Token ids of sequences side by side.
struct TestBatch {
  TestBatch(const std::vector<int64_t>& lengths, int64_t vocabulary, uint64_t seed) {
    Random random(seed);
    for (const int64_t length : lengths) {
      for (int64_t t = 0; t < length; ++t) {
        token_ids.push_back(static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocabulary))));
      }
      offsets.push_back(offsets.back() + length);
    }
  }

  PackedBatch packed() const { return {token_ids, offsets}; }

  // One sequence as a batch of its own.
  TestBatch Only(size_t sequence) const {
    TestBatch only({}, 1, 0);
    only.token_ids.assign(token_ids.begin() + offsets[sequence],
                          token_ids.begin() + offsets[sequence + 1]);
    only.offsets = {0, offsets[sequence + 1] - offsets[sequence]};
    return only;
  }

  std::vector<int32_t> token_ids;
  std::vector<int64_t> offsets = {0};
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_COMMON_TRANSFORMER_FOR_TEST_H_
