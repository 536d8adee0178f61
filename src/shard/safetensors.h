#ifndef THRESHER_SHARD_SAFETENSORS_H_
#define THRESHER_SHARD_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"

namespace thresher {

// One tensor of a safetensors file. Format: 8 bytes little-endian header length N, N bytes of JSON,
// then the tensors' bytes (https://github.com/huggingface/safetensors, README "Format").
struct TensorEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  int64_t begin = 0;  // offset of the first byte, from the start of the FILE
  int64_t end = 0;    // one past the last byte, from the start of the file
};

// A tensor whose dtype DType does not have (BOOL, F64, ...): checkpoints carry odd buffers beside
// their weights. Its bytes are located and accounted for, but its elements cannot be read.
struct OpaqueTensor {
  std::string name;
  std::string dtype_name;  // as the header says it: any text
  std::vector<int64_t> shape;
  int64_t begin = 0;
  int64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // ascending by begin
  std::vector<OpaqueTensor> opaque;  // ascending by begin
  std::map<std::string, std::string> metadata;
  int64_t data_begin = 0;  // offset of the tensor bytes = 8 + header length

  // Null if there is no such tensor.
  const TensorEntry* Find(std::string_view name) const;
};

// Header JSON may not be longer than this (the limit of the reference implementation).
inline constexpr int64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// The number of bytes before the tensor data, from the file's first 8 bytes. Rejects lengths above
// the limit or beyond `file_bytes`. Give fewer than 8 bytes if the file has fewer.
Result<int64_t> SafetensorsDataBegin(std::span<const std::byte> first_8_bytes, int64_t file_bytes);

// Parses and checks everything the format demands: JSON object beginning with '{', no duplicate
// names, non-negative shapes of at most 32 dimensions, byte counts that match (unless the dtype is
// not known), no holes, no overlaps, tensors that cover the file exactly up to `file_bytes`; every
// multiplication is checked for overflow. `header` is the file's first data_begin bytes, the length
// field included. kInvalidArgument; messages name the tensor and say expected and found; the caller
// adds the file's name. Never crashes on any input, and needs memory in proportion to the header.
Result<SafetensorsHeader> ParseSafetensorsHeader(std::span<const std::byte> header,
                                                 int64_t file_bytes);

// The header's bytes (length field included) for tensors laid out in the given order, padded with
// spaces so that data begin at a multiple of 64. Fills begin and end of `tensors`. Tensor names
// must be unique and not "__metadata__"; shapes non-negative. Invalid UTF-8 is replaced by U+FFFD.
std::string BuildSafetensorsHeader(std::vector<TensorEntry>& tensors,
                                   const std::map<std::string, std::string>& metadata);

}  // namespace thresher

#endif  // THRESHER_SHARD_SAFETENSORS_H_
