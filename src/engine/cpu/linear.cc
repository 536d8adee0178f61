#include "engine/cpu/linear.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "engine/cpu/aligned_buffer.h"
#include "engine/cpu/amx_product.h"
#include "shard/convert.h"

namespace thresher {
namespace {

// Any number of rows gives the same packed form, so one primitive for it is enough.
constexpr int64_t kRowsForPacking = 128;

int64_t ElementCount(const WeightView& view) {
  int64_t count = 1;
  for (const int64_t extent : view.shape) count *= extent;
  return count;
}

// Converts a whole tensor to `dtype` at `out`.
void ConvertWeight(const WeightView& view, DType dtype, std::byte* out) {
  const int64_t count = ElementCount(view);
  if (view.dtype == dtype) {
    std::memcpy(out, view.data, static_cast<size_t>(count * DTypeBytes(dtype)));
    return;
  }
  constexpr int64_t kBlock = 4096;
  std::vector<float> values(kBlock);
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t width = std::min(kBlock, count - begin);
    DecodeRows(view.data + begin * DTypeBytes(view.dtype), nullptr, 1, width, view.dtype,
               values.data());
    EncodeRows(values.data(), 1, width, width, dtype, out + begin * DTypeBytes(dtype), nullptr);
  }
}

// Converts the columns of a weight that a part uses to [output width, inputs] at `out`.
void ConvertInputs(const LinearPart& part, DType dtype, std::byte* out) {
  const WeightView& weight = part.weight;
  if (part.inputs == weight.shape[1]) return ConvertWeight(weight, dtype, out);
  const int64_t element_bytes = DTypeBytes(weight.dtype);
  WeightView used = weight;
  used.shape = {part.inputs};
  for (int64_t row = 0; row < weight.shape[0]; ++row) {
    used.data = weight.data + (row * weight.shape[1] + part.first_input) * element_bytes;
    ConvertWeight(used, dtype, out + row * part.inputs * DTypeBytes(dtype));
  }
}

}  // namespace

std::vector<float> ReadWeight(const WeightView& view) {
  std::vector<float> values(static_cast<size_t>(ElementCount(view)));
  ConvertWeight(view, DType::kF32, reinterpret_cast<std::byte*>(values.data()));
  return values;
}

PackedLinear::PackedLinear(const std::vector<LinearPart>& parts, MatmulShape shape,
                           MatmulCache& cache)
    : shape_(shape) {
  THRESHER_CHECK(!parts.empty());
  shape_.inner = parts[0].inputs;
  shape_.right = RightLayout::kPacked;
  shape_.on_tiles = shape.on_tiles && AmxCanMultiply(shape_.in, shape_.inner);
  for (const LinearPart& part : parts) {
    THRESHER_CHECK(part.inputs == shape_.inner);
    shape_.columns += part.weight.shape[0];
    shape_.has_bias = shape_.has_bias || part.bias.has_value();
  }
  THRESHER_CHECK(!shape_.is_gated || shape_.on_tiles);
  packer_ = &cache.Get(ShapeFor(kRowsForPacking));
}

MatmulShape PackedLinear::ShapeFor(int64_t rows) const {
  MatmulShape shape = shape_;
  shape.rows = rows;
  return shape;
}

void PackedLinear::Pack(const std::vector<LinearPart>& parts, std::byte* memory) {
  AlignedBuffer joined;
  joined.Reserve(shape_.columns * shape_.inner * DTypeBytes(shape_.in));
  if (shape_.has_bias) bias_.assign(static_cast<size_t>(shape_.columns), 0.0F);
  int64_t column = 0;
  for (const LinearPart& part : parts) {
    ConvertInputs(part, shape_.in, joined.data() + column * shape_.inner * DTypeBytes(shape_.in));
    if (part.bias) SetBias(ReadWeight(*part.bias), column);
    column += part.weight.shape[0];
  }
  packed_ = memory;
  packer_->Pack(joined.data(), packed_);
}

void PackedLinear::SetBias(const std::vector<float>& values, int64_t first_column) {
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t column = first_column + static_cast<int64_t>(i);
    if (shape_.is_gated) column = AmxGatedPosition(column, shape_.columns / 2);
    bias_[static_cast<size_t>(column)] = values[i];
  }
}

void PackedLinear::Execute(const Matmul& matmul, const void* in, void* out,
                           MatmulCaller& caller) const {
  matmul.Execute(
      {.left = in, .right = packed_, .bias = shape_.has_bias ? bias_.data() : nullptr, .out = out},
      caller);
}

}  // namespace thresher
