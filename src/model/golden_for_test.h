#ifndef THRESHER_MODEL_GOLDEN_FOR_TEST_H_
#define THRESHER_MODEL_GOLDEN_FOR_TEST_H_

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/mapped_file.h"
#include "base/source_folder_for_test.h"
#include "graph/hook_point.h"
#include "shard/safetensors.h"

// The tiny models of tests/data/golden with the activations that transformers computes for them.
// For tests: anything wrong with the files is a failed check.

namespace thresher {

// Relative L2 error per tensor that an implementation in float32 must stay below
// (tests/data/golden/README.md).
inline constexpr double kGoldenTolerance = 1e-5;

inline std::string TestDataPath(const std::string& name) {
  return (SourceFolderForTest() / "tests" / "data" / name).string();
}

// One sequence and the values [tokens, width] of hook points.
struct GoldenSequence {
  std::vector<int32_t> token_ids;
  std::map<HookPoint, std::vector<double>> values;
};

// seqS.layerI.HOOK and seqS.final_norm of golden.safetensors, as hook points.
inline HookPoint GoldenHook(const std::string& name, int32_t layer_count) {
  static const std::map<std::string, HookKind> kKinds = {
      {"resid_pre", HookKind::kResidPre},
      {"q", HookKind::kQ},
      {"k", HookKind::kK},
      {"v", HookKind::kV},
      {"z", HookKind::kZ},
      {"attn_out", HookKind::kAttnOut},
      {"resid_mid", HookKind::kResidMid},
      {"mlp_post_act", HookKind::kMlpPost},
      {"mlp_out", HookKind::kMlpOut},
      {"resid_post", HookKind::kResidPost},
      {"final_norm", HookKind::kFinalNorm},
  };
  const HookKind kind = kKinds.at(name.substr(name.rfind('.') + 1));
  if (kind == HookKind::kFinalNorm) return {layer_count, kind};
  return {std::stoi(name.substr(name.find(".layer") + 6)), kind};
}

// Reads tests/data/golden/MODEL/golden.safetensors: S -> sequence.
inline std::map<int, GoldenSequence> LoadGolden(const std::string& model, int32_t layer_count) {
  const Result<MappedFile> file =
      MappedFile::Open(TestDataPath("golden/" + model + "/golden.safetensors"));
  THRESHER_CHECK(file.ok());
  const auto bytes = file->bytes();
  const auto file_bytes = static_cast<int64_t>(bytes.size());
  const Result<int64_t> data_begin = SafetensorsDataBegin(bytes.first(8), file_bytes);
  THRESHER_CHECK(data_begin.ok());
  const Result<SafetensorsHeader> header =
      ParseSafetensorsHeader(bytes.first(static_cast<size_t>(*data_begin)), file_bytes);
  THRESHER_CHECK(header.ok());

  std::map<int, GoldenSequence> sequences;
  for (const TensorEntry& tensor : header->tensors) {
    GoldenSequence& sequence = sequences[std::stoi(tensor.name.substr(3))];
    const std::byte* data = bytes.data() + tensor.begin;
    const auto data_bytes = static_cast<size_t>(tensor.end - tensor.begin);
    if (tensor.dtype == DType::kI64) {
      std::vector<int64_t> ids(data_bytes / sizeof(int64_t));
      std::memcpy(ids.data(), data, data_bytes);
      sequence.token_ids.assign(ids.begin(), ids.end());
    } else {
      THRESHER_CHECK(tensor.dtype == DType::kF32);
      std::vector<float> values(data_bytes / sizeof(float));
      std::memcpy(values.data(), data, data_bytes);
      sequence.values[GoldenHook(tensor.name, layer_count)].assign(values.begin(), values.end());
    }
  }
  return sequences;
}

// sqrt(sum (found - expected)^2 / sum expected^2); infinite if the sizes differ.
inline double RelativeL2(const std::vector<double>& expected, const std::vector<double>& found) {
  if (expected.size() != found.size()) return INFINITY;
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (found[i] - expected[i]) * (found[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace thresher

#endif  // THRESHER_MODEL_GOLDEN_FOR_TEST_H_
