#ifndef THRESHER_MONITOR_RUN_COST_H_
#define THRESHER_MONITOR_RUN_COST_H_

#include <optional>
#include <string>

namespace thresher {

// What a worker's hour and the stored bytes cost, where that is known.
struct RunPrices {
  std::string machine;  // "tpu-v5e, spot"
  std::string currency;
  std::string as_of;  // "2025-06"
  double per_machine_hour = 0;
  std::optional<double> per_gb_month = std::nullopt;  // of storage, 10^9 bytes
};

}  // namespace thresher

#endif  // THRESHER_MONITOR_RUN_COST_H_
