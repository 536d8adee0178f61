#ifndef THRESHER_DATASET_VARINT_H_
#define THRESHER_DATASET_VARINT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace thresher {

// Numbers of seven bits a byte, the low ones first, the highest bit set on all but the last byte
// (LEB128).

inline void AppendVarint(std::string& out, int64_t value) {
  auto rest = static_cast<uint64_t>(value);
  while (rest >= 0x80) {
    out += static_cast<char>(rest | 0x80);
    rest >>= 7;
  }
  out += static_cast<char>(rest);
}

// Takes a number from the beginning of `bytes`; nothing if there is none from 0 to 2^62.
inline std::optional<int64_t> TakeVarint(std::string_view& bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size() && i < 9; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    bytes.remove_prefix(i + 1);
    if (value > uint64_t{1} << 62) return std::nullopt;
    return static_cast<int64_t>(value);
  }
  return std::nullopt;
}

}  // namespace thresher

#endif  // THRESHER_DATASET_VARINT_H_
