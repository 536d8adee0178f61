// Model folders that are broken, hostile, or of something else.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "bad_input.h"
#include "extraction.h"
#include "model/model_folder_for_test.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

class BadModelTest : public BadInputTest {
 protected:
  std::string Weights() const { return model_.PathOf("model.safetensors"); }

  // Replaces the header of model.safetensors by `edit` of it, the data left as they are.
  void EditHeader(const std::function<std::string(std::string)>& edit) const {
    const std::string bytes = model_.Read("model.safetensors");
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    const std::string header = edit(bytes.substr(8, length));
    length = header.size();
    const std::string field(reinterpret_cast<const char*>(&length), sizeof(length));
    model_.Write("model.safetensors",
                 field + header + bytes.substr(8 + bytes.size() - DataBytes(bytes) - 8));
  }

 private:
  static size_t DataBytes(const std::string& bytes) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    return bytes.size() - 8 - length;
  }
};

constexpr const char* kTensor = "model.layers.1.mlp.up_proj.weight";

TEST_F(BadModelTest, ModelFolderIsMissing) {
  ExpectRefused(Extraction{folder_.path() + "/nothing", Dataset(), Output()}.Run(),
                {"there is no model folder " + folder_.path() + "/nothing"});
  ExpectRefused(Extraction{folder_.path(), Dataset(), Output()}.Run(),
                {folder_.path() + ": there is no config.json in this folder"});
}

TEST_F(BadModelTest, WeightsAreMissing) {
  model_.Remove("model.safetensors");
  ExpectRefused(Run(), {model_.path(), "model.safetensors"});
}

TEST_F(BadModelTest, WeightsAreTruncated) {
  const std::string bytes = model_.Read("model.safetensors");
  for (const size_t size :
       {size_t{0}, size_t{5}, size_t{8}, size_t{500}, bytes.size() / 2, bytes.size() - 1}) {
    SCOPED_TRACE(size);
    model_.Write("model.safetensors", bytes.substr(0, size));
    ExpectRefused(Run(), {Weights()});
  }
  model_.Write("model.safetensors", bytes + "x");
  ExpectRefused(Run(), {Weights()});
}

TEST_F(BadModelTest, HeaderLengthIsHuge) {
  std::string bytes = model_.Read("model.safetensors");
  for (const uint64_t length : {uint64_t{200'000'000}, uint64_t{1} << 40, ~uint64_t{0},
                                ~uint64_t{0} >> 1, uint64_t{bytes.size()}}) {
    std::memcpy(bytes.data(), &length, sizeof(length));
    model_.Write("model.safetensors", bytes);
    ExpectRefused(Run(), {Weights()});
  }
}

TEST_F(BadModelTest, HeadersThatLie) {
  const std::string good = model_.Read("model.safetensors");
  const auto with = [&](const std::string& what, const std::function<void(Json&)>& change,
                        const Texts& parts) {
    SCOPED_TRACE(what);
    model_.Write("model.safetensors", good);
    EditHeader([&](const std::string& header) {
      Json json = Json::parse(header);
      change(json);
      return json.dump();
    });
    Texts all = parts;
    all.push_back(Weights());
    ExpectRefused(Run(), all);
  };
  const auto offsets = [](Json& json) -> Json& { return json[kTensor]["data_offsets"]; };
  with("a tensor is not there", [](Json& json) { json.erase(kTensor); }, {});
  with("hole", [&](Json& json) { offsets(json)[0] = offsets(json)[0].get<int64_t>() + 2; },
       {kTensor});
  with("overlap", [&](Json& json) { offsets(json)[0] = offsets(json)[0].get<int64_t>() - 2; },
       {kTensor});
  with("end before begin", [&](Json& json) { std::swap(offsets(json)[0], offsets(json)[1]); },
       {kTensor});
  with("beyond the file", [&](Json& json) { offsets(json)[1] = int64_t{1} << 50; }, {kTensor});
  with("negative offset", [&](Json& json) { offsets(json)[0] = -8; }, {kTensor});
  with("shape that overflows",
       [](Json& json) {
         json[kTensor]["shape"] = {int64_t{1} << 40, int64_t{1} << 40};
       },
       {kTensor});
  with("negative shape", [](Json& json) { json[kTensor]["shape"] = {-64, -96}; }, {kTensor});
  with("shape is no list", [](Json& json) { json[kTensor]["shape"] = "96"; }, {kTensor});
  with("dtype of another width", [](Json& json) { json[kTensor]["dtype"] = "F32"; },
       {kTensor, "F32"});
  with("integers as weights", [](Json& json) { json[kTensor]["dtype"] = "I16"; }, {kTensor, "I16"});
  with("turned shape",
       [](Json& json) {
         Json& shape = json[kTensor]["shape"];
         std::swap(shape[0], shape[1]);
       },
       {kTensor, "96", "64"});
  with("another name",
       [](Json& json) {
         json["model.layers.1.mlp.upp_proj.weight"] = json[kTensor];
         json.erase(kTensor);
       },
       {kTensor});
}

TEST_F(BadModelTest, HeadersThatAreNotAnObjectOfTensors) {
  const std::string good = model_.Read("model.safetensors");
  const auto with = [&](const std::function<std::string(std::string)>& edit) {
    model_.Write("model.safetensors", good);
    EditHeader(edit);
    ExpectRefused(Run(), {Weights()});
  };
  with([](const std::string&) { return std::string("[]"); });
  with([](const std::string&) { return std::string("{}"); });
  with([](const std::string&) { return std::string(5000, '{'); });
  with([](const std::string&) { return std::string(50'000, '['); });
  with([](const std::string&) { return std::string("{\"a\": \xff\xfe}"); });
  with([](const std::string& header) { return header.substr(0, header.size() / 2); });
  with([](const std::string& header) { return " " + header; });
  // The same tensor twice.
  with([](const std::string& header) {
    const Json tensor = Json::parse(header).at(kTensor);
    return fmt::format("{{\"{}\": {}, {}", kTensor, tensor.dump(), header.substr(1));
  });
}

TEST_F(BadModelTest, IndexedWeights) {
  const ModelFolder sharded("llama3rope");
  const std::string index = "model.safetensors.index.json";
  const auto refused = [&](const Texts& parts) {
    ExpectRefused(Extraction{sharded.path(), Dataset(), Output()}.Run(), parts);
  };
  const std::string good = sharded.Read(index);
  sharded.Write(index, good.substr(0, good.size() / 2));
  refused({sharded.PathOf(index)});
  sharded.Write(index, "{\"weight_map\": {\"a\": \"../../../../etc/passwd\"}}");
  refused({sharded.PathOf(index)});
  sharded.Write(index, "{\"weight_map\": 5}");
  refused({sharded.PathOf(index), "weight_map"});
  sharded.Write(index, good);
  sharded.Remove("model-00003-of-00004.safetensors");
  refused({"model-00003-of-00004.safetensors"});
}

// --- config.json ---

TEST_F(BadModelTest, ConfigThatIsNotJson) {
  for (const char* text : {"", "{", "null", "[]", "\"text\"", "{\"hidden_size\": 1e999}", "\xff"}) {
    model_.Write("config.json", text);
    ExpectRefused(Run(), {model_.PathOf("config.json")});
  }
}

TEST_F(BadModelTest, AbsurdNumbersInConfig) {
  const std::string good = model_.Read("config.json");
  const std::vector<std::pair<std::string, Json>> patches = {
      {"hidden_size", 0},
      {"hidden_size", -64},
      {"hidden_size", int64_t{1} << 62},
      {"hidden_size", "64"},
      {"hidden_size", 64.5},
      {"hidden_size", Json()},
      {"num_hidden_layers", 0},
      {"num_hidden_layers", 1'000'000'000},
      {"num_attention_heads", 0},
      {"num_attention_heads", 7},
      {"num_key_value_heads", 3},
      {"intermediate_size", 1e300},
      {"vocab_size", -1},
      {"vocab_size", int64_t{1} << 50},
      {"rms_norm_eps", -1},
      {"rms_norm_eps", "small"},
      {"rope_theta", 0},
      {"max_position_embeddings", 0},
      {"hidden_act", "relu"},
      {"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}}};
  for (const auto& [field, value] : patches) {
    SCOPED_TRACE(field + " = " + value.dump());
    model_.Write("config.json", good);
    Json json = Json::parse(good);
    json[field] = value;
    model_.Write("config.json", json.dump());
    ExpectRefused(Run(), {model_.PathOf("config.json"), field == "rope_scaling" ? "yarn" : field});
  }
}

TEST_F(BadModelTest, UnknownArchitecture) {
  model_.PatchJson("config.json",
                   {{"architectures", {"MambaForCausalLM"}}, {"model_type", "mamba"}});
  ExpectRefused(Run(), {model_.PathOf("config.json"), "MambaForCausalLM", "Qwen2ForCausalLM",
                        "LlamaForCausalLM"});
}

TEST_F(BadModelTest, ConfigOfAnotherSize) {
  model_.PatchJson("config.json", {{"intermediate_size", 128}});
  ExpectRefused(Run(), {Weights(), "mlp", "128", "96"});
}

TEST_F(BadModelTest, BrokenTokenizer) {
  model_.Write("tokenizer.json", "{\"version\": \"1.0\", \"model\": ");
  ExpectRefused(Run(), {model_.PathOf("tokenizer.json")});
}

}  // namespace
}  // namespace thresher
