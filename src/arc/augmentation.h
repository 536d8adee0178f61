#ifndef THRESHER_ARC_AUGMENTATION_H_
#define THRESHER_ARC_AUGMENTATION_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "arc/arc_task.h"

namespace thresher {

// The name of the algorithm below. Stored activations belong to it: a change of any draw takes a
// new name. tests/data/arc/augmentation_vectors.json has what it must give, and
// scripts/arc_augmentation_reference.py is a second program written from this description.
//
// All arithmetic is on unsigned 64-bit integers, modulo 2^64; signed inputs are taken as their
// two's complement. next(s) is one step of SplitMix64 (Steele, Lea, Flood 2014):
//
//   s = s + 0x9e3779b97f4a7c15                  (the generator's new state)
//   z = s;  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;  z = (z ^ (z >> 27)) * 0x94d049bb133111eb
//   the value is z ^ (z >> 31)
//
// Each kind of change has a generator of its own, so that switching one off does not change the
// others' draws. Its first state is made of the run's seed, the 64-bit FNV-1a hash of the bytes of
// the task id, the variant, and the kind's number:
//
//   k = next(seed);  k = next(k ^ fnv1a(task_id));  k = next(k ^ variant);  state = next(k ^ kind)
//
// where next(x) is the value that a generator with the state x gives first. below(n), an integer
// from 0 to n - 1 without bias: draw x until x < 2^64 - (2^64 mod n); the integer is x mod n.
//
//   1 flip     horizontal flip (left and right change places) if below(2) = 1
//   2 rotate   below(4) quarter turns counter-clockwise, after the flip
//   3 colors   the background, colour 0, stays if (x >> 11) / 2^53 < keep_background, x being the
//              first value; else it becomes 1 + below(9). The other nine colours in ascending
//              order, shuffled, are what 1, 2, .. 9 become.
//   4 order    the training pairs, shuffled
//   5 swap     j = below(n + 1), n being the number of training pairs: the first test pair and
//              training pair j (from 0, in the order of the record) change places; none does if
//              j = n, or if the test's output is not known. Before the order.
//
// To shuffle a list of m: for i = m - 1, m - 2, .. 1: j = below(i + 1); entries i and j change
// places.
inline constexpr std::string_view kArcAugmentationName = "arc-augmentation-v1";

struct AugmentationOptions {
  bool flip = false;
  bool rotate = false;
  bool colors = false;
  bool order = false;
  bool swap = false;
  double keep_background = 0.9;  // the probability that colour 0 stays, 0 to 1
};

// What happens to one variant of a task. The default changes nothing.
struct Augmentation {
  bool flip = false;
  int quarter_turns = 0;                                                        // 0 to 3
  std::array<uint8_t, kArcColorCount> colors = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};  // old -> new
  std::optional<int> swap_with;  // the training pair, in the order of the record
  std::vector<int> order;        // new place -> old place of the training pairs; empty: as they are

  bool operator==(const Augmentation&) const = default;
};

// A pure function of its arguments, as described above; kinds that are off stay at the default.
// `train_count` is the number of training pairs.
Augmentation DrawAugmentation(const AugmentationOptions& options, uint64_t seed,
                              std::string_view task_id, int64_t variant, int train_count);

// The grid with left and right exchanged if `flip`, then turned counter-clockwise.
ArcGrid FlipAndRotate(const ArcGrid& grid, bool flip, int quarter_turns);

// Every colour c of the grid becomes colors[c].
ArcGrid Recolor(const ArcGrid& grid, const std::array<uint8_t, kArcColorCount>& colors);

// The same change for every grid of the task, and the training pairs in their new order. `order`
// and `swap_with` must fit the task; the swap is left out if the first test's output is not known.
ArcTask Apply(const Augmentation& augmentation, const ArcTask& task);

// DrawAugmentation and Apply.
ArcTask Augment(const ArcTask& task, const AugmentationOptions& options, uint64_t seed,
                std::string_view task_id, int64_t variant);

}  // namespace thresher

#endif  // THRESHER_ARC_AUGMENTATION_H_
