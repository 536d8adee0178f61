#ifndef THRESHER_BASE_BYTE_SIZE_H_
#define THRESHER_BASE_BYTE_SIZE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

// "1GB" = 10^9, "1GiB" = 2^30, "1500" = bytes; decimal fractions allowed ("1.5GB"). Units: B, KB,
// MB, GB, TB, KiB, MiB, GiB, TiB, in any case. Must be positive and below 2^62.
Result<int64_t> ParseByteSize(std::string_view text);

// Three significant digits in decimal units: 1234567 -> "1.23 MB".
std::string FormatBytes(double bytes);

// "250ms", "30s", "3m", "2h", "1d" -> milliseconds; a bare number is seconds. Must be positive.
Result<int64_t> ParseDurationMs(std::string_view text);

// 3723000 -> "1h 02m 03s".
std::string FormatDuration(int64_t duration_ms);

// 1234567 -> "1,234,567".
std::string FormatCount(int64_t count);

// The same for what happens in a second, with a decimal place below 10: "1,235", "2.5", "0".
std::string FormatRate(double per_second);

}  // namespace thresher

#endif  // THRESHER_BASE_BYTE_SIZE_H_
