#ifndef THRESHER_CLI_STATUS_TEXT_H_
#define THRESHER_CLI_STATUS_TEXT_H_

#include <optional>
#include <span>
#include <string>

#include "monitor/alerts.h"
#include "monitor/run_cost.h"
#include "monitor/run_status.h"

namespace thresher {

// The state of a run as one screen for people. `all`: every worker and every problem that is known,
// however many lines that takes.
std::string StatusText(const RunStatus& status, std::span<const Alert> alerts,
                       const std::optional<RunPrices>& prices, bool all);

}  // namespace thresher

#endif  // THRESHER_CLI_STATUS_TEXT_H_
