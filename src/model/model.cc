#include "model/model.h"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/mapped_file.h"
#include "model/architecture.h"
#include "model/config.h"

namespace thresher {
namespace {

struct ParsedConfig {
  const Architecture* architecture;
  ModelConfig config;
};

Result<ParsedConfig> ParseConfig(std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json fields, ParseJson(text));
  if (!fields.is_object()) {
    return InvalidArgument(fmt::format("expected a JSON object, found {}", DescribeJson(&fields)));
  }
  ASSIGN_OR_RETURN(const Architecture* architecture, FindArchitecture(fields));
  ASSIGN_OR_RETURN(ModelConfig config, architecture->read_config(fields));
  return ParsedConfig{architecture, std::move(config)};
}

Result<ParsedConfig> ReadConfigFile(const std::string& path) {
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  Result<ParsedConfig> parsed = ParseConfig(text);
  if (!parsed.ok()) return parsed.status().WithContext(path);
  return parsed;
}

// The first parameter that the weights do not have as the graph needs it, and how many more.
Status CheckParameters(const Graph& graph, const Weights& weights) {
  Status first;
  int problems = 0;
  for (const Parameter& parameter : graph.parameters()) {
    const Status status = weights.Find(parameter.name, parameter.shape).status();
    if (status.ok()) continue;
    if (problems++ == 0) first = status;
  }
  if (problems <= 1) return first;
  return Status(first.code(), fmt::format("{} (and {} more tensors that do not fit config.json)",
                                          first.message(), problems - 1));
}

}  // namespace

Result<Model> LoadModel(const std::string& directory) {
  const std::string path = (std::filesystem::path(directory) / "config.json").string();
  ASSIGN_OR_RETURN(const ParsedConfig parsed, ReadConfigFile(path));
  ASSIGN_OR_RETURN(Weights weights, Weights::Open(directory));
  const ModelConfig& config = parsed.config;
  Graph graph = parsed.architecture->build_graph(config);
  RETURN_IF_ERROR(CheckParameters(graph, weights));
  return Model{
      .directory = directory,
      .architecture = parsed.architecture->name,
      .layer_count = config.layer_count,
      .hidden_size = config.hidden_size,
      .vocabulary_size = config.vocabulary_size,
      .max_positions = config.max_positions,
      .config_fingerprint = config.Fingerprint(parsed.architecture->name),
      .graph = std::move(graph),
      .weights = std::move(weights),
  };
}

}  // namespace thresher
