#include "engine/pjrt/attention_writer.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace thresher {
namespace {

// The largest score of a query that has seen no key: finite, so that what it is subtracted from
// stays a number, and so low that its exponential is zero beside any real score.
constexpr float kNoScore = -1e30F;

class AttentionWriter {
 public:
  AttentionWriter(StablehloWriter& writer, const Attention& attention,
                  const AttentionInputs& inputs)
      : w_(writer),
        attention_(attention),
        inputs_(inputs),
        tokens_(inputs.starts.type.shape[0]),
        group_(attention.heads / attention.kv_heads) {}

  HloValue InQueryBlocks(int64_t block) {
    const HloValue q = w_.Reshape(inputs_.q, WithRows({tokens_}, QueryHeads()));
    const HloValue k = w_.Reshape(inputs_.k, WithRows({tokens_}, KeyHeads()));
    const HloValue v = w_.Reshape(inputs_.v, WithRows({tokens_}, KeyHeads()));
    const HloValue rows = w_.Iota(tokens_);
    const HloValue first_keys = FirstKeys(inputs_.starts, rows);
    std::vector<HloValue> outputs;
    for (int64_t first = 0; first < tokens_; first += block) {
      const int64_t end = std::min(first + block, tokens_);
      int64_t first_key = 0;
      if (attention_.window) {
        // Whole blocks before the window are skipped.
        first_key = std::max<int64_t>(0, first - *attention_.window + 1) / block * block;
      }
      const auto queries = [&](const HloValue& value) { return w_.Slice(value, 0, first, end); };
      const auto keys = [&](const HloValue& value) { return w_.Slice(value, 0, first_key, end); };
      const HloValue scores =
          Scores(queries(q), keys(k), Mask(queries(first_keys), queries(rows), keys(rows)));
      // Every query sees itself, so that its largest score is finite.
      const HloValue weights = Weights(scores, w_.ReduceMax(scores));
      outputs.push_back(Rows(Mixed(weights, keys(v)), w_.ReduceSum(weights)));
    }
    return w_.Concatenate(outputs, 0);
  }

  HloValue Online(int64_t block) {
    const int64_t blocks = tokens_ / block;
    const HloValue q = w_.Reshape(inputs_.q, WithRows({blocks, block}, QueryHeads()));
    const HloValue k = w_.Reshape(inputs_.k, WithRows({blocks, block}, KeyHeads()));
    const HloValue v = w_.Reshape(inputs_.v, WithRows({blocks, block}, KeyHeads()));
    const HloValue starts = w_.Reshape(inputs_.starts, {blocks, block});
    const HloValue z = Filled(0, {blocks, block, attention_.heads * attention_.head_dim});
    const auto write_block = [&](const HloValue& index, const std::vector<HloValue>& carried) {
      const std::vector<HloValue> inputs(carried.begin() + 1, carried.end());
      std::vector<HloValue> next = carried;
      next[0] = w_.ReplaceElement(carried[0], QueryBlock(index, inputs), index);
      return next;
    };
    const HloValue all = w_.Loop(blocks, {z, q, k, v, starts}, write_block)[0];
    return w_.Reshape(all, {tokens_, attention_.heads * attention_.head_dim});
  }

 private:
  static std::vector<int64_t> WithRows(std::vector<int64_t> rows,
                                       const std::vector<int64_t>& heads) {
    rows.insert(rows.end(), heads.begin(), heads.end());
    return rows;
  }
  std::vector<int64_t> QueryHeads() const {
    return {attention_.kv_heads, group_, attention_.head_dim};
  }
  std::vector<int64_t> KeyHeads() const { return {attention_.kv_heads, attention_.head_dim}; }

  HloValue Filled(float value, const std::vector<int64_t>& shape) {
    return w_.Broadcast(w_.Constant(value), shape, {});
  }
  HloValue Shifted(const HloValue& integers, const HloValue& by) {
    return w_.Add(integers, w_.Broadcast(by, integers.type.shape, {}));
  }

  // The first row that each of these queries sees: of its sequence, and of its window.
  HloValue FirstKeys(const HloValue& starts, const HloValue& rows) {
    if (!attention_.window || *attention_.window >= tokens_) return starts;
    const auto before = static_cast<int32_t>(1 - *attention_.window);
    return w_.Maximum(starts, Shifted(rows, w_.Integer(before)));
  }

  // [queries, keys]: which keys a query sees.
  HloMask Mask(const HloValue& first_keys, const HloValue& queries, const HloValue& keys) {
    const std::vector<int64_t> shape = {queries.type.shape[0], keys.type.shape[0]};
    const HloValue key = w_.Broadcast(keys, shape, {1});
    return w_.And(
        w_.Compare(w_.Broadcast(queries, shape, {0}), key, Comparison::kGreaterOrEqual),
        w_.Compare(key, w_.Broadcast(first_keys, shape, {0}), Comparison::kGreaterOrEqual));
  }

  // [kv_heads, queries, group, keys]; minus infinity where the mask is not.
  HloValue Scores(const HloValue& q, const HloValue& k, const HloMask& mask) {
    const HloValue products = w_.Dot(
        q, k, {.left_batch = {1}, .right_batch = {1}, .left_summed = {3}, .right_summed = {2}});
    const std::vector<int64_t>& shape = products.type.shape;
    const HloValue scores = w_.Multiply(products, Filled(attention_.scale, shape));
    return w_.Select(w_.Broadcast(mask, shape, {1, 3}), scores,
                     Filled(-std::numeric_limits<float>::infinity(), shape));
  }

  // The exponentials of scores less `largest` [kv_heads, queries, group].
  HloValue Weights(const HloValue& scores, const HloValue& largest) {
    return w_.Exponential(w_.Subtract(scores, w_.Broadcast(largest, scores.type.shape, {0, 1, 2})));
  }

  // [kv_heads, queries, group, head_dim]: the values, weighted and summed.
  HloValue Mixed(const HloValue& weights, const HloValue& v) {
    return w_.Dot(w_.Convert(weights, v.type.dtype), v,
                  {.left_batch = {0}, .right_batch = {1}, .left_summed = {3}, .right_summed = {0}});
  }

  // [queries, heads * head_dim]
  HloValue Rows(const HloValue& mixed, const HloValue& total) {
    const HloValue z = w_.Divide(mixed, w_.Broadcast(total, mixed.type.shape, {0, 1, 2}));
    return w_.Reshape(w_.Transpose(z, {1, 0, 2, 3}),
                      {mixed.type.shape[1], attention_.heads * attention_.head_dim});
  }

  // The rows of block `index`. `inputs`: q, k, v and starts, by blocks.
  HloValue QueryBlock(const HloValue& index, const std::vector<HloValue>& inputs) {
    const HloValue starts = w_.DynamicElement(inputs[3], index);
    const int64_t block = starts.type.shape[0];
    const HloValue size = w_.Integer(static_cast<int32_t>(block));
    const HloValue rows = Shifted(w_.Iota(block), w_.Multiply(index, size));
    const HloValue first_keys = FirstKeys(starts, rows);
    // First keys never fall: the first query's is the block's.
    const HloValue first = w_.Reshape(w_.Slice(first_keys, 0, 0, 1), {});
    const std::vector<int64_t> shape = {attention_.kv_heads, block, group_};
    const std::vector<HloValue> initial = {
        Filled(kNoScore, shape),
        Filled(0, shape),
        Filled(0, {attention_.kv_heads, block, group_, attention_.head_dim}),
        w_.DynamicElement(inputs[0], index),
        inputs[1],
        inputs[2],
        first_keys,
        rows};
    const auto write_keys = [&](const HloValue& key, const std::vector<HloValue>& carried) {
      return KeyBlock(key, carried);
    };
    const std::vector<HloValue> sums =
        w_.Loop(w_.Divide(first, size), w_.Add(index, w_.Integer(1)), initial, write_keys);
    return Rows(sums[2], sums[1]);
  }

  // One step of the online softmax. `carried`: largest score, sum of weights and weighted sum of
  // values so far, then what it reads.
  std::vector<HloValue> KeyBlock(const HloValue& index, const std::vector<HloValue>& carried) {
    const HloValue& rows = carried[7];
    const int64_t block = rows.type.shape[0];
    const HloValue size = w_.Integer(static_cast<int32_t>(block));
    const HloValue keys = Shifted(w_.Iota(block), w_.Multiply(index, size));
    const HloValue scores =
        Scores(carried[3], w_.DynamicElement(carried[4], index), Mask(carried[6], rows, keys));
    const HloValue largest = w_.Maximum(carried[0], w_.ReduceMax(scores));
    const HloValue weights = Weights(scores, largest);
    const HloValue mixed = Mixed(weights, w_.DynamicElement(carried[5], index));
    const HloValue factor = w_.Exponential(w_.Subtract(carried[0], largest));
    std::vector<HloValue> next = carried;
    next[0] = largest;
    next[1] = w_.Add(w_.Multiply(carried[1], factor), w_.ReduceSum(weights));
    next[2] =
        w_.Add(w_.Multiply(carried[2], w_.Broadcast(factor, mixed.type.shape, {0, 1, 2})), mixed);
    return next;
  }

  StablehloWriter& w_;
  const Attention& attention_;
  const AttentionInputs& inputs_;
  int64_t tokens_;
  int64_t group_;  // query heads that share a key/value head
};

}  // namespace

HloValue WriteAttention(StablehloWriter& writer, const Attention& attention,
                        const AttentionInputs& inputs, int64_t block) {
  return AttentionWriter(writer, attention, inputs).InQueryBlocks(block);
}

HloValue WriteOnlineAttention(StablehloWriter& writer, const Attention& attention,
                              const AttentionInputs& inputs, int64_t block) {
  const int64_t tokens = inputs.starts.type.shape[0];
  return AttentionWriter(writer, attention, inputs)
      .Online(OnlineAttentionBlock(tokens, block, attention.heads));
}

int64_t OnlineAttentionBlock(int64_t tokens, int64_t block, int64_t heads) {
  constexpr int64_t kMostScores = (16 << 20) / 4;
  constexpr int64_t kFewestRows = 128;
  int64_t rows = std::gcd(tokens, block);
  while (rows % (2 * kFewestRows) == 0 && heads * rows * rows > kMostScores) rows /= 2;
  return rows;
}

}  // namespace thresher
