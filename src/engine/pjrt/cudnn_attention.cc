#include "engine/pjrt/cudnn_attention.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

// Far below any score and far from the least number, as jax has it: cuDNN subtracts such numbers
// from each other.
constexpr float kOtherSequence = -2199023255552.0F;  // -2^41, which bf16 has

// XLA's protobuf of attention calls (CudnnfMHABackendConfig) as JSON, in which 64-bit integers are
// texts.
std::string CallConfig(const FusedAttentionCall& call) {
  const std::string tokens = std::to_string(call.q.type.shape[1]);
  const auto axes = [](const char* left, const char* right, const std::vector<std::string>& batch,
                       const std::vector<std::string>& right_batch) {
    return Json{{"lhs_contracting_dimensions", {left}},
                {"rhs_contracting_dimensions", {right}},
                {"lhs_batch_dimensions", batch},
                {"rhs_batch_dimensions", right_batch}};
  };
  const Json layout = {{"dim_level_types", Json::array()},
                       {"dim_unique", Json::array()},
                       {"dim_ordered", Json::array()},
                       {"minor_to_major", {"3", "2", "1", "0"}},
                       {"tiles", Json::array()},
                       {"element_size_in_bits", "0"},
                       {"memory_space", "0"},
                       {"index_primitive_type", "PRIMITIVE_TYPE_INVALID"},
                       {"pointer_primitive_type", "PRIMITIVE_TYPE_INVALID"},
                       {"dynamic_shape_metadata_prefix_bytes", "0"}};
  const Json scores = {{"element_type", "BF16"},
                       {"dimensions", {"1", std::to_string(call.attention.heads), tokens, tokens}},
                       {"tuple_shapes", Json::array()},
                       {"layout", layout},
                       {"is_dynamic_dimension", {false, false, false, false}}};
  const Json config = {{"algorithm",
                        {{"algo_id", "0"},
                         {"math_type", "TENSOR_OP_MATH"},
                         {"tuning_knobs", {{"17", "1"}, {"24", "0"}}},
                         {"is_cudnn_frontend", true},
                         {"workspace_size", "0"}}},
                       {"fmha_scale", call.attention.scale},
                       {"intermediate_tensor_shape", scores},
                       {"is_flash_attention", true},
                       {"mask_type", "CAUSAL"},
                       {"bmm1_dot_dimension_numbers", axes("3", "3", {"0", "2"}, {"0", "2"})},
                       {"bmm2_dot_dimension_numbers", axes("3", "1", {"0", "1"}, {"0", "2"})},
                       {"dropout_rate", 0.0},
                       {"seed", 42},
                       {"sliding_window_length", 0},
                       {"max_seg_per_batch", 1},
                       {"is_paged_attention", false}};
  return Json{{"operation_queue_id", "0"}, {"cudnn_fmha_backend_config", config}}.dump();
}

}  // namespace

bool CudnnCanAttend(const Attention& attention, int64_t tokens) {
  constexpr int64_t kMostChannels = 128;
  constexpr int64_t kChannels = 8;
  const bool sees_all = !attention.window || *attention.window >= tokens;
  return attention.head_dim <= kMostChannels && attention.head_dim % kChannels == 0 && sees_all;
}

HloValue WriteSequenceBias(StablehloWriter& writer, const HloValue& starts) {
  const int64_t tokens = starts.type.shape[0];
  const std::vector<int64_t> shape = {1, 1, tokens, tokens};
  const HloMask same =
      writer.Compare(writer.Broadcast(writer.Iota(tokens), shape, {3}),
                     writer.Broadcast(starts, shape, {2}), Comparison::kGreaterOrEqual);
  const auto filled = [&](float value) {
    return writer.Broadcast(writer.Constant(value, DType::kBf16), shape, {});
  };
  return writer.Select(same, filled(0), filled(kOtherSequence));
}

HloValue WriteCudnnCall(StablehloWriter& writer, const FusedAttentionCall& call) {
  const std::vector<int64_t>& q = call.q.type.shape;
  HloCompilerCall cudnn;
  cudnn.target = "__cudnn$fmhaScaleBiasSoftmax";
  cudnn.config = CallConfig(call);
  cudnn.result = {DType::kBf16, {q[0], q[2], q[1], q[3]}};
  cudnn.minor_to_major = {3, 1, 2, 0};  // in memory as q
  return writer.CompilerCall(cudnn, {call.q, call.k, call.v, call.bias});
}

HloValue WriteCudnnAttention(StablehloWriter& writer, const Attention& attention,
                             const AttentionInputs& inputs, const HloValue& bias,
                             const FusedAttentionWriter& write_call) {
  const int64_t tokens = inputs.starts.type.shape[0];
  const auto by_heads = [&](const HloValue& value, int64_t heads) {
    return writer.Reshape(value, {1, tokens, heads, attention.head_dim});
  };
  const HloValue z = write_call(writer, {.attention = attention,
                                         .q = by_heads(inputs.q, attention.heads),
                                         .k = by_heads(inputs.k, attention.kv_heads),
                                         .v = by_heads(inputs.v, attention.kv_heads),
                                         .bias = bias});
  return writer.Reshape(writer.Transpose(z, {0, 2, 1, 3}),
                        {tokens, attention.heads * attention.head_dim});
}

}  // namespace thresher
