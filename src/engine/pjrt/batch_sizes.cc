#include "engine/pjrt/batch_sizes.h"

#include <algorithm>
#include <bit>

#include "base/round_up.h"

namespace thresher {
namespace {

// Rows of a batch are a multiple of this, where there are that many: what matrix units like.
constexpr int64_t kRowGranule = 128;
constexpr int64_t kSmallGranule = 16;

}  // namespace

std::vector<int64_t> BatchSizes(int64_t max_batch_tokens) {
  std::vector<int64_t> sizes;
  for (const int64_t eighths : {1, 2, 4, 6, 8}) {
    const int64_t tokens = (max_batch_tokens * eighths + 7) / 8;
    const int64_t size = RoundUp(tokens, tokens < kRowGranule ? kSmallGranule : kRowGranule);
    if (sizes.empty() || size > sizes.back()) sizes.push_back(size);
  }
  return sizes;
}

int64_t BatchSizeFor(int64_t tokens, int64_t max_batch_tokens) {
  const std::vector<int64_t> sizes = BatchSizes(max_batch_tokens);
  const auto size = std::ranges::lower_bound(sizes, tokens);
  if (size != sizes.end()) return *size;
  const auto times = static_cast<uint64_t>((tokens + sizes.back() - 1) / sizes.back());
  return sizes.back() * static_cast<int64_t>(std::bit_ceil(times));
}

int64_t RowCapacityFor(int64_t rows, int64_t batch_size) {
  for (const int64_t part : {64, 16, 8, 4, 2}) {
    const int64_t capacity = RoundUp((batch_size + part - 1) / part * 9 / 8, kSmallGranule);
    if (rows <= capacity && capacity < batch_size) return capacity;
  }
  return batch_size;
}

}  // namespace thresher
