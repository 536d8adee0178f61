#include "forecast/suggestions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace thresher {
namespace {

constexpr int64_t kEvery = 8;
constexpr double kFraction = 0.1;
constexpr int64_t kOneSampleOf = 10;

// A run that would be smaller.
struct Change {
  std::vector<HookPoint> hooks;
  double rows = 0;
  DType dtype = DType::kBf16;
  double part_of_samples = 1;
};

// The size of changed runs.
class Sizes {
 public:
  explicit Sizes(const ForecastInputs& inputs) : inputs_(inputs) {}

  Change Unchanged() const {
    return {inputs_.hooks, inputs_.survey.rows.value, inputs_.format.dtype};
  }

  Result<double> Bytes(const Change& change) const {
    ASSIGN_OR_RETURN(const ShardFormat format,
                     ShardFormatOf(inputs_.model.graph, change.hooks, change.dtype));
    const UnitSize size = UnitSize::Of(format, inputs_.unit_size.shard_bytes);
    // What belongs to sequences, not to rows, stays.
    const double of_sequences =
        inputs_.survey.bytes.value -
        inputs_.survey.rows.value * static_cast<double>(inputs_.unit_size.bytes_per_row);
    const double bytes = change.part_of_samples *
                         (change.rows * static_cast<double>(size.bytes_per_row) + of_sequences);
    const double units = std::ceil(bytes / static_cast<double>(size.shard_bytes));
    return bytes + units * static_cast<double>(size.bytes_per_shard);
  }

 private:
  const ForecastInputs& inputs_;
};

// The layers of hook points inside blocks.
std::vector<int32_t> LayersOf(const ForecastInputs& inputs) {
  std::set<int32_t> layers;
  for (const HookPoint& hook : inputs.hooks) {
    if (hook.layer >= 0 && hook.layer < inputs.model.layer_count) layers.insert(hook.layer);
  }
  return {layers.begin(), layers.end()};
}

std::vector<HookPoint> OnlyLayers(const std::vector<HookPoint>& hooks,
                                  const std::vector<int32_t>& layers) {
  std::vector<HookPoint> kept;
  std::copy_if(hooks.begin(), hooks.end(), std::back_inserter(kept), [&](const HookPoint& hook) {
    return std::find(layers.begin(), layers.end(), hook.layer) != layers.end();
  });
  return kept;
}

// Every second one; the last is among them.
std::vector<int32_t> EverySecond(const std::vector<int32_t>& layers) {
  std::vector<int32_t> kept;
  for (size_t i = (layers.size() + 1) % 2; i < layers.size(); i += 2) kept.push_back(layers[i]);
  return kept;
}

// The name for --hooks: "blocks.3.hook_resid_post" is resid_post.
std::string ShortName(const HookPoint& hook) {
  std::string name = HookName(hook);
  const size_t begin = name.rfind("hook_");
  if (begin != std::string::npos) name.erase(0, begin + 5);
  if (hook.kind == HookKind::kMlpPost) return "mlp_post";
  if (hook.kind == HookKind::kFinalNorm) return "final_norm";
  return name;
}

// The one kind of hook point that would be kept; nothing if there is only one.
std::optional<HookKind> KindToKeep(const std::vector<HookPoint>& hooks) {
  std::set<HookKind> kinds;
  for (const HookPoint& hook : hooks) kinds.insert(hook.kind);
  if (kinds.size() < 2) return std::nullopt;
  return kinds.contains(HookKind::kResidPost) ? HookKind::kResidPost : *kinds.rbegin();
}

// Rows with --tokens every:K: the first token of each sequence is one.
double RowsOfEvery(const Survey& survey) {
  const double rounding = survey.sequences.value * (kEvery - 1) / (2.0 * kEvery);
  return std::min(survey.tokens.value, survey.tokens.value / kEvery + rounding);
}

// True if the dtype is larger than one byte and would fit every hook point if it were one.
bool CanBeOneByte(const ForecastInputs& inputs) {
  return DTypeBytes(inputs.format.dtype) > 1 &&
         std::all_of(inputs.format.hooks.begin(), inputs.format.hooks.end(),
                     [](const ShardHook& hook) { return hook.width % 4 == 0; });
}

}  // namespace

Result<std::vector<Suggestion>> MakeSuggestions(const ForecastInputs& inputs) {
  const Sizes sizes(inputs);
  std::vector<Suggestion> suggestions;
  const auto suggest = [&](std::string what, std::string flags, const Change& change) {
    ASSIGN_OR_RETURN(const double bytes, sizes.Bytes(change));
    suggestions.push_back({std::move(what), std::move(flags), bytes});
    return OkStatus();
  };
  Change together = sizes.Unchanged();
  std::vector<std::string> flags_together;

  const std::vector<int32_t> layers = LayersOf(inputs);
  if (layers.size() > 1) {
    Change change = sizes.Unchanged();
    const std::vector<int32_t> half = EverySecond(layers);
    change.hooks = OnlyLayers(inputs.hooks, half);
    std::string flags = fmt::format("--layers {}", fmt::join(half, ","));
    const bool are_two = layers.size() == 2;
    RETURN_IF_ERROR(
        suggest(are_two ? "one of the two layers" : "every second layer", flags, change));
    together.hooks = change.hooks;
    flags_together.push_back(std::move(flags));
    if (!are_two) {
      const int32_t middle = layers[layers.size() / 2];
      change.hooks = OnlyLayers(inputs.hooks, {middle});
      RETURN_IF_ERROR(suggest("the middle layer", fmt::format("--layers {}", middle), change));
    }
  }
  if (const std::optional<HookKind> kind = KindToKeep(inputs.hooks)) {
    const auto only_kind = [&](std::vector<HookPoint> hooks) {
      std::erase_if(hooks, [&](const HookPoint& hook) { return hook.kind != *kind; });
      return hooks;
    };
    Change change = sizes.Unchanged();
    change.hooks = only_kind(inputs.hooks);
    std::string flags = "--hooks " + ShortName(change.hooks.front());
    RETURN_IF_ERROR(suggest("one kind of hook point", flags, change));
    together.hooks = only_kind(together.hooks);
    if (together.hooks.empty()) together.hooks = change.hooks;
    flags_together.push_back(std::move(flags));
  }
  if (inputs.token_selection == "all") {
    Change change = sizes.Unchanged();
    change.rows = inputs.survey.sequences.value;
    RETURN_IF_ERROR(suggest("the last token of each sequence", "--tokens last", change));
    suggestions.push_back({"the assistant's tokens", "--tokens assistant", std::nullopt});
    change.rows = RowsOfEvery(inputs.survey);
    RETURN_IF_ERROR(suggest("every 8th token", fmt::format("--tokens every:{}", kEvery), change));
    change.rows = inputs.survey.tokens.value * kFraction;
    std::string flags = fmt::format("--tokens fraction:{}", kFraction);
    RETURN_IF_ERROR(suggest("a tenth of the tokens, drawn by chance", flags, change));
    together.rows = change.rows;
    flags_together.push_back(std::move(flags));
  }
  if (inputs.variants > 1) {
    Change change = sizes.Unchanged();
    change.part_of_samples = 1.0 / static_cast<double>(inputs.variants);
    RETURN_IF_ERROR(suggest("each task once, as it is", "--variants 1", change));
  }
  if (const int64_t fewer = inputs.survey.sample_count / kOneSampleOf; fewer > 0) {
    Change change = sizes.Unchanged();
    change.part_of_samples =
        static_cast<double>(fewer) / static_cast<double>(inputs.survey.sample_count);
    RETURN_IF_ERROR(
        suggest("the first tenth of the samples", fmt::format("--max-samples {}", fewer), change));
  }
  if (CanBeOneByte(inputs)) {
    Change change = sizes.Unchanged();
    change.dtype = DType::kF8E4M3;
    RETURN_IF_ERROR(suggest("8 bits a number, with a scale for each token",
                            "--dtype fp8_e4m3 or int8", change));
    together.dtype = change.dtype;
    flags_together.emplace_back("--dtype fp8_e4m3");
  }
  if (flags_together.size() > 1) {
    RETURN_IF_ERROR(
        suggest("together", fmt::format("{}", fmt::join(flags_together, " ")), together));
  }
  return suggestions;
}

}  // namespace thresher
