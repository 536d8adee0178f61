#include "model/decoder.h"

#include <fmt/format.h>

#include <cmath>

namespace thresher {

ValueId DecoderWriter::EmbedTokens(const std::string& table) {
  const ParameterId parameter =
      graph_.AddParameter(table, {config_.vocabulary_size, config_.hidden_size});
  const ValueId embedded = graph_.AddNode(Embed{parameter});
  graph_.SetHook({-1, HookKind::kEmbed}, embedded);
  return embedded;
}

ValueId DecoderWriter::Normalize(ValueId input, const std::string& weight) {
  const ParameterId parameter = graph_.AddParameter(weight, {graph_.width(input)});
  return graph_.AddNode(RmsNorm{input, parameter, static_cast<float>(config_.rms_norm_epsilon)});
}

ValueId DecoderWriter::Project(ValueId input, const std::string& name, int64_t width,
                               bool has_bias) {
  Linear linear = {input, graph_.AddParameter(name + ".weight", {width, graph_.width(input)}),
                   std::nullopt};
  if (has_bias) linear.bias = graph_.AddParameter(name + ".bias", {width});
  return graph_.AddNode(linear);
}

ValueId DecoderWriter::Attend(int32_t layer, ValueId input, const std::string& prefix) {
  const int64_t head_dim = config_.head_dim;
  const auto project = [&](const char* name, int64_t heads, HookKind hook) {
    const ValueId output = Project(input, prefix + name, heads * head_dim, config_.qkv_bias);
    graph_.SetHook({layer, hook}, output);
    return output;
  };
  const ValueId q = project(".q_proj", config_.heads, HookKind::kQ);
  const ValueId k = project(".k_proj", config_.kv_heads, HookKind::kK);
  const ValueId v = project(".v_proj", config_.kv_heads, HookKind::kV);

  const std::vector<float> frequencies = config_.rope.InverseFrequencies(head_dim);
  const ValueId turned_q = graph_.AddNode(Rope{q, config_.heads, head_dim, frequencies});
  const ValueId turned_k = graph_.AddNode(Rope{k, config_.kv_heads, head_dim, frequencies});
  const ValueId z = graph_.AddNode(Attention{
      .q = turned_q,
      .k = turned_k,
      .v = v,
      .heads = config_.heads,
      .kv_heads = config_.kv_heads,
      .head_dim = head_dim,
      .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim))),
      .window = config_.windows[static_cast<size_t>(layer)],
  });
  graph_.SetHook({layer, HookKind::kZ}, z);
  return Project(z, prefix + ".o_proj", config_.hidden_size, config_.attention_output_bias);
}

ValueId DecoderWriter::GatedMlp(int32_t layer, ValueId input, const std::string& prefix) {
  const int64_t width = config_.intermediate_size;
  const ValueId gate = Project(input, prefix + ".gate_proj", width, config_.mlp_bias);
  const ValueId up = Project(input, prefix + ".up_proj", width, config_.mlp_bias);
  const ValueId gated = graph_.AddNode(GatedSilu{gate, up});
  graph_.SetHook({layer, HookKind::kMlpPost}, gated);
  return Project(gated, prefix + ".down_proj", config_.hidden_size, config_.mlp_bias);
}

ValueId DecoderWriter::AddAttention(int32_t layer, ValueId residual, ValueId attention_output) {
  const ValueId sum = graph_.AddNode(Add{residual, attention_output});
  graph_.SetHook({layer, HookKind::kResidPre}, residual);
  graph_.SetHook({layer, HookKind::kAttnOut}, attention_output);
  graph_.SetHook({layer, HookKind::kResidMid}, sum);
  return sum;
}

ValueId DecoderWriter::AddMlp(int32_t layer, ValueId residual, ValueId mlp_output) {
  const ValueId sum = graph_.AddNode(Add{residual, mlp_output});
  graph_.SetHook({layer, HookKind::kMlpOut}, mlp_output);
  graph_.SetHook({layer, HookKind::kResidPost}, sum);
  return sum;
}

void DecoderWriter::NormalizeFinally(ValueId residual, const std::string& weight) {
  const auto layers = static_cast<int32_t>(config_.layer_count);
  graph_.SetHook({layers, HookKind::kFinalNorm}, Normalize(residual, weight));
}

Graph BuildPreNormDecoder(const ModelConfig& config) {
  DecoderWriter writer(config);
  ValueId residual = writer.EmbedTokens("model.embed_tokens.weight");
  for (int32_t layer = 0; layer < config.layer_count; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    const ValueId attention_input = writer.Normalize(residual, prefix + "input_layernorm.weight");
    const ValueId attention = writer.Attend(layer, attention_input, prefix + "self_attn");
    residual = writer.AddAttention(layer, residual, attention);
    const ValueId mlp_input =
        writer.Normalize(residual, prefix + "post_attention_layernorm.weight");
    const ValueId mlp = writer.GatedMlp(layer, mlp_input, prefix + "mlp");
    residual = writer.AddMlp(layer, residual, mlp);
  }
  writer.NormalizeFinally(residual, "model.norm.weight");
  return writer.TakeGraph();
}

}  // namespace thresher
