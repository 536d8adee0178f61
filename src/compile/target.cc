#include "compile/target.h"

#include <fmt/format.h>

#include "base/json.h"

namespace thresher {

Result<CompileTarget> ParseCompileTarget(std::string_view text) {
  constexpr std::string_view kTpu = "tpu:";
  const Status error = InvalidArgument(fmt::format(
      "--target: expected tpu:CHIP:TOPOLOGY, such as tpu:v4:2x2x1, tpu:v5e:2x2, tpu:v5p:2x2x1 or "
      "tpu:v6e:2x2, found {}",
      Quoted(text)));
  if (!text.starts_with(kTpu)) return error;
  const std::string_view topology = text.substr(kTpu.size());
  const size_t colon = topology.find(':');
  if (colon == topology.npos || colon + 1 == topology.size()) return error;
  const Result<Chip> chip = FindChip(topology.substr(0, colon));
  if (!chip.ok() || !chip->name.starts_with('v')) return error;
  return CompileTarget{.plugin = "tpu", .topology = std::string(topology), .chip = *chip};
}

}  // namespace thresher
