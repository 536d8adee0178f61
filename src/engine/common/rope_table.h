#ifndef THRESHER_ENGINE_COMMON_ROPE_TABLE_H_
#define THRESHER_ENGINE_COMMON_ROPE_TABLE_H_

#include <cstdint>
#include <vector>

namespace thresher {

// Cosines and sines of the rotary embedding's angles, computed in double precision and rounded to
// float. It grows to the longest sequence seen.
class RopeTable {
 public:
  explicit RopeTable(std::vector<float> inverse_frequencies);

  // Makes positions 0 to positions - 1 available.
  void Reserve(int64_t positions);

  int64_t frequency_count() const { return static_cast<int64_t>(inverse_frequencies_.size()); }
  const std::vector<float>& inverse_frequencies() const { return inverse_frequencies_; }

  // [positions, 2 * frequency_count]: the cosines of a position's angles, then the sines.
  const float* data() const { return table_.data(); }

 private:
  std::vector<float> inverse_frequencies_;
  std::vector<float> table_;
  int64_t positions_ = 0;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_COMMON_ROPE_TABLE_H_
