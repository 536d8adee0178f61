#include "forecast/model_outline.h"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>

#include "base/json.h"
#include "base/mapped_file.h"
#include "model/architecture.h"
#include "model/config.h"

namespace thresher {
namespace {

Result<ModelOutline> ParseOutline(std::string_view text) {
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
                      .graph = architecture->build_graph(config)};
}

}  // namespace

Result<ModelOutline> ReadModelOutline(const std::string& directory) {
  const std::string path = (std::filesystem::path(directory) / "config.json").string();
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  Result<ModelOutline> outline =
      ParseOutline({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
  if (!outline.ok()) return outline.status().WithContext(path);
  return outline;
}

}  // namespace thresher
