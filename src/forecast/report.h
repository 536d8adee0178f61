#ifndef THRESHER_FORECAST_REPORT_H_
#define THRESHER_FORECAST_REPORT_H_

#include <cstdint>
#include <string>

#include "forecast/forecast.h"
#include "sample/sample_settings.h"

namespace thresher {

// What a report says beside the figures.
struct ReportContext {
  std::string model;    // its folder
  std::string dataset;  // its address; empty: the figures are assumed
  int64_t record_count = 0;
  SampleSettings settings = {};  // as resolved
  std::string no_trial = {};     // why there was none, if there was none
};

// One screen for people.
std::string ForecastText(const ReportContext& context, const ForecastInputs& inputs,
                         const Forecast& forecast);

// One JSON object with every figure, in bytes, tokens, hours and the price list's currency; ends
// with a newline. A figure that was not taken is null.
std::string ForecastJson(const ReportContext& context, const ForecastInputs& inputs,
                         const Forecast& forecast);

}  // namespace thresher

#endif  // THRESHER_FORECAST_REPORT_H_
