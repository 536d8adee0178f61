#include "sample/settings_resolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "arc/grid_encoder_spec.h"
#include "sample/augment_setting.h"
#include "sample/prompt_template.h"

namespace thresher {
namespace {

constexpr std::string_view kNoChange = "none";

// Whether the first record that can be used is an ARC task.
Result<bool> IsArcDataset(const Dataset& dataset, const ContentOptions& options) {
  constexpr int64_t kMostRecords = 1000;
  const int64_t count = std::min(dataset.record_count(), kMostRecords);
  for (int64_t index = 0; index < count; ++index) {
    ASSIGN_OR_RETURN(const Records records, dataset.Read(index, 1));
    const Result<RecordContent> content = ReadContent(records[0], options);
    if (content.ok()) return content->IsArc();
  }
  return false;
}

Status CheckNotArc(const SampleSettings& settings) {
  if (settings.variants > 1) {
    return InvalidArgument(
        fmt::format("--variants {}: only ARC tasks have variants, and the data set's first record "
                    "that can be used is none; expected 1",
                    settings.variants));
  }
  if (settings.augment.empty() || settings.augment == kNoChange) return OkStatus();
  return InvalidArgument(
      fmt::format("--augment {}: only ARC tasks can be changed, and the data set's first record "
                  "that can be used is none; expected none",
                  settings.augment));
}

// Variants that nothing tells apart would be the same sample again and again.
Status CheckVariantsDiffer(const SampleSettings& settings, std::string_view text) {
  if (settings.variants <= 1 || settings.augment != kNoChange) return OkStatus();
  if (PromptUses(text, "candidates") || PromptUses(text, "right") || PromptUses(text, "variant")) {
    return OkStatus();
  }
  return InvalidArgument(
      fmt::format("--variants {}: with --augment none they would all be the same; expected 1, or "
                  "another --augment",
                  settings.variants));
}

// The text of the template that the settings name.
Result<std::string_view> TemplateText(const SampleSettings& settings) {
  if (!settings.prompt_template.empty()) return std::string_view(settings.prompt_template);
  return BuiltInPromptText(settings.prompt);
}

}  // namespace

Result<SampleSettings> ResolveSettings(const Dataset& dataset, const SampleSettings& settings,
                                       const ContentOptions& options) {
  SampleSettings resolved = settings;
  Result<std::unique_ptr<GridEncoder>> encoder = ParseGridEncoder(settings.grid_encoder);
  if (!encoder.ok()) return encoder.status().WithContext("--grid-encoder");
  resolved.grid_encoder = (*encoder)->Spec();
  if (!settings.augment.empty()) {
    ASSIGN_OR_RETURN(const AugmentationOptions augmentation, ParseAugmentSetting(settings.augment));
    resolved.augment = AugmentSetting(augmentation);
  }
  ASSIGN_OR_RETURN(const std::string_view text, TemplateText(settings));
  // Nothing to find out.
  if (resolved.variants == 1 && (resolved.augment.empty() || resolved.augment == kNoChange)) {
    resolved.augment = kNoChange;
    return resolved;
  }
  ASSIGN_OR_RETURN(const bool is_arc, IsArcDataset(dataset, options));
  if (!is_arc) {
    RETURN_IF_ERROR(CheckNotArc(resolved));
    resolved.variants = 1;
    resolved.augment = kNoChange;
    return resolved;
  }
  if (resolved.variants == 0) {
    resolved.variants = resolved.augment == kNoChange ? 1 : kDefaultArcVariants;
  }
  if (resolved.augment.empty()) {
    resolved.augment = PromptUses(text, "code") ? "order" : "flip,rotate,colors,order";
  }
  RETURN_IF_ERROR(CheckVariantsDiffer(resolved, text));
  return resolved;
}

}  // namespace thresher
