#include "base/byte_size.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

namespace thresher {
namespace {

struct Scaled {
  double number;
  std::string_view unit;
};

std::optional<Scaled> SplitNumberAndUnit(std::string_view text) {
  Scaled scaled{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), scaled.number);
  if (error != std::errc() || !(scaled.number > 0)) return std::nullopt;
  scaled.unit = text.substr(static_cast<size_t>(end - text.data()));
  while (!scaled.unit.empty() && scaled.unit.front() == ' ') scaled.unit.remove_prefix(1);
  return scaled;
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(a[i])) !=
        std::tolower(static_cast<unsigned char>(b[i]))) {
      return false;
    }
  }
  return true;
}

constexpr std::array<std::pair<std::string_view, double>, 14> kByteUnits = {{{"", 1},
                                                                             {"B", 1},
                                                                             {"K", 1e3},
                                                                             {"KB", 1e3},
                                                                             {"M", 1e6},
                                                                             {"MB", 1e6},
                                                                             {"G", 1e9},
                                                                             {"GB", 1e9},
                                                                             {"TB", 1e12},
                                                                             {"KiB", 0x1p10},
                                                                             {"MiB", 0x1p20},
                                                                             {"GiB", 0x1p30},
                                                                             {"TiB", 0x1p40},
                                                                             {"T", 1e12}}};

constexpr std::array<std::pair<std::string_view, double>, 6> kDurationUnits = {
    {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}}};

template <size_t n>
std::optional<double> Parse(std::string_view text,
                            const std::array<std::pair<std::string_view, double>, n>& units) {
  const std::optional<Scaled> scaled = SplitNumberAndUnit(text);
  if (!scaled) return std::nullopt;
  for (const auto& [name, factor] : units) {
    if (!EqualIgnoringCase(scaled->unit, name)) continue;
    const double value = scaled->number * factor;
    if (value >= 1 && value < 0x1p62) return value;
  }
  return std::nullopt;
}

}  // namespace

Result<int64_t> ParseByteSize(std::string_view text) {
  const std::optional<double> bytes = Parse(text, kByteUnits);
  if (bytes) return static_cast<int64_t>(*bytes);
  return InvalidArgument("'" + std::string(text) +
                         "' is not a size; write for example 1GB, 512MiB");
}

std::string FormatBytes(double bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "KB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  const int decimals = unit == 0 || bytes >= 100 ? 0 : bytes >= 10 ? 1 : 2;
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f %s", decimals, bytes, kUnits[unit]);
  return text;
}

Result<int64_t> ParseDurationMs(std::string_view text) {
  const std::optional<double> duration = Parse(text, kDurationUnits);
  if (duration) return static_cast<int64_t>(*duration);
  return InvalidArgument("'" + std::string(text) +
                         "' is not a duration; write for example 30s, 3m, 2h");
}

std::string FormatDuration(int64_t duration_ms) {
  const long long seconds = duration_ms / 1000;
  char text[48];
  if (seconds < 60) {
    std::snprintf(text, sizeof(text), "%llds", seconds);
  } else if (seconds < 3600) {
    std::snprintf(text, sizeof(text), "%lldm %02llds", seconds / 60, seconds % 60);
  } else {
    std::snprintf(text, sizeof(text), "%lldh %02lldm %02llds", seconds / 3600, seconds / 60 % 60,
                  seconds % 60);
  }
  return text;
}

std::string FormatCount(int64_t count) {
  std::string digits = std::to_string(count);
  const size_t first = digits[0] == '-' ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string FormatRate(double per_second) {
  if (per_second > 0 && per_second < 9.95) return fmt::format("{:.1f}", per_second);
  return FormatCount(std::llround(per_second));
}

}  // namespace thresher
