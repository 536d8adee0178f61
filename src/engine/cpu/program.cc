#include "engine/cpu/program.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/round_up.h"
#include "engine/cpu/amx_product.h"
#include "engine/cpu/buffer_plan.h"

namespace thresher {
namespace {

// Gate and up are computed about this many columns at a time: then 128 rows of both in f32 are 0.6
// MB, which stays in a core's second-level cache until they are gated.
constexpr int64_t kGateBlock = 640;
// Products are fastest on widths that are a multiple of twice this.
constexpr int64_t kGateGranule = 32;

// For every value, whether it is kept in f32 in all compute dtypes: the residual stream, what is
// added to it, what is normalised, and the outputs of linears that elementwise steps read. (Gate
// and up are where a few activations of real models grow a hundredfold: rounding them first shows
// there.)
std::vector<bool> FindF32Values(const Graph& graph) {
  std::vector<bool> is_f32(graph.values().size(), false);
  for (const Node& node : graph.nodes()) {
    const Operation& operation = node.operation;
    if (std::holds_alternative<Embed>(operation) || std::holds_alternative<Add>(operation)) {
      is_f32[static_cast<size_t>(node.output)] = true;
    }
    if (std::holds_alternative<Add>(operation) || std::holds_alternative<RmsNorm>(operation) ||
        std::holds_alternative<GatedSilu>(operation) || std::holds_alternative<Rope>(operation) ||
        std::holds_alternative<Attention>(operation)) {
      for (const ValueId input : Inputs(operation)) is_f32[static_cast<size_t>(input)] = true;
    }
  }
  // These compute in the compute dtype; where a reader wants f32, the result is converted.
  for (const Node& node : graph.nodes()) {
    const Operation& operation = node.operation;
    if (std::holds_alternative<Rope>(operation) || std::holds_alternative<Attention>(operation) ||
        std::holds_alternative<GatedSilu>(operation)) {
      is_f32[static_cast<size_t>(node.output)] = false;
    }
  }
  return is_f32;
}

class Compiler {
 public:
  Compiler(const Graph& full, const Graph& pruned, const std::vector<HookPoint>& hooks,
           const ProgramOptions& options)
      : graph_(pruned),
        options_(options),
        is_f32_(FindF32Values(full)),
        slots_(full.values().size()),
        readers_(full.values().size()),
        outputs_(full.values().size()) {
    program_.compute = options.compute;
    program_.stages.emplace_back();
    for (const Node& node : pruned.nodes()) {
      for (const ValueId input : Inputs(node.operation)) ++readers_[Index(input)];
    }
    for (size_t i = 0; i < hooks.size(); ++i) {
      outputs_[Index(pruned.hooks().at(hooks[i]))].push_back(i);
    }
  }

  Program Compile() && {
    for (size_t n = 0; n < graph_.nodes().size(); ++n) {
      const Node& node = graph_.nodes()[n];
      if (slots_[Index(node.output)]) continue;  // computed together with an earlier linear
      if (const auto* linear = std::get_if<Linear>(&node.operation)) {
        EmitLinears(n, *linear);
      } else {
        std::visit([&](const auto& operation) { Emit(operation, node.output); }, node.operation);
      }
    }
    AssignBuffers(lifetimes_, program_);
    return std::move(program_);
  }

 private:
  static size_t Index(ValueId value) { return static_cast<size_t>(value); }

  DType TypeOf(ValueId value) const {
    return is_f32_[Index(value)] ? DType::kF32 : program_.compute;
  }

  int32_t CurrentStage() const { return static_cast<int32_t>(program_.stages.size()) - 1; }

  Slot NewStorage(int64_t width, DType dtype) {
    program_.storages.push_back({.row_bytes = width * DTypeBytes(dtype)});
    lifetimes_.push_back({.first_step = step_,
                          .last_step = step_,
                          .first_stage = CurrentStage(),
                          .last_stage = CurrentStage()});
    const auto storage = static_cast<int32_t>(program_.storages.size() - 1);
    return {.storage = storage, .column = 0, .width = width, .dtype = dtype};
  }

  // Notes that the current step uses a storage.
  void Touch(const Slot& slot) {
    const auto storage = static_cast<size_t>(slot.storage);
    lifetimes_[storage].last_step = step_;
    lifetimes_[storage].last_stage = CurrentStage();
    if (lifetimes_[storage].first_stage != CurrentStage()) {
      program_.storages[storage].whole_batch = true;
    }
  }

  void Append(const RowStep& step) {
    program_.stages.back().row_steps.push_back(step);
    ++step_;
  }

  // The slot of an operand that the current step reads as `dtype`; emits a conversion if the value
  // is kept in another dtype.
  Slot Read(ValueId value, DType dtype) {
    const Slot& slot = *slots_[Index(value)];
    --readers_[Index(value)];
    if (slot.dtype == dtype) return slot;
    const auto [entry, is_new] = converted_.try_emplace(value);
    if (is_new) {
      Touch(slot);
      entry->second = NewStorage(slot.width, dtype);
      Append(ConvertStep{slot, entry->second});
    }
    return entry->second;
  }

  // An elementwise step may write over an operand that nothing reads any more.
  bool IsDead(ValueId value) const { return readers_[Index(value)] == 0; }

  Slot Define(ValueId value, const Slot& slot) {
    slots_[Index(value)] = slot;
    return slot;
  }
  Slot DefineNew(ValueId value) {
    return Define(value, NewStorage(graph_.width(value), TypeOf(value)));
  }

  // Where an elementwise step that reads `input` from `slot` puts `output`.
  Slot DefineOver(ValueId input, const Slot& slot, ValueId output) {
    const bool is_own = slots_[Index(input)]->storage == slot.storage;
    if (IsDead(input) && is_own && slot.dtype == TypeOf(output)) return Define(output, slot);
    return DefineNew(output);
  }

  void EmitCaptures(ValueId value) {
    for (const size_t output : outputs_[Index(value)]) {
      const Slot& slot = *slots_[Index(value)];
      Touch(slot);
      Append(CaptureStep{slot, output});
    }
  }

  void Emit(const Embed& embed, ValueId output) {
    Append(EmbedStep{embed.table, DefineNew(output)});
    EmitCaptures(output);
  }

  void Emit(const RmsNorm& norm, ValueId output) {
    const Slot in = Read(norm.input, DType::kF32);
    Touch(in);
    program_.norm_weights.push_back(norm.weight);
    Append(NormStep{in, program_.norm_weights.size() - 1, norm.epsilon, DefineNew(output)});
    EmitCaptures(output);
  }

  void Emit(const Rope& rope, ValueId output) {
    const Slot in = Read(rope.input, DType::kF32);
    Touch(in);
    auto& tables = program_.rope_frequencies;
    const auto found = std::ranges::find(tables, rope.inverse_frequencies);
    const auto table = static_cast<size_t>(found - tables.begin());
    if (found == tables.end()) tables.push_back(rope.inverse_frequencies);
    const Slot out = DefineOver(rope.input, in, output);
    Append(RopeStep{in, out, rope.heads, rope.head_dim, table});
    EmitCaptures(output);
  }

  void Emit(const GatedSilu& gated, ValueId output) {
    const Slot gate = Read(gated.gate, DType::kF32);
    const Slot up = Read(gated.up, DType::kF32);
    Touch(gate);
    Touch(up);
    Append(GateStep{gate, up, DefineNew(output)});
    EmitCaptures(output);
  }

  void Emit(const Add& add, ValueId output) {
    const Slot a = Read(add.a, DType::kF32);
    const Slot b = Read(add.b, DType::kF32);
    Touch(a);
    Touch(b);
    Append(AddStep{a, b, DefineOver(add.a, a, output)});
    EmitCaptures(output);
  }

  void Emit(const Attention& attention, ValueId output) {
    AttentionStep step = {
        .q = Read(attention.q, program_.compute),
        .k = Read(attention.k, program_.compute),
        .v = Read(attention.v, program_.compute),
        .out = {},
        .heads = attention.heads,
        .kv_heads = attention.kv_heads,
        .head_dim = attention.head_dim,
        .scale = attention.scale,
        .window = attention.window.value_or(0),
    };
    step.out = DefineNew(output);
    for (const Slot& slot : {step.q, step.k, step.v, step.out}) {
      Touch(slot);
      program_.storages[static_cast<size_t>(slot.storage)].whole_batch = true;
    }
    program_.stages.back().attention = step;
    program_.stages.emplace_back();
    ++step_;
    EmitCaptures(output);
  }

  void Emit(const Linear&, ValueId) { THRESHER_CHECK(false); }

  // True if every reader takes rows with a stride, which a linear does not.
  bool MayShareRows(ValueId value) const {
    return std::ranges::none_of(graph_.nodes(), [&](const Node& node) {
      const auto* linear = std::get_if<Linear>(&node.operation);
      return linear != nullptr && linear->input == value;
    });
  }

  // The linear at node `first` and, if their outputs may lie side by side, the later ones of this
  // stage that read the same input.
  std::vector<const Node*> FindLinearGroup(size_t first, ValueId input) const {
    const Node& leader = graph_.nodes()[first];
    std::vector<const Node*> group = {&leader};
    if (!MayShareRows(leader.output)) return group;
    for (size_t n = first + 1; n < graph_.nodes().size(); ++n) {
      const Node& node = graph_.nodes()[n];
      if (std::holds_alternative<Attention>(node.operation)) break;
      const auto* linear = std::get_if<Linear>(&node.operation);
      if (linear == nullptr || linear->input != input) continue;
      if (TypeOf(node.output) != TypeOf(leader.output) || !MayShareRows(node.output)) continue;
      group.push_back(&node);
    }
    return group;
  }

  // The GatedSilu that reads the two linears of a group, if nothing else does and they are wide.
  const Node* FindGateOf(const std::vector<const Node*>& group) const {
    if (group.size() != 2 || graph_.width(group[0]->output) <= kGateBlock) return nullptr;
    for (const Node* node : group) {
      const size_t value = Index(node->output);
      if (readers_[value] != 1 || !outputs_[value].empty()) return nullptr;
    }
    const std::set<ValueId> both = {group[0]->output, group[1]->output};
    const auto gate = std::ranges::find_if(graph_.nodes(), [&](const Node& node) {
      const auto* gated = std::get_if<GatedSilu>(&node.operation);
      return gated != nullptr && std::set{gated->gate, gated->up} == both;
    });
    return gate == graph_.nodes().end() ? nullptr : &*gate;
  }

  // The one linear that reads a gated activation, if it is summed up by blocks.
  const Node* FindDownOf(ValueId gated) const {
    if (!options_.sums_gate_blocks || readers_[Index(gated)] != 1) return nullptr;
    const auto down = std::ranges::find_if(graph_.nodes(), [&](const Node& node) {
      const auto* linear = std::get_if<Linear>(&node.operation);
      return linear != nullptr && linear->input == gated;
    });
    if (down == graph_.nodes().end() || TypeOf(down->output) != DType::kF32) return nullptr;
    return &*down;
  }

  // Adds what columns [column, column + block.width) of its input, in `block`, give to a linear's
  // output.
  void EmitDownBlock(const Linear& down, const Slot& block, int64_t column, const Slot& out) {
    const bool is_first = column == 0;
    program_.linears.push_back({.parts = {{.weight = down.weight,
                                           .bias = is_first ? down.bias : std::nullopt,
                                           .columns = out.width,
                                           .first_input = column,
                                           .inputs = block.width}},
                                .out = DType::kF32,
                                .accumulates = !is_first});
    Touch(block);
    Touch(out);
    Append(LinearStep{block, program_.linears.size() - 1, out});
  }

  // The linears of one input that a GatedSilu reads.
  struct GatePair {
    const Linear& gate;
    const Linear& up;
    int64_t inputs;
  };

  LinearPlan PlanGateBlock(const GatePair& pair, int64_t column, int64_t columns) const {
    return {.parts = {{pair.gate.weight, pair.gate.bias, column, columns, 0, pair.inputs},
                      {pair.up.weight, pair.up.bias, column, columns, 0, pair.inputs}},
            .out = DType::kF32};
  }

  // Columns of gate and up, gated into `out`.
  void EmitGateBlock(const GatePair& pair, const Slot& in, int64_t column, const Slot& out) {
    Touch(in);
    const Slot joined = NewStorage(2 * out.width, DType::kF32);
    program_.linears.push_back(PlanGateBlock(pair, column, out.width));
    Append(LinearStep{in, program_.linears.size() - 1, joined});
    Touch(joined);
    Touch(out);
    Append(GateStep{PartOf(joined, 0, out.width), PartOf(joined, out.width, out.width), out});
  }

  // The same in one step, for an `out` that fills its storage's rows.
  void EmitGatedProduct(const GatePair& pair, const Slot& in, int64_t column, const Slot& out) {
    LinearPlan plan = PlanGateBlock(pair, column, out.width);
    plan.out = out.dtype;
    plan.is_gated = true;
    Touch(in);
    Touch(out);
    program_.linears.push_back(std::move(plan));
    Append(LinearStep{in, program_.linears.size() - 1, out});
  }

  bool CanGateInProduct(const GatePair& pair, const Slot& out) const {
    return options_.gates_in_products && AmxCanMultiply(program_.compute, pair.inputs) &&
           out.dtype == DType::kBf16 && out.width % (kAmxBlock / 2) == 0;
  }

  // The two linears and what reads them, a block of columns after another.
  void EmitGateBlocks(const std::vector<const Node*>& group, const Node& gated_node) {
    const auto& gated = std::get<GatedSilu>(gated_node.operation);
    const bool gate_is_first = gated.gate == group[0]->output;
    const auto& gate = std::get<Linear>(group[gate_is_first ? 0 : 1]->operation);
    const auto& up = std::get<Linear>(group[gate_is_first ? 1 : 0]->operation);
    const GatePair pair = {gate, up, graph_.width(gate.input)};
    Read(gate.input, program_.compute);
    const Slot in = Read(up.input, program_.compute);
    const int64_t width = graph_.width(gated_node.output);
    const Node* down = FindDownOf(gated_node.output);
    const bool is_captured = !outputs_[Index(gated_node.output)].empty();
    std::optional<Slot> whole;
    if (down == nullptr || is_captured) whole = DefineNew(gated_node.output);
    const Slot down_out = down == nullptr ? Slot() : DefineNew(down->output);
    const int64_t blocks = (width + kGateBlock - 1) / kGateBlock;
    const int64_t block = RoundUp((width + blocks - 1) / blocks, kGateGranule);
    Slot made;
    for (int64_t column = 0; column < width; column += block) {
      const int64_t columns = std::min(block, width - column);
      if (down == nullptr) {
        made = PartOf(*whole, column, columns);
        EmitGateBlock(pair, in, column, made);
        continue;
      }
      // A linear reads whole rows of a storage: a block has one of its own.
      made = NewStorage(columns, TypeOf(gated_node.output));
      if (CanGateInProduct(pair, made)) {
        EmitGatedProduct(pair, in, column, made);
      } else {
        EmitGateBlock(pair, in, column, made);
      }
      if (whole) {
        Touch(made);
        Touch(*whole);
        Append(ConvertStep{made, PartOf(*whole, column, columns)});
      }
      EmitDownBlock(std::get<Linear>(down->operation), made, column, down_out);
    }
    // Computed; nothing reads them any more.
    Define(gated.gate, made);
    Define(gated.up, made);
    if (!whole) Define(gated_node.output, made);
    EmitCaptures(gated_node.output);
    if (down != nullptr) EmitCaptures(down->output);
  }

  static Slot PartOf(Slot slot, int64_t column, int64_t columns) {
    slot.column += column;
    slot.width = columns;
    return slot;
  }

  void EmitLinears(size_t first, const Linear& leader) {
    const std::vector<const Node*> group = FindLinearGroup(first, leader.input);
    if (const Node* gated = FindGateOf(group)) return EmitGateBlocks(group, *gated);
    Slot in;
    LinearPlan plan;
    plan.out = TypeOf(group[0]->output);
    int64_t width = 0;
    for (const Node* node : group) {
      const auto& linear = std::get<Linear>(node->operation);
      in = Read(linear.input, program_.compute);
      plan.parts.push_back({linear.weight, linear.bias, 0, graph_.width(node->output), 0,
                            graph_.width(linear.input)});
      width += graph_.width(node->output);
    }
    Touch(in);
    const Slot joined = NewStorage(width, plan.out);
    Slot part = joined;
    for (const Node* node : group) {
      part.width = graph_.width(node->output);
      Define(node->output, part);
      part.column += part.width;
    }
    program_.linears.push_back(std::move(plan));
    Append(LinearStep{in, program_.linears.size() - 1, joined});
    for (const Node* node : group) EmitCaptures(node->output);
  }

  const Graph& graph_;
  const ProgramOptions options_;
  const std::vector<bool> is_f32_;
  std::vector<std::optional<Slot>> slots_;
  std::map<ValueId, Slot> converted_;
  std::vector<int> readers_;                  // that have not run yet
  std::vector<std::vector<size_t>> outputs_;  // captures of each value
  std::vector<Lifetime> lifetimes_;           // of each storage
  int32_t step_ = 0;
  Program program_;
};

}  // namespace

Result<Program> CompileProgram(const Graph& graph, const std::vector<HookPoint>& hooks,
                               const ProgramOptions& options) {
  THRESHER_CHECK(options.compute == DType::kF32 || options.compute == DType::kBf16);
  ASSIGN_OR_RETURN(const Graph pruned, graph.PrunedTo(hooks));
  return Compiler(graph, pruned, hooks, options).Compile();
}

}  // namespace thresher
