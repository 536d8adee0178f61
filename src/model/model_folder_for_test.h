#ifndef THRESHER_MODEL_MODEL_FOLDER_FOR_TEST_H_
#define THRESHER_MODEL_MODEL_FOLDER_FOR_TEST_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "model/golden_for_test.h"
#include "shard/safetensors.h"

namespace thresher {

// A folder for models that are wrong in some way.
class ModelFolder : public TemporaryFolder {
 public:
  ModelFolder() = default;

  // A copy of tests/data/golden/MODEL.
  explicit ModelFolder(const std::string& model) {
    std::filesystem::copy(TestDataPath("golden/" + model), path());
  }

  void Remove(const std::string& name) const { std::filesystem::remove(PathOf(name)); }

  // Merges `patch` into a JSON file (RFC 7396: null removes).
  void PatchJson(const std::string& name, const nlohmann::json& patch) const {
    nlohmann::json value = nlohmann::json::parse(Read(name));
    value.merge_patch(patch);
    Write(name, value.dump());
  }

  // Writes a safetensors file; each tensor's bytes repeat `fill`.
  void WriteTensors(const std::string& name, std::vector<TensorEntry> tensors, char fill) const {
    const std::string header = BuildSafetensorsHeader(tensors, {});
    const size_t end = tensors.empty() ? header.size() : static_cast<size_t>(tensors.back().end);
    Write(name, header + std::string(end - header.size(), fill));
  }
};

}  // namespace thresher

#endif  // THRESHER_MODEL_MODEL_FOLDER_FOR_TEST_H_
