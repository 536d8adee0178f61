#ifndef THRESHER_MONITOR_STATUS_JSON_H_
#define THRESHER_MONITOR_STATUS_JSON_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "monitor/alerts.h"
#include "monitor/run_cost.h"
#include "monitor/run_status.h"

namespace thresher {

// What `thresher status --json` and the dashboard's /api/run say; docs/monitoring.md has the
// fields. Times are milliseconds, of the store's clock where they are points in time.
nlohmann::ordered_json StatusJson(const RunStatus& status, std::span<const Alert> alerts,
                                  const std::optional<RunPrices>& prices);

nlohmann::ordered_json AlertJson(const Alert& alert);

}  // namespace thresher

#endif  // THRESHER_MONITOR_STATUS_JSON_H_
