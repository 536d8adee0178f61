#include "graph/graph.h"

#include <set>
#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

template <typename... Lambdas>
struct Overloaded : Lambdas... {
  using Lambdas::operator()...;
};
template <typename... Lambdas>
Overloaded(Lambdas...) -> Overloaded<Lambdas...>;

// The width of an operation's output; aborts if its operands do not fit each other.
class WidthOf {
 public:
  explicit WidthOf(const Graph& graph) : graph_(graph) {}

  int64_t operator()(const Embed& embed) const { return Shape(embed.table, 2)[1]; }

  int64_t operator()(const RmsNorm& norm) const {
    THRESHER_CHECK(Shape(norm.weight, 1)[0] == graph_.width(norm.input));
    THRESHER_CHECK(norm.epsilon > 0);
    return graph_.width(norm.input);
  }

  int64_t operator()(const Linear& linear) const {
    const std::vector<int64_t>& weight = Shape(linear.weight, 2);
    THRESHER_CHECK(weight[1] == graph_.width(linear.input));
    if (linear.bias) THRESHER_CHECK(Shape(*linear.bias, 1)[0] == weight[0]);
    return weight[0];
  }

  int64_t operator()(const Rope& rope) const {
    THRESHER_CHECK(graph_.width(rope.input) == rope.heads * rope.head_dim);
    const auto frequencies = static_cast<int64_t>(rope.inverse_frequencies.size());
    THRESHER_CHECK(frequencies > 0 && 2 * frequencies <= rope.head_dim);
    return graph_.width(rope.input);
  }

  int64_t operator()(const Attention& attention) const {
    THRESHER_CHECK(attention.kv_heads > 0 && attention.heads % attention.kv_heads == 0);
    THRESHER_CHECK(graph_.width(attention.q) == attention.heads * attention.head_dim);
    THRESHER_CHECK(graph_.width(attention.k) == attention.kv_heads * attention.head_dim);
    THRESHER_CHECK(graph_.width(attention.v) == attention.kv_heads * attention.head_dim);
    if (attention.window) THRESHER_CHECK(*attention.window > 0);
    return graph_.width(attention.q);
  }

  int64_t operator()(const GatedSilu& gated) const {
    THRESHER_CHECK(graph_.width(gated.gate) == graph_.width(gated.up));
    return graph_.width(gated.gate);
  }

  int64_t operator()(const Add& add) const {
    THRESHER_CHECK(graph_.width(add.a) == graph_.width(add.b));
    return graph_.width(add.a);
  }

 private:
  const std::vector<int64_t>& Shape(ParameterId id, size_t rank) const {
    const std::vector<int64_t>& shape = graph_.parameter(id).shape;
    THRESHER_CHECK(shape.size() == rank);
    return shape;
  }

  const Graph& graph_;
};

}  // namespace

std::vector<ValueId> Inputs(const Operation& operation) {
  return std::visit(Overloaded{
                        [](const Embed&) { return std::vector<ValueId>{}; },
                        [](const RmsNorm& op) { return std::vector<ValueId>{op.input}; },
                        [](const Linear& op) { return std::vector<ValueId>{op.input}; },
                        [](const Rope& op) { return std::vector<ValueId>{op.input}; },
                        [](const Attention& op) {
                          return std::vector<ValueId>{op.q, op.k, op.v};
                        },
                        [](const GatedSilu& op) {
                          return std::vector<ValueId>{op.gate, op.up};
                        },
                        [](const Add& op) {
                          return std::vector<ValueId>{op.a, op.b};
                        },
                    },
                    operation);
}

ParameterId Graph::AddParameter(std::string name, std::vector<int64_t> shape) {
  for (const int64_t extent : shape) THRESHER_CHECK(extent > 0);
  parameters_.push_back({std::move(name), std::move(shape)});
  return static_cast<ParameterId>(parameters_.size() - 1);
}

ValueId Graph::AddNode(Operation operation) {
  for (const ValueId input : Inputs(operation)) {
    THRESHER_CHECK(input >= 0 && static_cast<size_t>(input) < values_.size());
  }
  const int64_t output_width = std::visit(WidthOf(*this), operation);
  const auto output = static_cast<ValueId>(values_.size());
  values_.push_back({output_width});
  nodes_.push_back({std::move(operation), output});
  return output;
}

void Graph::SetHook(const HookPoint& hook, ValueId value) {
  THRESHER_CHECK(value >= 0 && static_cast<size_t>(value) < values_.size());
  THRESHER_CHECK(hooks_.emplace(hook, value).second);
}

Result<ValueId> Graph::FindHook(const HookPoint& hook) const {
  const auto found = hooks_.find(hook);
  if (found != hooks_.end()) return found->second;
  return InvalidArgument("this model has no hook point " + HookName(hook));
}

Result<Graph> Graph::PrunedTo(const std::vector<HookPoint>& hooks) const {
  std::set<ValueId> needed;
  Graph pruned = *this;
  pruned.hooks_.clear();
  pruned.nodes_.clear();
  for (const HookPoint& hook : hooks) {
    ASSIGN_OR_RETURN(const ValueId value, FindHook(hook));
    needed.insert(value);
    pruned.hooks_.emplace(hook, value);
  }
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    if (!needed.contains(node->output)) continue;
    for (const ValueId input : Inputs(node->operation)) needed.insert(input);
  }
  for (const Node& node : nodes_) {
    if (needed.contains(node.output)) pruned.nodes_.push_back(node);
  }
  return pruned;
}

Graph::Flops Graph::CountFlops() const {
  Flops flops;
  for (const Node& node : nodes_) {
    if (const auto* linear = std::get_if<Linear>(&node.operation)) {
      flops.per_token +=
          2.0 * static_cast<double>(width(linear->input)) * static_cast<double>(width(node.output));
    } else if (const auto* attention = std::get_if<Attention>(&node.operation)) {
      flops.per_query_key_pair +=
          4.0 * static_cast<double>(attention->heads) * static_cast<double>(attention->head_dim);
    }
  }
  return flops;
}

}  // namespace thresher
