#ifndef THRESHER_FORECAST_PRICES_H_
#define THRESHER_FORECAST_PRICES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "roofline/chip.h"

namespace thresher {

// Where a price is from, and from when.
struct PriceOrigin {
  std::string as_of;  // "2025-06"
  std::string source;
};

// One worker of a kind; deploy/prices.toml says what the fields mean.
struct MachinePrice {
  std::string name;
  std::string description;
  std::optional<Chip> chip;  // of an accelerator that the table of chips knows
  double peak_tflops = 0;    // the chip's, if there is one
  double efficiency = 0;     // above 0, at most 1
  double upload_gb_per_second = 0;
  double on_demand_per_hour = 0;
  std::optional<double> spot_per_hour;
  PriceOrigin origin;
};

struct StoragePrice {
  std::string name;
  std::string scheme;  // "gs"
  double per_gb_month = 0;
  PriceOrigin origin;
};

struct EgressPrice {
  std::string name;
  std::string scheme;
  double per_gb = 0;
  PriceOrigin origin;
};

// What machines, storage and traffic cost. Value type.
struct PriceList {
  std::string path;  // for people: where it was read from
  std::string currency;
  std::vector<MachinePrice> machines;
  std::vector<StoragePrice> storage;
  std::vector<EgressPrice> egress;

  // kInvalidArgument, with the names that there are, if there is no such machine.
  Result<MachinePrice> FindMachine(std::string_view name) const;
};

// A larger file is refused.
inline constexpr size_t kMaxPriceFileBytes = size_t{1} << 20;

// Reads deploy/prices.toml or a file like it. kInvalidArgument, with "path:line:column: " and the
// key: TOML that is not valid, keys that are not known or missing, values of another type or out of
// range, two machines with one name. Pure.
Result<PriceList> ParsePrices(std::string_view text, const std::string& path);

// The same from the file itself.
Result<PriceList> ReadPrices(const std::string& path);

// deploy/prices.toml as it was when the program was built.
std::string_view BuiltInPrices();

}  // namespace thresher

#endif  // THRESHER_FORECAST_PRICES_H_
