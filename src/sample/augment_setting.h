#ifndef THRESHER_SAMPLE_AUGMENT_SETTING_H_
#define THRESHER_SAMPLE_AUGMENT_SETTING_H_

#include <string>
#include <string_view>

#include "arc/augmentation.h"
#include "base/result.h"

namespace thresher {

// Reads the setting --augment: "none", or a list of flip, rotate, colors, order, swap with commas
// between. kInvalidArgument names the flag.
Result<AugmentationOptions> ParseAugmentSetting(std::string_view setting);

// The setting that ParseAugmentSetting makes these options of, in the order above.
std::string AugmentSetting(const AugmentationOptions& options);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_AUGMENT_SETTING_H_
