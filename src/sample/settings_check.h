#ifndef THRESHER_SAMPLE_SETTINGS_CHECK_H_
#define THRESHER_SAMPLE_SETTINGS_CHECK_H_

#include "base/result.h"
#include "sample/sample_settings.h"

namespace thresher {

// Everything about the settings that can be told without a model and a data set. A prompt that is
// a file must have been loaded (LoadPromptFile). kInvalidArgument names the flag, what it takes and
// what was found.
Status CheckSampleSettings(const SampleSettings& settings);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_SETTINGS_CHECK_H_
