#ifndef THRESHER_ROOFLINE_CHIP_H_
#define THRESHER_ROOFLINE_CHIP_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

// What the maker of an accelerator publishes of one chip. The only place where such figures stand.
struct Chip {
  std::string name;         // "v5e", "h100"
  std::string description;  // "Google TPU v5e"
  double peak_flops = 0;    // dense bf16 products with f32 sums, FLOP/s
  double memory_bytes = 0;
  double memory_bytes_per_second = 0;
  // All links to other chips together, out of this chip; 0: not known here, and not counted.
  double link_bytes_per_second = 0;
  std::string source;
  std::string as_of;  // "2025-06": when the figures were read
};

const std::vector<Chip>& ChipTable();

// kInvalidArgument, with the names that there are, if there is no such chip.
Result<Chip> FindChip(std::string_view name);

// The chip of a device that calls itself so ("NVIDIA H100 80GB HBM3", "TPU v5 lite"), as PJRT
// plug-ins give the kind; nothing if the table has no figures for it.
std::optional<Chip> ChipOfDevice(std::string_view kind);

// The least time that a chip needs for some work, by the roofline model (Williams, Waterman and
// Patterson 2009): computing, memory traffic and traffic between chips overlap wholly, and the
// slowest of them decides.
struct Roofline {
  double compute_seconds = 0;
  double memory_seconds = 0;
  double link_seconds = 0;

  double seconds() const;
  // "compute", "memory" or "links": what decides.
  std::string_view bound() const;
  // How many times longer computing takes than the slowest of the others; above 1: compute-bound.
  double compute_margin() const;
};

// FLOPs and bytes of one chip's part of the work.
struct ChipWork {
  double flops = 0;
  double memory_bytes = 0;
  double link_bytes = 0;
};

Roofline RooflineOf(const Chip& chip, const ChipWork& work);

}  // namespace thresher

#endif  // THRESHER_ROOFLINE_CHIP_H_
