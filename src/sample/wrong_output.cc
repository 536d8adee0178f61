#include "sample/wrong_output.h"

#include <algorithm>

namespace thresher {

ArcGrid WrongOutput(const ArcGrid& right, AugmentationRandom& random) {
  constexpr uint64_t kMostCells = 3;
  ArcGrid wrong = right;
  const uint64_t cells = right.cells.size();
  const uint64_t count = 1 + random.Below(std::min(kMostCells, cells));
  for (uint64_t changed = 0; changed < count; ++changed) {
    uint64_t index = random.Below(cells);
    // A cell whose colour differs from the right one is taken: a change never restores it.
    while (wrong.cells[index] != right.cells[index]) index = random.Below(cells);
    const uint64_t color = right.cells[index] + 1 + random.Below(kArcColorCount - 1);
    wrong.cells[index] = static_cast<uint8_t>(color % kArcColorCount);
  }
  return wrong;
}

}  // namespace thresher
