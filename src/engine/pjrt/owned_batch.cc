#include "engine/pjrt/owned_batch.h"

#include <algorithm>

#include "base/check.h"

namespace thresher {

PackedBatch OwnedBatch::packed() const {
  PackedBatch batch{.token_ids = token_ids, .sequence_offsets = offsets};
  if (stored) batch.stored_tokens = *stored;
  return batch;
}

OwnedBatch CopyBatch(const PackedBatch& batch, std::span<const HookOutput> outputs) {
  OwnedBatch owned;
  owned.token_ids.assign(batch.token_ids.begin(), batch.token_ids.end());
  owned.offsets.assign(batch.sequence_offsets.begin(), batch.sequence_offsets.end());
  if (batch.stored_tokens) {
    owned.stored.emplace(batch.stored_tokens->begin(), batch.stored_tokens->end());
  }
  owned.outputs.assign(outputs.begin(), outputs.end());
  return owned;
}

OwnedBatch PartOfBatch(const OwnedBatch& batch, size_t first, size_t end,
                       std::span<const int64_t> row_bytes) {
  THRESHER_CHECK(first < end && end <= batch.sequence_count());
  THRESHER_CHECK(row_bytes.size() == batch.outputs.size());
  const int64_t begin_token = batch.offsets[first];
  const int64_t end_token = batch.offsets[end];
  OwnedBatch part;
  part.token_ids.assign(batch.token_ids.begin() + begin_token, batch.token_ids.begin() + end_token);
  for (size_t s = first; s <= end; ++s) part.offsets.push_back(batch.offsets[s] - begin_token);
  int64_t first_row = begin_token;
  if (batch.stored) {
    const auto from = std::ranges::lower_bound(*batch.stored, begin_token);
    const auto to = std::ranges::lower_bound(*batch.stored, end_token);
    first_row = from - batch.stored->begin();
    part.stored.emplace();
    for (auto token = from; token != to; ++token) {
      part.stored->push_back(static_cast<int32_t>(*token - begin_token));
    }
  }
  for (size_t h = 0; h < batch.outputs.size(); ++h) {
    HookOutput output = batch.outputs[h];
    output.rows += first_row * row_bytes[h];
    if (output.scales != nullptr) output.scales += first_row;
    part.outputs.push_back(output);
  }
  return part;
}

}  // namespace thresher
