#ifndef THRESHER_FORECAST_SUGGESTIONS_H_
#define THRESHER_FORECAST_SUGGESTIONS_H_

#include <vector>

#include "base/result.h"
#include "forecast/forecast.h"

namespace thresher {

// Changes of the settings that make a run smaller, each with what would then be stored: fewer
// layers, fewer hook points, fewer tokens, fewer samples, a smaller dtype, and several of these
// together. Only what these settings do not have already.
Result<std::vector<Suggestion>> MakeSuggestions(const ForecastInputs& inputs);

}  // namespace thresher

#endif  // THRESHER_FORECAST_SUGGESTIONS_H_
