#include "sample/settings_check.h"

#include <fmt/format.h>

#include "base/json.h"
#include "dataset/dataset_options.h"
#include "dataset/record_scanner.h"
#include "sample/arc_prompter.h"
#include "sample/prompt_end.h"
#include "sample/token_selection.h"

namespace thresher {
namespace {

Status CheckOverlong(const SampleSettings& settings) {
  const std::string& overlong = settings.overlong;
  if (overlong != "truncate" && overlong != "reject" && overlong != "split") {
    return InvalidArgument("--overlong: expected truncate, reject or split, found " +
                           Quoted(overlong));
  }
  if (settings.overlap < 0) {
    return InvalidArgument(
        fmt::format("--overlap: expected a number from 0, found {}", settings.overlap));
  }
  if (settings.overlap == 0 || overlong == "split") return OkStatus();
  return InvalidArgument(
      fmt::format("--overlap {}: only the sequences of a split sample overlap; give --overlong "
                  "split too",
                  settings.overlap));
}

}  // namespace

Status CheckSampleSettings(const SampleSettings& settings) {
  constexpr int64_t kMostVariants = 1'000'000;
  RETURN_IF_ERROR(CheckOverlong(settings));
  RETURN_IF_ERROR(TextRules::Parse(settings.documents, DatasetOptions().document_piece_bytes)
                      .status()
                      .WithContext("--documents"));
  if (settings.variants < 0 || settings.variants > kMostVariants) {
    return InvalidArgument(fmt::format("--variants: expected a number from 1 to {}, found {}",
                                       kMostVariants, settings.variants));
  }
  RETURN_IF_ERROR(ParsePromptEnd(settings.prompt_end).status());
  RETURN_IF_ERROR(ParseTokenSelection(settings.tokens, settings.exclude_tokens).status());
  SampleSettings prompt = settings;
  if (prompt.augment.empty()) prompt.augment = "none";
  return ArcPrompter::Create(prompt).status();
}

}  // namespace thresher
