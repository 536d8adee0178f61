#include "graph/hook_point.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/nearest_name.h"

namespace thresher {
namespace {

struct HookDescription {
  HookKind kind;
  std::string_view short_name;  // on the command line
  std::string_view full_name;   // in shards, behind "blocks.N." if in a block
  bool in_block;
};

constexpr std::array<HookDescription, 12> kHooks = {{
    {HookKind::kEmbed, "embed", "hook_embed", false},
    {HookKind::kResidPre, "resid_pre", "hook_resid_pre", true},
    {HookKind::kQ, "q", "attn.hook_q", true},
    {HookKind::kK, "k", "attn.hook_k", true},
    {HookKind::kV, "v", "attn.hook_v", true},
    {HookKind::kZ, "z", "attn.hook_z", true},
    {HookKind::kAttnOut, "attn_out", "hook_attn_out", true},
    {HookKind::kResidMid, "resid_mid", "hook_resid_mid", true},
    {HookKind::kMlpPost, "mlp_post", "mlp.hook_post", true},
    {HookKind::kMlpOut, "mlp_out", "hook_mlp_out", true},
    {HookKind::kResidPost, "resid_post", "hook_resid_post", true},
    {HookKind::kFinalNorm, "final_norm", "ln_final.hook_normalized", false},
}};

const HookDescription& Describe(HookKind kind) {
  const auto index = static_cast<size_t>(kind);
  THRESHER_CHECK(index < kHooks.size() && kHooks[index].kind == kind);
  return kHooks[index];
}

std::string AllShortNames() {
  std::string names;
  for (const HookDescription& hook : kHooks) {
    if (!names.empty()) names += ", ";
    names += hook.short_name;
  }
  return names;
}

// The layer that a hook point outside the blocks carries, so that hook points sort by computation.
int32_t LayerOutsideBlocks(HookKind kind, int32_t layer_count) {
  return kind == HookKind::kEmbed ? -1 : layer_count;
}

std::vector<std::string_view> SplitAtCommas(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    parts.push_back(part);
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

std::optional<int32_t> ParseLayer(std::string_view text) {
  int32_t layer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), layer);
  if (error != std::errc() || end != text.data() + text.size() || layer < 0) return std::nullopt;
  return layer;
}

Result<std::set<int32_t>> ParseLayers(std::string_view layers, int32_t layer_count) {
  std::set<int32_t> selected;
  if (layers == "all") {
    for (int32_t layer = 0; layer < layer_count; ++layer) selected.insert(layer);
    return selected;
  }
  for (const std::string_view part : SplitAtCommas(layers)) {
    const size_t dash = part.find('-');
    const std::optional<int32_t> first = ParseLayer(part.substr(0, dash));
    const std::optional<int32_t> last =
        dash == std::string_view::npos ? first : ParseLayer(part.substr(dash + 1));
    if (!first || !last || *first > *last) {
      return InvalidArgument("--layers: '" + std::string(part) +
                             "' is neither a layer nor a range; write for example all, 0-11 or "
                             "0,5,23");
    }
    if (*last >= layer_count) {
      return InvalidArgument("--layers: there is no layer " + std::to_string(*last) +
                             "; this model has layers 0 to " + std::to_string(layer_count - 1));
    }
    for (int32_t layer = *first; layer <= *last; ++layer) selected.insert(layer);
  }
  return selected;
}

// What somebody who wrote that for a hook point's short name may have meant.
std::string HintFor(std::string_view name) {
  constexpr std::string_view kBlockPrefix = "blocks.";
  std::vector<std::string> short_names;
  for (const HookDescription& hook : kHooks) {
    short_names.emplace_back(hook.short_name);
    if (!name.ends_with(hook.full_name)) continue;
    std::string hint = "; write --hooks " + short_names.back();
    if (!name.starts_with(kBlockPrefix)) return hint;
    const std::string_view layer = name.substr(kBlockPrefix.size());
    return hint + " --layers " + std::string(layer.substr(0, layer.find('.')));
  }
  return DidYouMean(name, short_names);
}

Result<std::set<HookKind>> ParseKinds(std::string_view hooks) {
  std::set<HookKind> kinds;
  for (const std::string_view part : SplitAtCommas(hooks)) {
    bool known = part == "all";
    for (const HookDescription& hook : kHooks) {
      if (part != "all" && part != hook.short_name) continue;
      kinds.insert(hook.kind);
      known = true;
    }
    if (!known) {
      return InvalidArgument("--hooks: '" + std::string(part) +
                             "' is not a hook point; there are " + AllShortNames() + ", and all" +
                             HintFor(part));
    }
  }
  return kinds;
}

}  // namespace

std::string HookName(const HookPoint& hook) {
  const HookDescription& description = Describe(hook.kind);
  if (!description.in_block) return std::string(description.full_name);
  return "blocks." + std::to_string(hook.layer) + "." + std::string(description.full_name);
}

Result<HookPoint> ParseHookName(std::string_view name, int32_t layer_count) {
  constexpr std::string_view kBlockPrefix = "blocks.";
  std::optional<int32_t> layer;
  std::string_view rest = name;
  if (name.starts_with(kBlockPrefix)) {
    const size_t dot = name.find('.', kBlockPrefix.size());
    layer = ParseLayer(name.substr(kBlockPrefix.size(), dot - kBlockPrefix.size()));
    rest = dot == std::string_view::npos ? "" : name.substr(dot + 1);
  }
  for (const HookDescription& hook : kHooks) {
    if (hook.full_name != rest) continue;
    if (!hook.in_block && rest == name) {
      return HookPoint{LayerOutsideBlocks(hook.kind, layer_count), hook.kind};
    }
    if (hook.in_block && layer && *layer < layer_count) return HookPoint{*layer, hook.kind};
  }
  return InvalidArgument("'" + std::string(name) + "' is not a hook point of a model with " +
                         std::to_string(layer_count) + " layers");
}

Result<std::vector<HookPoint>> SelectHooks(std::string_view hooks, std::string_view layers,
                                           int32_t layer_count) {
  ASSIGN_OR_RETURN(const std::set<HookKind> kinds, ParseKinds(hooks));
  ASSIGN_OR_RETURN(const std::set<int32_t> selected_layers, ParseLayers(layers, layer_count));
  std::vector<HookPoint> selected;
  for (const HookKind kind : kinds) {
    if (!Describe(kind).in_block) {
      selected.push_back({LayerOutsideBlocks(kind, layer_count), kind});
      continue;
    }
    for (const int32_t layer : selected_layers) selected.push_back({layer, kind});
  }
  std::sort(selected.begin(), selected.end());
  return selected;
}

}  // namespace thresher
