#ifndef THRESHER_GRAPH_GRAPH_H_
#define THRESHER_GRAPH_GRAPH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "graph/hook_point.h"

namespace thresher {

// The forward pass of one model as operations on values. Every value is a matrix [tokens, width]:
// the packed rows of all sequences of a batch. The engines run this; architectures write it.

using ValueId = int32_t;
using ParameterId = int32_t;

struct Value {
  int64_t width = 0;
};

// A weight tensor by its name in the checkpoint, with the shape that the graph needs.
struct Parameter {
  std::string name;
  std::vector<int64_t> shape;
};

// output[t] = table[token_ids[t]]; table [vocabulary, width].
struct Embed {
  ParameterId table;
};

// output = input / sqrt(mean(input^2) + epsilon) * weight, per row; weight [width].
struct RmsNorm {
  ValueId input;
  ParameterId weight;
  float epsilon;
};

// output = input * weight^T + bias; weight [output width, input width], bias [output width].
struct Linear {
  ValueId input;
  ParameterId weight;
  std::optional<ParameterId> bias;
};

// Rotary position embedding: in each head, channel c and channel c + n (n = number of frequencies)
// form a pair, turned by angle position * inverse_frequencies[c]; channels from 2n on pass through.
struct Rope {
  ValueId input;  // [tokens, heads * head_dim]
  int64_t heads;
  int64_t head_dim;
  std::vector<float> inverse_frequencies;
};

// Causal softmax attention inside each sequence. q [tokens, heads * head_dim], k and v [tokens,
// kv_heads * head_dim]; query head h reads key/value head h / (heads / kv_heads). Scores are
// multiplied by `scale`. With a window, token i sees tokens j with 0 <= i - j < window.
// Output z [tokens, heads * head_dim].
struct Attention {
  ValueId q;
  ValueId k;
  ValueId v;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  float scale;
  std::optional<int64_t> window;
};

// output = silu(gate) * up, with silu(x) = x / (1 + exp(-x)).
struct GatedSilu {
  ValueId gate;
  ValueId up;
};

// output = a + b. One of the two is the residual stream.
struct Add {
  ValueId a;
  ValueId b;
};

using Operation = std::variant<Embed, RmsNorm, Linear, Rope, Attention, GatedSilu, Add>;

struct Node {
  Operation operation;
  ValueId output;
};

// The values that an operation reads, in the order of its fields.
std::vector<ValueId> Inputs(const Operation& operation);

// Value type: copy freely. Nodes are in an order in which every value is computed before it is
// read; each value is the output of exactly one node.
class Graph {
 public:
  ParameterId AddParameter(std::string name, std::vector<int64_t> shape);

  // Appends a node; its output's width follows from the operation. An operation whose operands do
  // not fit each other is a mistake of the architecture's author: the check names it and aborts.
  ValueId AddNode(Operation operation);

  // Names a value. Each hook point at most once.
  void SetHook(const HookPoint& hook, ValueId value);

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Value>& values() const { return values_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::map<HookPoint, ValueId>& hooks() const { return hooks_; }

  int64_t width(ValueId value) const { return values_[static_cast<size_t>(value)].width; }
  const Parameter& parameter(ParameterId id) const { return parameters_[static_cast<size_t>(id)]; }

  // The value of a hook point; kInvalidArgument if this architecture has no such hook point.
  Result<ValueId> FindHook(const HookPoint& hook) const;

  // The same graph with only the nodes that the given hook points need: the forward pass ends at
  // the deepest of them. Value and parameter ids stay as they are.
  Result<Graph> PrunedTo(const std::vector<HookPoint>& hooks) const;

  // Multiply-add FLOPs (2 per multiply-add) of the linears for one token, and of attention scores
  // and mixing for one (query, key) pair, summed over all layers.
  struct Flops {
    double per_token = 0;
    double per_query_key_pair = 0;
  };
  Flops CountFlops() const;

 private:
  std::vector<Node> nodes_;
  std::vector<Value> values_;
  std::vector<Parameter> parameters_;
  std::map<HookPoint, ValueId> hooks_;
};

}  // namespace thresher

#endif  // THRESHER_GRAPH_GRAPH_H_
