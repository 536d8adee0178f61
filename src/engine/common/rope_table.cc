#include "engine/common/rope_table.h"

#include <cmath>
#include <utility>

namespace thresher {

RopeTable::RopeTable(std::vector<float> inverse_frequencies)
    : inverse_frequencies_(std::move(inverse_frequencies)) {}

void RopeTable::Reserve(int64_t positions) {
  if (positions <= positions_) return;
  const size_t count = inverse_frequencies_.size();
  table_.resize(static_cast<size_t>(positions) * 2 * count);
  for (int64_t position = positions_; position < positions; ++position) {
    float* cosines = table_.data() + static_cast<size_t>(position) * 2 * count;
    for (size_t c = 0; c < count; ++c) {
      const double angle =
          static_cast<double>(position) * static_cast<double>(inverse_frequencies_[c]);
      cosines[c] = static_cast<float>(std::cos(angle));
      cosines[count + c] = static_cast<float>(std::sin(angle));
    }
  }
  positions_ = positions;
}

}  // namespace thresher
