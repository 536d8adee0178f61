#ifndef THRESHER_ARC_AUGMENTATION_RANDOM_H_
#define THRESHER_ARC_AUGMENTATION_RANDOM_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"

namespace thresher {

// The generator of one kind of change in one variant of a task: published in augmentation.h, and
// never to be changed. Not thread-safe.
class AugmentationRandom {
 public:
  AugmentationRandom(uint64_t seed, std::string_view task_id, int64_t variant, uint64_t kind)
      : random_(StateOf(seed, task_id, variant, kind)) {}

  uint64_t Next() { return random_.Next(); }

  // Uniform in [0, bound), without any bias; bound > 0.
  uint64_t Below(uint64_t bound) {
    const uint64_t remainder = (0 - bound) % bound;  // 2^64 mod bound
    while (true) {
      const uint64_t value = Next();
      if (value <= UINT64_MAX - remainder) return value % bound;
    }
  }

  // Uniform in [0, 1).
  double Uniform() { return random_.Uniform(); }

  template <typename T>
  void Shuffle(std::vector<T>& list) {
    for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[Below(i)]);
  }

 private:
  static uint64_t StateOf(uint64_t seed, std::string_view task_id, int64_t variant, uint64_t kind) {
    uint64_t key = Random(seed).Next();
    key = Random(key ^ SeedOf(task_id)).Next();
    key = Random(key ^ static_cast<uint64_t>(variant)).Next();
    return Random(key ^ kind).Next();
  }

  Random random_;
};

}  // namespace thresher

#endif  // THRESHER_ARC_AUGMENTATION_RANDOM_H_
