#include "model/architecture.h"

#include <fmt/format.h>

#include <array>

#include "base/json.h"

namespace thresher {
namespace {

constexpr std::array<const Architecture*, 3> kArchitectures = {&kQwen2, &kLlama, &kMistral};

std::string Supported() {
  std::string text;
  for (const Architecture* architecture : kArchitectures) {
    text += fmt::format("{}{} (model_type {})", text.empty() ? "" : ", ", architecture->name,
                        architecture->model_type);
  }
  return text;
}

}  // namespace

Result<const Architecture*> FindArchitecture(const nlohmann::json& config) {
  ASSIGN_OR_RETURN(const std::string model_type, StringField(config, "model_type", ""));
  std::string name;
  if (HasField(config, "architectures")) {
    const nlohmann::json& names = config.at("architectures");
    if (!names.is_array() || names.size() != 1 || !names[0].is_string()) {
      return FieldError(config, "architectures", "an array of one string");
    }
    name = names[0].get<std::string>();
  }
  if (name.empty() && model_type.empty()) {
    return FieldError(config, "architectures", "one of " + Supported());
  }
  for (const Architecture* architecture : kArchitectures) {
    const bool name_fits = name.empty() || name == architecture->name;
    const bool type_fits = model_type.empty() || model_type == architecture->model_type;
    if (name_fits && type_fits) return architecture;
  }
  return InvalidArgument(
      fmt::format("architecture {} with model_type {} is not supported: expected one of {}",
                  Quoted(name), Quoted(model_type), Supported()));
}

}  // namespace thresher
