#ifndef THRESHER_TESTS_DASHBOARD_PROCESS_H_
#define THRESHER_TESTS_DASHBOARD_PROCESS_H_

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "process.h"

namespace thresher {

// Whatever happens in a run is to be seen on the dashboard within this time.
inline constexpr int64_t kSeenWithinMs = 15'000;

// The dashboard as a process of its own, at a port that it chose. Ends with this object.
class DashboardProcess {
 public:
  // `command`: thresher dashboard ...; its output goes to `log`. Returns when it listens.
  DashboardProcess(Command command, std::string log);

  const std::string& url() const { return url_; }  // "http://127.0.0.1:1234/"

  // What it answers; "" if it does not.
  std::string GetText(const std::string& target) const;

  // The run now; an empty object if it cannot be had.
  nlohmann::json Run() const;

  // Asks until `condition` holds of the run; what it was then. Prints how long that took. A failed
  // check if it does not hold in time.
  nlohmann::json WaitFor(const std::string& what,
                         const std::function<bool(const nlohmann::json&)>& condition,
                         int64_t limit_ms = kSeenWithinMs) const;

  ProcessResult Stop();

 private:
  std::string LogText() const;

  std::string log_;
  std::string url_;
  std::optional<Process> process_;
};

}  // namespace thresher

#endif  // THRESHER_TESTS_DASHBOARD_PROCESS_H_
