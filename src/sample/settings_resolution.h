#ifndef THRESHER_SAMPLE_SETTINGS_RESOLUTION_H_
#define THRESHER_SAMPLE_SETTINGS_RESOLUTION_H_

#include <cstdint>

#include "base/result.h"
#include "dataset/dataset.h"
#include "sample/record_content.h"
#include "sample/sample_settings.h"

namespace thresher {

inline constexpr int64_t kDefaultArcVariants = 8;

// The settings with what depends on the data: `variants` 0 and an empty `augment` stand for "not
// given". What the records are is told by the first one that can be used, of the first thousand.
//
//   ARC tasks      8 variants with flip, rotate, colors and order; with only order if the prompt
//                  shows a program, which would not fit changed grids. One variant, or augment
//                  "none", is the task as it is: each implies the other unless both are given.
//                  Several variants that would all be the same are kInvalidArgument.
//   anything else  1 variant, none; other values are kInvalidArgument.
//
// Settings that mean the same come out equal: `augment` and `grid_encoder` in one form. Resolved
// settings stay as they are. They must have passed CheckSampleSettings. An error otherwise means
// that the data set cannot be read.
Result<SampleSettings> ResolveSettings(const Dataset& dataset, const SampleSettings& settings,
                                       const ContentOptions& options);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_SETTINGS_RESOLUTION_H_
