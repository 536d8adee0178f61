#ifndef THRESHER_CLI_RUN_PRICES_H_
#define THRESHER_CLI_RUN_PRICES_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "monitor/run_cost.h"

namespace thresher {

// What machines of a run cost, as the user says it: for `thresher status` and `dashboard`.
struct PriceFlags {
  std::string machine;  // empty: not known
  std::string prices;   // a file; empty: the built-in list
  bool spot = false;

  void AddTo(CLI::App& command);

  // The prices for a run at `url`; nothing without --machine. kInvalidArgument, naming the flag.
  Result<std::optional<RunPrices>> Find(const std::string& url) const;
};

}  // namespace thresher

#endif  // THRESHER_CLI_RUN_PRICES_H_
