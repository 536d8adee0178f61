#include "engine/pjrt/attention_writer.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace thresher {
namespace {

// A block of queries and the keys that any of them may see.
struct Block {
  int64_t first_query;
  int64_t end;  // of queries and keys
  int64_t first_key;

  int64_t queries() const { return end - first_query; }
  int64_t keys() const { return end - first_key; }
};

class BlockWriter {
 public:
  BlockWriter(StablehloWriter& writer, const Attention& attention, const AttentionInputs& inputs)
      : w_(writer),
        attention_(attention),
        segments_(inputs.segments),
        tokens_(inputs.segments.type.shape[0]),
        group_(attention.heads / attention.kv_heads) {
    const int64_t kv_heads = attention.kv_heads;
    const int64_t head_dim = attention.head_dim;
    q_ = w_.Reshape(inputs.q, {tokens_, kv_heads, group_, head_dim});
    k_ = w_.Reshape(inputs.k, {tokens_, kv_heads, head_dim});
    v_ = w_.Reshape(inputs.v, {tokens_, kv_heads, head_dim});
    rows_ = w_.Iota(tokens_);
  }

  // [queries, heads * head_dim]
  HloValue Write(const Block& block) {
    const int64_t kv_heads = attention_.kv_heads;
    const std::vector<int64_t> score_shape = {kv_heads, block.queries(), group_, block.keys()};
    const HloValue q = w_.Slice(q_, 0, block.first_query, block.end);
    const HloValue k = w_.Slice(k_, 0, block.first_key, block.end);
    const HloValue v = w_.Slice(v_, 0, block.first_key, block.end);
    const HloValue products = w_.Dot(
        q, k, {.left_batch = {1}, .right_batch = {1}, .left_summed = {3}, .right_summed = {2}});
    const HloValue scores =
        w_.Multiply(products, w_.Broadcast(w_.Constant(attention_.scale), score_shape, {}));
    const HloValue nothing =
        w_.Broadcast(w_.Constant(-std::numeric_limits<float>::infinity()), score_shape, {});
    const HloValue seen =
        w_.Select(w_.Broadcast(Mask(block), score_shape, {1, 3}), scores, nothing);
    // Every query sees itself, so that its largest score is finite.
    const HloValue largest = w_.Broadcast(w_.ReduceMax(seen), score_shape, {0, 1, 2});
    const HloValue weights = w_.Exponential(w_.Subtract(seen, largest));
    const HloValue mixed =
        w_.Dot(w_.Convert(weights, v.type.dtype), v,
               {.left_batch = {0}, .right_batch = {1}, .left_summed = {3}, .right_summed = {0}});
    const HloValue total = w_.Broadcast(w_.ReduceSum(weights), mixed.type.shape, {0, 1, 2});
    const HloValue z = w_.Transpose(w_.Divide(mixed, total), {1, 0, 2, 3});
    return w_.Reshape(z, {block.queries(), attention_.heads * attention_.head_dim});
  }

 private:
  // [queries, keys]: which keys a query sees.
  HloMask Mask(const Block& block) {
    const std::vector<int64_t> shape = {block.queries(), block.keys()};
    const auto of_query = [&](const HloValue& rows) {
      return w_.Broadcast(w_.Slice(rows, 0, block.first_query, block.end), shape, {0});
    };
    const auto of_key = [&](const HloValue& rows) {
      return w_.Broadcast(w_.Slice(rows, 0, block.first_key, block.end), shape, {1});
    };
    const HloValue query = of_query(rows_);
    const HloValue key = of_key(rows_);
    HloMask mask = w_.And(w_.Compare(of_query(segments_), of_key(segments_), Comparison::kEqual),
                          w_.Compare(query, key, Comparison::kGreaterOrEqual));
    if (attention_.window && *attention_.window < tokens_) {
      const HloValue window =
          w_.Broadcast(w_.Integer(static_cast<int32_t>(*attention_.window)), shape, {});
      mask = w_.And(mask, w_.Compare(w_.Subtract(query, key), window, Comparison::kLess));
    }
    return mask;
  }

  StablehloWriter& w_;
  const Attention& attention_;
  HloValue segments_;
  int64_t tokens_;
  int64_t group_;  // query heads that share a key/value head
  HloValue q_;     // [tokens, kv_heads, group, head_dim]
  HloValue k_;     // [tokens, kv_heads, head_dim]
  HloValue v_;
  HloValue rows_;  // 0, 1, 2, ...
};

}  // namespace

HloValue WriteAttention(StablehloWriter& writer, const Attention& attention,
                        const AttentionInputs& inputs, int64_t block) {
  BlockWriter blocks(writer, attention, inputs);
  const int64_t tokens = inputs.segments.type.shape[0];
  std::vector<HloValue> outputs;
  for (int64_t first = 0; first < tokens; first += block) {
    int64_t first_key = 0;
    if (attention.window) {
      // Whole blocks before the window are skipped.
      first_key = std::max<int64_t>(0, first - *attention.window + 1) / block * block;
    }
    outputs.push_back(blocks.Write({first, std::min(first + block, tokens), first_key}));
  }
  return writer.Concatenate(outputs, 0);
}

}  // namespace thresher
