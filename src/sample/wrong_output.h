#ifndef THRESHER_SAMPLE_WRONG_OUTPUT_H_
#define THRESHER_SAMPLE_WRONG_OUTPUT_H_

#include "arc/arc_task.h"
#include "arc/augmentation_random.h"

namespace thresher {

// An output that looks right and is not: `right` with one to three cells of another colour. Draws
// from `random`, in this order:
//   1. the number of cells: 1 + below(3), or 1 + below(cells) if there are fewer than 3 cells
//   2. for each of them its place, counted row by row from 0: below(cells), again while that cell
//      was changed before; and directly after it its colour: (old + 1 + below(9)) mod 10
ArcGrid WrongOutput(const ArcGrid& right, AugmentationRandom& random);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_WRONG_OUTPUT_H_
