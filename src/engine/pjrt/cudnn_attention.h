#ifndef THRESHER_ENGINE_PJRT_CUDNN_ATTENTION_H_
#define THRESHER_ENGINE_PJRT_CUDNN_ATTENTION_H_

#include <cstdint>
#include <functional>

#include "engine/pjrt/attention_writer.h"
#include "engine/pjrt/stablehlo_writer.h"
#include "graph/graph.h"

namespace thresher {

// Attention by cuDNN's fused kernel, which XLA's compiler for NVIDIA GPUs calls where a module asks
// for it by name. How it is asked is in no specification: here as jax 0.10.2 writes it
// (jax/_src/cudnn/fused_attention_stablehlo.py), whose GPU plug-ins are those that Thresher
// installs. It has never run on a GPU.

// Whether the kernel can do it: heads of at most 128 channels, a multiple of 8, and no window that
// is shorter than the batch.
bool CudnnCanAttend(const Attention& attention, int64_t tokens);

// bf16 [1, 1, tokens, tokens]: what is added to the scores of a query (third axis) with a key, so
// that attention stays in its sequence: 0, or a number that no score outweighs. What lies above the
// diagonal is left to the kernel. `starts` as AttentionInputs has it. The same for all layers.
HloValue WriteSequenceBias(StablehloWriter& writer, const HloValue& starts);

// What the kernel is given: everything bf16.
struct FusedAttentionCall {
  const Attention& attention;
  HloValue q;     // [1, tokens, heads, head_dim]
  HloValue k;     // [1, tokens, kv_heads, head_dim]
  HloValue v;     // the same
  HloValue bias;  // WriteSequenceBias
};

// The call itself: causal attention with scores q k^T * scale + bias. [1, heads, tokens, head_dim]
HloValue WriteCudnnCall(StablehloWriter& writer, const FusedAttentionCall& call);

// As WriteAttention, of inputs in bf16, and with a result in bf16: [tokens, heads * head_dim].
// `write_call`: tests give something that every device can run.
using FusedAttentionWriter =
    std::function<HloValue(StablehloWriter& writer, const FusedAttentionCall& call)>;
HloValue WriteCudnnAttention(StablehloWriter& writer, const Attention& attention,
                             const AttentionInputs& inputs, const HloValue& bias,
                             const FusedAttentionWriter& write_call = WriteCudnnCall);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_CUDNN_ATTENTION_H_
