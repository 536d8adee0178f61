#ifndef THRESHER_ENGINE_PJRT_BATCH_SIZES_H_
#define THRESHER_ENGINE_PJRT_BATCH_SIZES_H_

#include <cstdint>
#include <vector>

namespace thresher {

// The sizes that batches are padded to, ascending; the last is `max_batch_tokens`, rounded up.
// Single sequences that are longer have sizes of their own: see BatchSizeFor.
std::vector<int64_t> BatchSizes(int64_t max_batch_tokens);

// The size for a batch of that many tokens: the smallest that holds it; beyond the last, the next
// power of two times the last.
int64_t BatchSizeFor(int64_t tokens, int64_t max_batch_tokens);

// How many rows of each hook point cross to the host for a batch of that size which stores `rows`
// of them: the smallest that holds them of about a 64th, a 16th, an 8th, a quarter and a half of
// the size, or `batch_size`. These are an eighth larger than that, since a selection of every
// fourth token stores a little more than a quarter of the rows.
int64_t RowCapacityFor(int64_t rows, int64_t batch_size);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_BATCH_SIZES_H_
