#include "forecast/batch_outputs.h"

namespace thresher {

BatchOutputs::BatchOutputs(const ShardFormat& format, int64_t most_rows) {
  const bool has_scale = HasScale(format.dtype);
  for (const ShardHook& hook : format.hooks) {
    row_bytes_.push_back(hook.width * DTypeBytes(format.dtype));
    rows_.emplace_back(static_cast<size_t>(most_rows * row_bytes_.back()));
    scales_.emplace_back(static_cast<size_t>(has_scale ? most_rows : 0));
  }
  for (size_t i = 0; i < rows_.size(); ++i) {
    outputs_.push_back({.rows = rows_[i].data(), .scales = scales_[i].data()});
  }
}

std::vector<std::span<const std::byte>> BatchOutputs::Blocks(int64_t rows) const {
  std::vector<std::span<const std::byte>> blocks;
  for (size_t i = 0; i < rows_.size(); ++i) {
    blocks.push_back(std::span(rows_[i]).first(static_cast<size_t>(rows * row_bytes_[i])));
    if (scales_[i].empty()) continue;
    blocks.push_back(std::as_bytes(std::span(scales_[i]).first(static_cast<size_t>(rows))));
  }
  return blocks;
}

}  // namespace thresher
