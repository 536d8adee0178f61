#ifndef THRESHER_RUST_THRESHER_RUST_H_
#define THRESHER_RUST_THRESHER_RUST_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// CRC-32C of A followed by `bytes`, given `crc` of A.
uint32_t thresher_crc32c_extend(uint32_t crc, const uint8_t* bytes, size_t length);

// CRC-32C of A followed by B from both checksums and the length of B.
uint32_t thresher_crc32c_combine(uint32_t crc_a, uint32_t crc_b, size_t length_b);

#ifdef __cplusplus
}
#endif

#endif  // THRESHER_RUST_THRESHER_RUST_H_
