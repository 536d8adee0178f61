#ifndef THRESHER_MODEL_DECODER_H_
#define THRESHER_MODEL_DECODER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "graph/graph.h"
#include "model/config.h"

namespace thresher {

// The pieces that Llama-like architectures are made of, written into a graph with their hook
// points. Parameter names are those of Hugging Face checkpoints.
class DecoderWriter {
 public:
  explicit DecoderWriter(const ModelConfig& config) : config_(config) {}

  // Looks the tokens up in the parameter `table`. Sets kEmbed. Returns the residual stream.
  ValueId EmbedTokens(const std::string& table);

  ValueId Normalize(ValueId input, const std::string& weight);

  // Linear map to `width` channels: parameters NAME.weight and, if `has_bias`, NAME.bias.
  ValueId Project(ValueId input, const std::string& name, int64_t width, bool has_bias);

  // Rotary attention over `input`, with parameters PREFIX.{q,k,v,o}_proj. Sets kQ, kK, kV, kZ.
  // Returns the output projection.
  ValueId Attend(int32_t layer, ValueId input, const std::string& prefix);

  // down(silu(gate(input)) * up(input)), with parameters PREFIX.{gate,up,down}_proj. Sets kMlpPost.
  // Returns the down projection.
  ValueId GatedMlp(int32_t layer, ValueId input, const std::string& prefix);

  // The layer's two additions to the residual stream, in this order; the first sets kResidPre,
  // kAttnOut and kResidMid, the second kMlpOut and kResidPost. Return the new residual stream.
  ValueId AddAttention(int32_t layer, ValueId residual, ValueId attention_output);
  ValueId AddMlp(int32_t layer, ValueId residual, ValueId mlp_output);

  // Sets kFinalNorm.
  void NormalizeFinally(ValueId residual, const std::string& weight);

  Graph TakeGraph() { return std::move(graph_); }

 private:
  const ModelConfig& config_;
  Graph graph_;
};

// The whole forward pass of architectures that normalise before attention and before the MLP, and
// nowhere else, and that differ in settings only: Qwen2, Llama, Mistral.
Graph BuildPreNormDecoder(const ModelConfig& config);

}  // namespace thresher

#endif  // THRESHER_MODEL_DECODER_H_
