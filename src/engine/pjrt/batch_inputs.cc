#include "engine/pjrt/batch_inputs.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "shard/convert.h"

namespace thresher {
namespace {

// The embedding table's row of every token. The argument has the table's own dtype, or f32.
void FillEmbedded(const PackedBatch& batch, const WeightView& embedding, HostArray& out) {
  const int64_t width = embedding.shape[1];
  const int64_t row_bytes = width * DTypeBytes(embedding.dtype);
  const int64_t out_bytes = width * DTypeBytes(out.type().dtype);
  for (size_t t = 0; t < batch.token_ids.size(); ++t) {
    const std::byte* row = embedding.data + batch.token_ids[t] * row_bytes;
    std::byte* to = out.data() + static_cast<int64_t>(t) * out_bytes;
    if (embedding.dtype == out.type().dtype) {
      std::memcpy(to, row, static_cast<size_t>(row_bytes));
    } else {
      THRESHER_CHECK(out.type().dtype == DType::kF32);
      DecodeRows(row, nullptr, 1, width, embedding.dtype, reinterpret_cast<float*>(to));
    }
  }
}

// What is left repeats the last one: never falling, as the program expects.
void FillRows(const PackedBatch& batch, HostArray& out) {
  THRESHER_CHECK(batch.stored_tokens && batch.row_count() > 0);
  THRESHER_CHECK(batch.row_count() <= out.type().shape[0]);
  auto* rows = out.as<int32_t>();
  int32_t* padding = std::ranges::copy(*batch.stored_tokens, rows).out;
  std::fill(padding, rows + out.type().shape[0], batch.stored_tokens->back());
}

// A padding token sees itself alone.
void FillStarts(const PackedBatch& batch, HostArray& out) {
  auto* starts = out.as<int32_t>();
  for (size_t s = 0; s + 1 < batch.sequence_offsets.size(); ++s) {
    std::fill(starts + batch.sequence_offsets[s], starts + batch.sequence_offsets[s + 1],
              static_cast<int32_t>(batch.sequence_offsets[s]));
  }
  const int64_t tokens = batch.token_count();
  std::iota(starts + tokens, starts + out.type().shape[0], static_cast<int32_t>(tokens));
}

void FillAngles(const PackedBatch& batch, bool sines, RopeTable& table, HostArray& out) {
  const int64_t count = table.frequency_count();
  int64_t longest = 0;
  for (size_t s = 0; s + 1 < batch.sequence_offsets.size(); ++s) {
    longest = std::max(longest, batch.sequence_offsets[s + 1] - batch.sequence_offsets[s]);
  }
  table.Reserve(longest);
  auto* to = out.as<float>();
  for (size_t s = 0; s + 1 < batch.sequence_offsets.size(); ++s) {
    const int64_t length = batch.sequence_offsets[s + 1] - batch.sequence_offsets[s];
    for (int64_t position = 0; position < length; ++position) {
      const float* row = table.data() + position * 2 * count + (sines ? count : 0);
      to = std::copy_n(row, count, to);
    }
  }
}

}  // namespace

std::vector<HostArray> MakeBatchInputs(const GraphProgram& program, const PackedBatch& batch,
                                       const WeightView& embedding, std::vector<RopeTable>& ropes) {
  std::vector<HostArray> inputs;
  for (const ProgramArgument& argument : program.arguments) {
    const auto* meaning = std::get_if<BatchArgument>(&argument.meaning);
    if (meaning == nullptr) continue;
    HostArray array(argument.type);
    switch (meaning->input) {
      case BatchInput::kEmbedded:
        FillEmbedded(batch, embedding, array);
        break;
      case BatchInput::kRows:
        FillRows(batch, array);
        break;
      case BatchInput::kStarts:
        FillStarts(batch, array);
        break;
      case BatchInput::kCosines:
      case BatchInput::kSines:
        FillAngles(batch, meaning->input == BatchInput::kSines, ropes[meaning->rope], array);
        break;
    }
    inputs.push_back(std::move(array));
  }
  return inputs;
}

}  // namespace thresher
