#include "roofline/chip.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace thresher {
namespace {

constexpr double kTera = 1e12;
constexpr double kGiga = 1e9;
// Links of a chip together, one way, are published in Gbit/s.
constexpr double kGigabit = 1e9 / 8;

// Dense figures: NVIDIA's data sheets print twice as much, "with sparsity"; and links one way, half
// of what they print.
const char* const kTpuDocs = "https://cloud.google.com/tpu/docs/";
const char* const kNvidiaDocs = "https://www.nvidia.com/en-us/data-center/";

std::vector<Chip> MakeTable() {
  const auto tpu = [](const char* name, double tflops, double gb, double gb_per_second,
                      double gigabits) {
    return Chip{.name = name,
                .description = fmt::format("Google TPU {}", name),
                .peak_flops = tflops * kTera,
                .memory_bytes = gb * kGiga,
                .memory_bytes_per_second = gb_per_second * kGiga,
                .link_bytes_per_second = gigabits * kGigabit,
                .source = std::string(kTpuDocs) + name,
                .as_of = "2026-11"};
  };
  const auto gpu = [](const char* name, const char* page, double tflops, double gb,
                      double gb_per_second, double links_gb_per_second) {
    return Chip{.name = name,
                .description = fmt::format("NVIDIA {}", page),
                .peak_flops = tflops * kTera,
                .memory_bytes = gb * kGiga,
                .memory_bytes_per_second = gb_per_second * kGiga,
                .link_bytes_per_second = links_gb_per_second * kGiga,
                .source = std::string(kNvidiaDocs) + name,
                .as_of = "2025-06"};
  };
  return {
      tpu("v4", 275, 32, 1200, 2400),
      tpu("v5e", 197, 16, 819, 1600),
      tpu("v5p", 459, 95, 2765, 4800),
      tpu("v6e", 918, 32, 1638, 3200),
      gpu("h100", "H100 SXM 80 GB", 989, 80, 3350, 450),
      gpu("h200", "H200 SXM 141 GB", 989, 141, 4800, 450),
      gpu("a100", "A100 SXM 40 GB", 312, 40, 1555, 300),
      gpu("l4", "L4 24 GB", 121, 24, 300, 0),
  };
}

}  // namespace

const std::vector<Chip>& ChipTable() {
  static const std::vector<Chip> kTable = MakeTable();
  return kTable;
}

Result<Chip> FindChip(std::string_view name) {
  std::vector<std::string> names;
  for (const Chip& chip : ChipTable()) {
    if (chip.name == name) return chip;
    names.push_back(chip.name);
  }
  return InvalidArgument(
      fmt::format("expected one of {}, found {}", fmt::join(names, ", "), Quoted(name)));
}

std::optional<Chip> ChipOfDevice(std::string_view kind) {
  // Names of the same chip in other forms (PCIe cards, for one) are missing: their peaks are lower.
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"TPU v4", "v4"},        {"TPU v5 lite", "v5e"},
      {"TPU v5e", "v5e"},      {"TPU v5", "v5p"},
      {"TPU v5p", "v5p"},      {"TPU v6 lite", "v6e"},
      {"TPU v6e", "v6e"},      {"NVIDIA H100 80GB HBM3", "h100"},
      {"NVIDIA H200", "h200"}, {"NVIDIA A100-SXM4-40GB", "a100"},
      {"NVIDIA L4", "l4"},
  };
  for (const auto& [name, chip] : kKinds) {
    if (name == kind) return *FindChip(chip);
  }
  return std::nullopt;
}

double Roofline::seconds() const {
  return std::max({compute_seconds, memory_seconds, link_seconds});
}

std::string_view Roofline::bound() const {
  if (compute_seconds >= std::max(memory_seconds, link_seconds)) return "compute";
  return memory_seconds >= link_seconds ? "memory" : "links";
}

double Roofline::compute_margin() const {
  return compute_seconds / std::max(memory_seconds, link_seconds);
}

Roofline RooflineOf(const Chip& chip, const ChipWork& work) {
  Roofline roofline{.compute_seconds = work.flops / chip.peak_flops,
                    .memory_seconds = work.memory_bytes / chip.memory_bytes_per_second};
  if (chip.link_bytes_per_second > 0) {
    roofline.link_seconds = work.link_bytes / chip.link_bytes_per_second;
  }
  return roofline;
}

}  // namespace thresher
