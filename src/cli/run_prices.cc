#include "cli/run_prices.h"

#include "forecast/prices.h"

namespace thresher {

void PriceFlags::AddTo(CLI::App& command) {
  command.add_option("--machine", machine,
                     "What a worker runs on, from the price list: to say what the run has cost");
  command.add_flag("--spot", spot, "Its pre-emptible price");
  command.add_option("--prices", prices,
                     "Price list to use [built in: thresher plan --show-prices]");
}

Result<std::optional<RunPrices>> PriceFlags::Find(const std::string& url) const {
  if (machine.empty()) {
    if (spot || !prices.empty()) return InvalidArgument("--spot and --prices: give --machine, too");
    return std::optional<RunPrices>();
  }
  ASSIGN_OR_RETURN(const PriceList list, prices.empty()
                                             ? ParsePrices(BuiltInPrices(), "the built-in prices")
                                             : ReadPrices(prices));
  ASSIGN_OR_RETURN(const MachinePrice price, list.FindMachine(machine));
  if (spot && !price.spot_per_hour) {
    return InvalidArgument("--spot: " + machine + " has no pre-emptible price in " + list.path);
  }
  RunPrices found{.machine = machine + (spot ? ", spot" : ""),
                  .currency = list.currency,
                  .as_of = price.origin.as_of,
                  .per_machine_hour = spot ? *price.spot_per_hour : price.on_demand_per_hour};
  for (const StoragePrice& storage : list.storage) {
    if (!found.per_gb_month && url.starts_with(storage.scheme + "://")) {
      found.per_gb_month = storage.per_gb_month;
    }
  }
  return std::optional(found);
}

}  // namespace thresher
