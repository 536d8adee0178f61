#include "launch/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace thresher {
namespace {

constexpr size_t kMaxNameBytes = 40;

bool IsSmallLetter(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsUtf8(const std::string& text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace

Status CheckJobName(std::string_view name) {
  const bool has_only_allowed = std::all_of(
      name.begin(), name.end(), [](char c) { return IsSmallLetter(c) || IsDigit(c) || c == '-'; });
  if (!name.empty() && name.size() <= kMaxNameBytes && has_only_allowed &&
      IsSmallLetter(name.front()) && name.back() != '-') {
    return OkStatus();
  }
  return InvalidArgument(
      fmt::format("--name: expected 1 to {} small letters, digits and dashes, a letter first and "
                  "no dash last, found '{}'",
                  kMaxNameBytes, name));
}

std::string JobNameOf(std::string_view output) {
  while (output.ends_with('/')) output.remove_suffix(1);
  std::string name = "thresher-";
  for (char c : output.substr(output.find_last_of("/:") + 1)) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool is_allowed = IsSmallLetter(c) || IsDigit(c);
    if (is_allowed) name += c;
    if (!is_allowed && !name.ends_with('-')) name += '-';
  }
  name.resize(std::min(name.size(), kMaxNameBytes));
  while (name.ends_with('-')) name.pop_back();
  return name;
}

Status CheckFlags(const std::vector<std::string>& flags) {
  for (const std::string& flag : flags) {
    const std::string name = flag.substr(0, flag.find('='));
    const bool has_control = std::any_of(flag.begin(), flag.end(), [](unsigned char c) {
      return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
    });
    if (has_control || !IsUtf8(flag)) {
      return InvalidArgument(name +
                             ": a value with control characters, or that is not UTF-8, cannot be "
                             "handed to workers; write it into a job file that they can read "
                             "(THRESHER_CONFIG)");
    }
  }
  return OkStatus();
}

Status CheckPlainValue(std::string_view flag, std::string_view value) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.,:=/@%+-[]&|*";
  const size_t wrong = value.find_first_not_of(kAllowed);
  if (!value.empty() && wrong == std::string_view::npos) return OkStatus();
  return InvalidArgument(fmt::format(
      "{}: expected letters, digits and marks without blanks, quotes and '#', found '{}'", flag,
      value));
}

int64_t SecondsToStop(const LaunchJob& job) {
  constexpr int64_t kMarginMs = 15'000;
  return (job.stop_grace_ms + kMarginMs + 999) / 1000;
}

}  // namespace thresher
