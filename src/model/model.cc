#include "model/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/json.h"
#include "base/mapped_file.h"
#include "model/architecture.h"
#include "model/config.h"

namespace thresher {
namespace {

constexpr const char* kConfigName = "config.json";

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

// What to say of a model's folder without config.json: perhaps the folder above it was given.
Status NoConfig(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(directory, error);
  if (!fs::exists(status)) {
    const size_t slash = directory.find_first_of(".~/");
    const bool may_be_of_hub = slash > 0 && slash + 1 < directory.size() &&
                               directory[slash] == '/' && std::ranges::count(directory, '/') == 1;
    return NotFound(
        fmt::format("there is no model folder {}{}", directory,
                    may_be_of_hub ? "; for that of the hub write hf://" + directory : ""));
  }
  if (!fs::is_directory(status)) {
    return NotFound(fmt::format("{} is a file; give the folder that it is in", directory));
  }
  std::vector<std::string> models;
  for (fs::directory_iterator entry(directory, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::error_code unreadable;
    if (fs::exists(entry->path() / kConfigName, unreadable)) {
      models.push_back(entry->path().filename().string());
    }
  }
  std::ranges::sort(models);
  return NotFound(fmt::format("{}: there is no config.json in this folder{}{}", directory,
                              models.empty() ? "" : "; models lie in its folders ",
                              fmt::join(models, ", ")));
}

}  // namespace

Result<ModelOutline> ParseModelOutline(std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json fields, ParseJson(text));
  if (!fields.is_object()) {
    return InvalidArgument(fmt::format("expected a JSON object, found {}", DescribeJson(&fields)));
  }
  ASSIGN_OR_RETURN(const Architecture* architecture, FindArchitecture(fields));
  ASSIGN_OR_RETURN(const ModelConfig config, architecture->read_config(fields));
  return ModelOutline{.architecture = architecture->name,
                      .layer_count = config.layer_count,
                      .hidden_size = config.hidden_size,
                      .vocabulary_size = config.vocabulary_size,
                      .max_positions = config.max_positions,
                      .config_fingerprint = config.Fingerprint(architecture->name),
                      .graph = architecture->build_graph(config)};
}

Result<ModelOutline> ReadModelOutline(const std::string& directory) {
  const std::string path = (std::filesystem::path(directory) / kConfigName).string();
  const Result<MappedFile> file = MappedFile::Open(path);
  std::error_code error;
  if (!file.ok() && !std::filesystem::exists(path, error)) return NoConfig(directory);
  RETURN_IF_ERROR(file.status());
  Result<ModelOutline> outline = ParseModelOutline(
      {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()});
  if (!outline.ok()) return outline.status().WithContext(path);
  return outline;
}

Result<Model> LoadModel(const std::string& directory) {
  ASSIGN_OR_RETURN(ModelOutline outline, ReadModelOutline(directory));
  ASSIGN_OR_RETURN(Weights weights, Weights::Open(directory));
  RETURN_IF_ERROR(CheckParameters(outline.graph, weights));
  return Model{std::move(outline), directory, std::move(weights)};
}

}  // namespace thresher
