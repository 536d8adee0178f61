#include "engine/pjrt/graph_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/check.h"
#include "engine/pjrt/attention_writer.h"
#include "engine/pjrt/cudnn_attention.h"
#include "engine/pjrt/layer_loop.h"
#include "engine/pjrt/weight_split.h"

namespace thresher {
namespace {

// One [stored, rows, width] result of the loop: the rows of a value of every iteration in which a
// hook point asks for it.
struct StackedHook {
  size_t place;                // of the value in an iteration
  std::vector<int32_t> slots;  // [count] where an iteration's rows go
  int64_t kept = 0;            // elements that hook points ask for
  int64_t elements = 0;        // kept, and one more if later iterations would overwrite the last
};

class ProgramWriter {
 public:
  ProgramWriter(const Graph& full, const Graph& graph, const std::vector<HookPoint>& hooks,
                const GraphProgramOptions& options)
      : graph_(graph),
        hooks_(hooks),
        options_(options),
        w_(options.devices),
        shardings_(SplitWeights(full, options.devices)),
        values_(full.values().size()),
        weights_(full.parameters().size()) {
    if (options.loop_layers) loop_ = FindLayerLoop(graph);
    for (const HookPoint& hook : hooks) is_hooked_[graph.hooks().at(hook)] = true;
    for (size_t n = 0; n < graph.nodes().size(); ++n) producers_[graph.nodes()[n].output] = n;
    program_.picks_rows = options.picked_rows.has_value();
    program_.results_are_split =
        options.devices > 1 && options.result_rows() % options.devices == 0;
    program_.hooks.resize(hooks.size());
  }

  Result<GraphProgram> Write() && {
    DeclareWeights();
    DeclareBatchInputs();
    WriteBias();
    const std::vector<Node>& nodes = graph_.nodes();
    for (size_t n = 0; n < nodes.size(); ++n) {
      if (loop_ && n == loop_->first) {
        WriteLoop();
        n = loop_->end() - 1;
        continue;
      }
      WriteNode(nodes[n]);
      AddPlainResult(nodes[n].output);
    }
    if (loop_) program_.loop_iterations = static_cast<int64_t>(loop_->count);
    ASSIGN_OR_RETURN(program_.module, w_.Finish(results_, result_shardings_));
    return std::move(program_);
  }

 private:
  static size_t Index(int32_t id) { return static_cast<size_t>(id); }

  const HloValue& ValueOf(ValueId value) const { return values_[Index(value)]; }
  const HloValue& WeightOf(ParameterId id) const { return weights_[Index(id)]; }

  DType StoredDType() const { return HasScale(options_.stored) ? DType::kF32 : options_.stored; }

  // --- arguments ---

  // Matrices are multiplied in the compute dtype; what is added or multiplied alone stays f32.
  TensorType WeightType(ParameterId id) const {
    const std::vector<int64_t>& shape = graph_.parameter(id).shape;
    return {shape.size() == 2 ? options_.compute : DType::kF32, shape};
  }

  static std::vector<ParameterId> WeightsOf(const Operation& operation) {
    if (const auto* norm = std::get_if<RmsNorm>(&operation)) return {norm->weight};
    if (const auto* linear = std::get_if<Linear>(&operation)) {
      if (linear->bias) return {linear->weight, *linear->bias};
      return {linear->weight};
    }
    return {};
  }

  HloValue Declare(TensorType type, Sharding sharding,
                   std::variant<WeightArgument, BatchArgument> meaning) {
    HloValue argument = w_.Argument(type, sharding);
    program_.arguments.push_back({std::move(type), std::move(sharding), std::move(meaning)});
    return argument;
  }

  void DeclareWeights() {
    const std::vector<Node>& nodes = graph_.nodes();
    for (size_t n = 0; n < nodes.size(); ++n) {
      const bool in_loop = loop_ && n >= loop_->first && n < loop_->end();
      if (in_loop && n >= loop_->first + loop_->period) continue;  // with the first iteration's
      const std::vector<ParameterId> ids = WeightsOf(nodes[n].operation);
      for (size_t i = 0; i < ids.size(); ++i) {
        WeightArgument argument = {.parameters = {ids[i]}, .is_stacked = in_loop};
        TensorType type = WeightType(ids[i]);
        Sharding sharding = shardings_[Index(ids[i])];
        if (in_loop) {
          for (size_t k = 1; k < loop_->count; ++k) {
            const Node& node = nodes[n + k * loop_->period];
            argument.parameters.push_back(WeightsOf(node.operation)[i]);
          }
          type.shape.insert(type.shape.begin(), static_cast<int64_t>(loop_->count));
          if (!sharding.empty()) sharding.insert(sharding.begin(), false);
        }
        weights_[Index(ids[i])] =
            Declare(std::move(type), std::move(sharding), std::move(argument));
      }
    }
  }

  void DeclareBatchInputs() {
    const int64_t tokens = options_.tokens;
    for (const Node& node : graph_.nodes()) {
      if (const auto* embed = std::get_if<Embed>(&node.operation)) {
        THRESHER_CHECK(!embedded_);  // one table a model
        embedded_ = Declare({options_.embedding, {tokens, graph_.width(node.output)}}, {},
                            BatchArgument{.input = BatchInput::kEmbedded, .table = embed->table});
      } else if (const auto* rope = std::get_if<Rope>(&node.operation)) {
        const std::vector<float>& frequencies = rope->inverse_frequencies;
        if (std::ranges::find(program_.ropes, frequencies) != program_.ropes.end()) continue;
        const size_t index = program_.ropes.size();
        program_.ropes.push_back(frequencies);
        const TensorType type = {DType::kF32, {tokens, static_cast<int64_t>(frequencies.size())}};
        for (const BatchInput input : {BatchInput::kCosines, BatchInput::kSines}) {
          shared_.push_back(Declare(type, {}, BatchArgument{.input = input, .rope = index}));
        }
      }
    }
    if (options_.picked_rows) {
      rows_place_ = shared_.size();
      shared_.push_back(Declare({DType::kI32, {*options_.picked_rows}}, {},
                                BatchArgument{.input = BatchInput::kRows}));
    }
    const bool attends = std::ranges::any_of(graph_.nodes(), [](const Node& node) {
      return std::holds_alternative<Attention>(node.operation);
    });
    if (attends) {
      starts_place_ = shared_.size();
      shared_.push_back(
          Declare({DType::kI32, {tokens}}, {}, BatchArgument{.input = BatchInput::kStarts}));
    }
  }

  bool HasCudnn(const Attention& attention) const {
    return options_.cudnn_attention && !options_.has_online_attention() &&
           CudnnCanAttend(attention, options_.tokens);
  }

  void WriteBias() {
    const bool is_needed = std::ranges::any_of(graph_.nodes(), [&](const Node& node) {
      const auto* attention = std::get_if<Attention>(&node.operation);
      return attention != nullptr && HasCudnn(*attention);
    });
    if (!is_needed) return;
    bias_place_ = shared_.size();
    shared_.push_back(WriteSequenceBias(w_, shared_[starts_place_]));
  }

  // --- operations ---

  void WriteNode(const Node& node) {
    values_[Index(node.output)] =
        std::visit([&](const auto& operation) { return Write(operation); }, node.operation);
  }

  HloValue Write(const Embed&) { return w_.Convert(*embedded_, DType::kF32); }

  HloValue Write(const RmsNorm& norm) {
    const HloValue x = w_.Convert(ValueOf(norm.input), DType::kF32);
    const std::vector<int64_t>& shape = x.type.shape;
    const std::vector<int64_t> rows = {shape[0]};
    const HloValue count = w_.Broadcast(w_.Constant(static_cast<float>(shape[1])), rows, {});
    const HloValue mean = w_.Divide(w_.ReduceSum(w_.Multiply(x, x)), count);
    const HloValue epsilon = w_.Broadcast(w_.Constant(norm.epsilon), rows, {});
    const HloValue factor = w_.Rsqrt(w_.Add(mean, epsilon));
    const HloValue scaled = w_.Multiply(x, w_.Broadcast(factor, shape, {0}));
    const HloValue weight = w_.Broadcast(WeightOf(norm.weight), shape, {1});
    return w_.Convert(w_.Multiply(scaled, weight), options_.compute);
  }

  HloValue Write(const Linear& linear) {
    const HloValue x = w_.Convert(ValueOf(linear.input), options_.compute);
    HloValue product =
        w_.Dot(x, WeightOf(linear.weight), {.left_summed = {1}, .right_summed = {1}});
    if (!linear.bias) return product;
    return w_.Add(product, w_.Broadcast(WeightOf(*linear.bias), product.type.shape, {1}));
  }

  HloValue Write(const Rope& rope) {
    const HloValue& input = ValueOf(rope.input);
    const auto index = static_cast<size_t>(
        std::ranges::find(program_.ropes, rope.inverse_frequencies) - program_.ropes.begin());
    const auto pairs = static_cast<int64_t>(rope.inverse_frequencies.size());
    const HloValue x =
        w_.Reshape(w_.Convert(input, DType::kF32), {options_.tokens, rope.heads, rope.head_dim});
    const std::vector<int64_t> shape = {options_.tokens, rope.heads, pairs};
    const HloValue cosines = w_.Broadcast(shared_[2 * index], shape, {0, 2});
    const HloValue sines = w_.Broadcast(shared_[2 * index + 1], shape, {0, 2});
    const HloValue a = w_.Slice(x, 2, 0, pairs);
    const HloValue b = w_.Slice(x, 2, pairs, 2 * pairs);
    std::vector<HloValue> parts = {
        w_.Subtract(w_.Multiply(a, cosines), w_.Multiply(b, sines)),
        w_.Add(w_.Multiply(b, cosines), w_.Multiply(a, sines)),
    };
    if (2 * pairs < rope.head_dim) parts.push_back(w_.Slice(x, 2, 2 * pairs, rope.head_dim));
    const HloValue turned = w_.Reshape(w_.Concatenate(parts, 2), input.type.shape);
    return w_.Convert(turned, options_.compute);
  }

  HloValue Write(const Attention& attention) {
    const AttentionInputs inputs = {.q = w_.Convert(ValueOf(attention.q), options_.compute),
                                    .k = w_.Convert(ValueOf(attention.k), options_.compute),
                                    .v = w_.Convert(ValueOf(attention.v), options_.compute),
                                    .starts = shared_[starts_place_]};
    if (HasCudnn(attention)) {
      return WriteCudnnAttention(w_, attention, inputs, shared_[*bias_place_]);
    }
    const auto write = options_.has_online_attention() ? WriteOnlineAttention : WriteAttention;
    return w_.Convert(write(w_, attention, inputs, options_.attention_block), options_.compute);
  }

  HloValue Write(const GatedSilu& gated) {
    const HloValue gate = w_.Convert(ValueOf(gated.gate), DType::kF32);
    const HloValue up = w_.Convert(ValueOf(gated.up), DType::kF32);
    return w_.Convert(w_.Multiply(w_.Multiply(gate, w_.Logistic(gate)), up), options_.compute);
  }

  HloValue Write(const Add& add) {
    return w_.Add(w_.Convert(ValueOf(add.a), DType::kF32), w_.Convert(ValueOf(add.b), DType::kF32));
  }

  // --- results ---

  // The rows of a hook point as they cross to the host.
  HloValue StoredRows(ValueId value) {
    HloValue rows = ValueOf(value);
    if (rows_place_) rows = w_.PickRows(rows, shared_[*rows_place_]);
    return w_.Convert(rows, StoredDType());
  }

  size_t AddResult(const HloValue& value) {
    results_.push_back(value);
    program_.results.push_back(value.type);
    Sharding sharding;
    if (program_.results_are_split) {
      sharding.assign(value.type.shape.size(), false);
      sharding[value.type.shape.size() - 2] = true;  // the rows
    }
    result_shardings_.push_back(std::move(sharding));
    return results_.size() - 1;
  }

  void AddPlainResult(ValueId value) {
    if (!is_hooked_.contains(value)) return;
    const size_t result = AddResult(StoredRows(value));
    for (size_t h = 0; h < hooks_.size(); ++h) {
      if (graph_.hooks().at(hooks_[h]) == value) program_.hooks[h] = {.result = result};
    }
  }

  // --- the layer loop ---

  const Node& LoopNode(size_t iteration, size_t place) const {
    return graph_.nodes()[loop_->first + iteration * loop_->period + place];
  }

  std::vector<StackedHook> FindStackedHooks() const {
    std::vector<StackedHook> stacked;
    for (size_t place = 0; place < loop_->period; ++place) {
      StackedHook hook = {.place = place, .slots = {}};
      bool last_is_kept = false;
      for (size_t k = 0; k < loop_->count; ++k) {
        // What is not asked for goes where the next that is will be written.
        hook.slots.push_back(static_cast<int32_t>(hook.kept));
        last_is_kept = is_hooked_.contains(LoopNode(k, place).output);
        if (last_is_kept) ++hook.kept;
      }
      hook.elements = hook.kept + (last_is_kept ? 0 : 1);
      if (hook.kept > 0) stacked.push_back(std::move(hook));
    }
    return stacked;
  }

  // The value that stands for a carried place before the first iteration.
  HloValue InitialOf(size_t place) {
    const size_t node = loop_->first + place;
    const DType dtype = CarriedDType(graph_.nodes()[node].operation);
    if (node >= loop_->period) {
      const ValueId before = graph_.nodes()[node - loop_->period].output;
      const HloValue& value = ValueOf(before);
      const bool exists = !value.name.empty();
      if (exists && graph_.width(before) == graph_.width(graph_.nodes()[node].output)) {
        return w_.Convert(value, dtype);
      }
    }
    // Only read after the loop.
    return w_.Broadcast(w_.Constant(0, dtype),
                        {options_.tokens, graph_.width(graph_.nodes()[node].output)}, {});
  }

  DType CarriedDType(const Operation& operation) const {
    const bool is_f32 = std::holds_alternative<Embed>(operation) ||
                        std::holds_alternative<Linear>(operation) ||
                        std::holds_alternative<Add>(operation);
    return is_f32 ? DType::kF32 : options_.compute;
  }

  void WriteLoop() {
    const std::vector<StackedHook> stacked = FindStackedHooks();
    std::vector<ParameterId> parameters;
    for (size_t place = 0; place < loop_->period; ++place) {
      for (const ParameterId id : WeightsOf(LoopNode(0, place).operation)) parameters.push_back(id);
    }
    std::vector<HloValue> initial;
    for (const size_t place : loop_->carried) initial.push_back(InitialOf(place));
    for (const StackedHook& hook : stacked) {
      const int64_t width = graph_.width(LoopNode(0, hook.place).output);
      initial.push_back(w_.Broadcast(w_.Constant(0, StoredDType()),
                                     {hook.elements, options_.result_rows(), width}, {}));
    }
    for (const ParameterId id : parameters) initial.push_back(WeightOf(id));
    initial.insert(initial.end(), shared_.begin(), shared_.end());

    // Inside, the same ids mean other values.
    const std::vector<HloValue> values_outside = values_;
    const std::vector<HloValue> weights_outside = weights_;
    const std::vector<HloValue> shared_outside = shared_;
    const auto body = [&](const HloValue& index, const std::vector<HloValue>& carried) {
      return WriteIteration(index, carried, stacked, parameters);
    };
    const std::vector<HloValue> results =
        w_.Loop(static_cast<int64_t>(loop_->count), initial, body);
    values_ = values_outside;
    weights_ = weights_outside;
    shared_ = shared_outside;
    size_t next = 0;
    for (const size_t place : loop_->carried) {
      values_[Index(LoopNode(loop_->count - 1, place).output)] = results[next++];
    }
    for (const StackedHook& hook : stacked) AddStackedResult(hook, results[next++]);
  }

  // The loop's body: the nodes of the first iteration, with the values of any.
  std::vector<HloValue> WriteIteration(const HloValue& index, const std::vector<HloValue>& carried,
                                       const std::vector<StackedHook>& stacked,
                                       const std::vector<ParameterId>& parameters) {
    std::vector<HloValue> next = carried;
    size_t taken = 0;
    for (const size_t place : loop_->carried) {
      const HloValue& value = carried[taken++];
      const size_t node = loop_->first + place;
      if (node < loop_->period) continue;  // only read after the loop
      values_[Index(graph_.nodes()[node - loop_->period].output)] = value;
    }
    const size_t first_hook = taken;
    taken += stacked.size();
    for (const ParameterId id : parameters) {
      weights_[Index(id)] = w_.DynamicElement(carried[taken++], index);
    }
    for (HloValue& shared : shared_) shared = carried[taken++];

    for (size_t place = 0; place < loop_->period; ++place) WriteNode(LoopNode(0, place));

    for (size_t c = 0; c < loop_->carried.size(); ++c) {
      next[c] = ValueOf(LoopNode(0, loop_->carried[c]).output);
    }
    for (size_t h = 0; h < stacked.size(); ++h) {
      const StackedHook& hook = stacked[h];
      const HloValue rows = StoredRows(LoopNode(0, hook.place).output);
      const bool keeps_all = hook.kept == static_cast<int64_t>(loop_->count);
      const HloValue slot = keeps_all ? index : w_.DynamicElement(w_.Integers(hook.slots), index);
      next[first_hook + h] = w_.ReplaceElement(carried[first_hook + h], rows, slot);
    }
    return next;
  }

  void AddStackedResult(const StackedHook& hook, const HloValue& value) {
    const size_t result = AddResult(w_.Slice(value, 0, 0, hook.kept));
    for (size_t h = 0; h < hooks_.size(); ++h) {
      const size_t producer = producers_.at(graph_.hooks().at(hooks_[h]));
      if (producer < loop_->first || producer >= loop_->end()) continue;
      if ((producer - loop_->first) % loop_->period != hook.place) continue;
      const size_t iteration = (producer - loop_->first) / loop_->period;
      program_.hooks[h] = {.result = result, .element = hook.slots[iteration]};
    }
  }

  const Graph& graph_;
  const std::vector<HookPoint>& hooks_;
  const GraphProgramOptions& options_;
  StablehloWriter w_;
  const std::vector<Sharding> shardings_;  // of parameters
  std::optional<LayerLoop> loop_;
  std::map<ValueId, bool> is_hooked_;
  std::map<ValueId, size_t> producers_;

  // What is known by these names where the writer stands: in the loop's body, other values.
  std::vector<HloValue> values_;   // by value id; without a name: not yet
  std::vector<HloValue> weights_;  // by parameter id
  std::vector<HloValue> shared_;   // cosines and sines of each rope, then the others
  std::optional<HloValue> embedded_;

  // In shared_.
  std::optional<size_t> rows_place_;  // the row numbers
  size_t starts_place_ = 0;
  std::optional<size_t> bias_place_;  // WriteSequenceBias

  std::vector<HloValue> results_;
  std::vector<Sharding> result_shardings_;
  GraphProgram program_;
};

}  // namespace

Result<GraphProgram> WriteGraphProgram(const Graph& graph, const std::vector<HookPoint>& hooks,
                                       const GraphProgramOptions& options) {
  THRESHER_CHECK(options.tokens > 0 && options.devices > 0 && options.attention_block > 0);
  THRESHER_CHECK(options.result_rows() > 0 && options.result_rows() <= options.tokens);
  THRESHER_CHECK(!options.cudnn_attention ||
                 (options.compute == DType::kBf16 && options.devices == 1));
  THRESHER_CHECK(options.compute == DType::kF32 || options.compute == DType::kBf16);
  ASSIGN_OR_RETURN(const Graph pruned, graph.PrunedTo(hooks));
  return ProgramWriter(graph, pruned, hooks, options).Write();
}

}  // namespace thresher
