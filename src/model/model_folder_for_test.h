#ifndef THRESHER_MODEL_MODEL_FOLDER_FOR_TEST_H_
#define THRESHER_MODEL_MODEL_FOLDER_FOR_TEST_H_

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "model/golden_for_test.h"
#include "shard/safetensors.h"

namespace thresher {

// A folder of its own for one test, removed at the end: for models that are wrong in some way.
class ModelFolder {
 public:
  ModelFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "model-XXXXXX").string();
    THRESHER_CHECK(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  // A copy of tests/data/golden/MODEL.
  explicit ModelFolder(const std::string& model) : ModelFolder() {
    std::filesystem::copy(TestDataPath("golden/" + model), path_);
  }
  ModelFolder(const ModelFolder&) = delete;
  ModelFolder& operator=(const ModelFolder&) = delete;
  ~ModelFolder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }

  std::string Read(const std::string& name) const {
    std::ifstream in(PathOf(name), std::ios::binary);
    THRESHER_CHECK(in.good());
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream out(PathOf(name), std::ios::binary);
    out << bytes;
    THRESHER_CHECK(out.good());
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

 private:
  std::string path_;
};

}  // namespace thresher

#endif  // THRESHER_MODEL_MODEL_FOLDER_FOR_TEST_H_
