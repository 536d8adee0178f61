#ifndef THRESHER_GRAPH_HOOK_POINT_H_
#define THRESHER_GRAPH_HOOK_POINT_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

// Which tensor of the forward pass; the definitions are in docs/hooks.md. Order = order of
// computation inside the model, which is the order of tensors in a shard.
enum class HookKind : uint8_t {
  kEmbed,
  kResidPre,
  kQ,
  kK,
  kV,
  kZ,
  kAttnOut,
  kResidMid,
  kMlpPost,
  kMlpOut,
  kResidPost,
  kFinalNorm,
};

// A named tensor [tokens, width] of the forward pass.
struct HookPoint {
  int32_t layer = 0;  // 0-based block; -1 for kEmbed, the number of layers for kFinalNorm
  HookKind kind = HookKind::kEmbed;

  auto operator<=>(const HookPoint&) const = default;
};

// TransformerLens name: "hook_embed", "blocks.3.hook_resid_post", "ln_final.hook_normalized".
std::string HookName(const HookPoint& hook);

// The inverse of HookName for a model with `layer_count` layers. kInvalidArgument if no such hook
// point exists there.
Result<HookPoint> ParseHookName(std::string_view name, int32_t layer_count);

// The hook points that "--hooks resid_post,mlp_out --layers 0-11,23" means, sorted, each once.
// `hooks` is a comma-separated list of short names (or "all"); `layers` is "all" or a
// comma-separated list of layers and inclusive ranges. The messages list what is allowed.
Result<std::vector<HookPoint>> SelectHooks(std::string_view hooks, std::string_view layers,
                                           int32_t layer_count);

}  // namespace thresher

#endif  // THRESHER_GRAPH_HOOK_POINT_H_
