#ifndef THRESHER_ENGINE_STORED_ROWS_FOR_TEST_H_
#define THRESHER_ENGINE_STORED_ROWS_FOR_TEST_H_

#include <cstdint>
#include <vector>

#include "engine/engine.h"

namespace thresher {

// Of `rows` [tokens, width], those that the batch asks for, for engines that make rows up.
inline std::vector<float> StoredRowsOf(const PackedBatch& batch, const std::vector<float>& rows,
                                       int64_t width) {
  if (!batch.stored_tokens) return rows;
  std::vector<float> stored;
  for (const int32_t token : *batch.stored_tokens) {
    const auto row = rows.begin() + token * width;
    stored.insert(stored.end(), row, row + width);
  }
  return stored;
}

}  // namespace thresher

#endif  // THRESHER_ENGINE_STORED_ROWS_FOR_TEST_H_
