#ifndef THRESHER_CLI_SAMPLE_FLAGS_H_
#define THRESHER_CLI_SAMPLE_FLAGS_H_

#include "sample/sample_settings.h"
#include "settings/settings.h"

namespace thresher {

// Sample settings of which nothing was given: what depends on the model (max_tokens 0) and on the
// data (variants 0, an empty augment) is found out when they are opened.
SampleSettings UnsetSampleSettings();

// Registers a setting for each field of SampleSettings, in the groups Data, Prompts and Tokens.
// `target` must outlive `settings`.
void RegisterSampleSettings(Settings& settings, SampleSettings& target);

}  // namespace thresher

#endif  // THRESHER_CLI_SAMPLE_FLAGS_H_
