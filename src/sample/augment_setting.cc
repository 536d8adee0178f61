#include "sample/augment_setting.h"

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace thresher {
namespace {

constexpr std::pair<std::string_view, bool AugmentationOptions::*> kKinds[] = {
    {"flip", &AugmentationOptions::flip},     {"rotate", &AugmentationOptions::rotate},
    {"colors", &AugmentationOptions::colors}, {"order", &AugmentationOptions::order},
    {"swap", &AugmentationOptions::swap},
};

}  // namespace

Result<AugmentationOptions> ParseAugmentSetting(std::string_view setting) {
  AugmentationOptions options;
  if (setting == "none") return options;
  for (size_t begin = 0; begin <= setting.size();) {
    const size_t end = std::min(setting.find(',', begin), setting.size());
    const std::string_view name = setting.substr(begin, end - begin);
    const auto* kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                    [&](const auto& known) { return known.first == name; });
    if (kind == std::end(kKinds)) {
      return InvalidArgument(
          "--augment: expected none, or a list of flip, rotate, colors, order and swap with commas "
          "between, found " +
          Quoted(setting));
    }
    options.*kind->second = true;
    begin = end + 1;
  }
  return options;
}

std::string AugmentSetting(const AugmentationOptions& options) {
  std::string setting;
  for (const auto& [name, option] : kKinds) {
    if (!(options.*option)) continue;
    if (!setting.empty()) setting += ",";
    setting += name;
  }
  return setting.empty() ? "none" : setting;
}

}  // namespace thresher
