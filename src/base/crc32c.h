#ifndef THRESHER_BASE_CRC32C_H_
#define THRESHER_BASE_CRC32C_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace thresher {

// CRC-32C (Castagnoli; RFC 3720 appendix B.4), the checksum that GCS and S3 report for objects. It
// finds every change within any 32 consecutive bits.

// The checksum of A followed by `bytes`, given `crc` = the checksum of A (0 for no bytes).
uint32_t ExtendCrc32c(uint32_t crc, std::span<const std::byte> bytes);

// The checksum of A followed by B, from the checksum of each and the length of B.
uint32_t CombineCrc32c(uint32_t crc_a, uint32_t crc_b, int64_t bytes_b);

// "crc32c:1a2b3c4d", as records write it.
std::string FormatCrc32c(uint32_t crc);

}  // namespace thresher

#endif  // THRESHER_BASE_CRC32C_H_
