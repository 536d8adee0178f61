#include "base/crc32c.h"

#include <cstdio>

#include "base/check.h"
#include "rust/thresher_rust.h"

namespace thresher {

uint32_t ExtendCrc32c(uint32_t crc, std::span<const std::byte> bytes) {
  return thresher_crc32c_extend(crc, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

uint32_t CombineCrc32c(uint32_t crc_a, uint32_t crc_b, int64_t bytes_b) {
  THRESHER_CHECK(bytes_b >= 0);
  return thresher_crc32c_combine(crc_a, crc_b, static_cast<size_t>(bytes_b));
}

std::string FormatCrc32c(uint32_t crc) {
  char text[16];
  std::snprintf(text, sizeof(text), "crc32c:%08x", crc);
  return text;
}

}  // namespace thresher
