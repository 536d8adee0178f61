#include "engine/pjrt/layer_loop.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <variant>

namespace thresher {
namespace {

// Everything about an operation but which weights and values it reads.
struct Description {
  const Graph& graph;

  std::string Shape(ParameterId id) const {
    return fmt::format("{}", fmt::join(graph.parameter(id).shape, "x"));
  }
  std::string operator()(const Embed& op) const { return "embed " + Shape(op.table); }
  std::string operator()(const RmsNorm& op) const {
    return fmt::format("norm {} {}", Shape(op.weight), op.epsilon);
  }
  std::string operator()(const Linear& op) const {
    return fmt::format("linear {} {}", Shape(op.weight), op.bias.has_value());
  }
  std::string operator()(const Rope& op) const {
    return fmt::format("rope {} {} {}", op.heads, op.head_dim,
                       fmt::join(op.inverse_frequencies, " "));
  }
  std::string operator()(const Attention& op) const {
    return fmt::format("attention {} {} {} {} {}", op.heads, op.kv_heads, op.head_dim, op.scale,
                       op.window.value_or(0));
  }
  std::string operator()(const GatedSilu&) const { return "gated"; }
  std::string operator()(const Add&) const { return "add"; }
};

class LoopFinder {
 public:
  explicit LoopFinder(const Graph& graph) : nodes_(graph.nodes()) {
    std::map<ValueId, size_t> producers;
    for (size_t n = 0; n < nodes_.size(); ++n) {
      std::string signature = std::visit(Description{graph}, nodes_[n].operation);
      inputs_.emplace_back();
      for (const ValueId input : Inputs(nodes_[n].operation)) {
        inputs_.back().push_back(producers.at(input));
        signature += fmt::format(" @{}", n - producers.at(input));
      }
      producers.emplace(nodes_[n].output, n);
      signatures_.push_back(std::move(signature));
    }
  }

  std::optional<LayerLoop> Find() const {
    std::optional<LayerLoop> best;
    const size_t nodes = nodes_.size();
    for (size_t period = 1; 2 * period <= nodes; ++period) {
      size_t run = 0;  // nodes before `n` that equal those one period later
      for (size_t n = 0; n + period <= nodes; ++n) {
        if (n + period < nodes && signatures_[n] == signatures_[n + period]) {
          ++run;
          continue;
        }
        Consider(n - run, period, (run + period) / period, best);
        run = 0;
      }
    }
    return best;
  }

 private:
  static size_t Saved(const LayerLoop& loop) { return loop.period * (loop.count - 1); }

  void Consider(size_t first, size_t period, size_t count, std::optional<LayerLoop>& best) const {
    LayerLoop loop = {.first = first, .period = period, .count = count, .carried = {}};
    if (count < 2 || (best && Saved(loop) <= Saved(*best))) return;
    std::set<size_t> carried;
    for (size_t n = first; n < first + period; ++n) {
      for (const size_t input : inputs_[n]) {
        if (input >= first) continue;
        if (input + period < first) return;  // read from further back than one iteration
        carried.insert(input + period - first);
      }
    }
    for (size_t n = loop.end(); n < nodes_.size(); ++n) {
      for (const size_t input : inputs_[n]) {
        if (input < first || input >= loop.end()) continue;
        if (input < loop.end() - period) return;  // of an iteration that is not the last
        carried.insert(input - (loop.end() - period));
      }
    }
    loop.carried.assign(carried.begin(), carried.end());
    best = loop;
  }

  const std::vector<Node>& nodes_;
  std::vector<std::string> signatures_;
  std::vector<std::vector<size_t>> inputs_;  // nodes that a node's inputs come from
};

}  // namespace

std::optional<LayerLoop> FindLayerLoop(const Graph& graph) { return LoopFinder(graph).Find(); }

}  // namespace thresher
