#include "base/glob.h"

#include <cstddef>

namespace thresher {
namespace {

constexpr std::string_view kGlobCharacters = "*?[";

// The length of the set at the pattern's beginning ("[a-z]"); 0 if it does not end: then '[' stands
// for itself. A ']' right at the beginning belongs to the set.
size_t SetBytes(std::string_view pattern) {
  const size_t first = pattern.substr(1).starts_with('!') ? 2 : 1;
  const size_t end = pattern.find(']', first + 1);
  return end == pattern.npos ? 0 : end + 1;
}

// `set`: "[...]".
bool IsInSet(std::string_view set, char c) {
  set = set.substr(1, set.size() - 2);
  const bool is_negated = set.starts_with('!');
  if (is_negated) set.remove_prefix(1);
  bool found = false;
  for (size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found = found || (set[i] <= c && c <= set[i + 2]);
      i += 2;
    } else {
      found = found || set[i] == c;
    }
  }
  return found != is_negated;
}

// One part of a path. Linear in the text for each '*': goes back to the last one only.
bool MatchesPart(std::string_view pattern, std::string_view text) {
  if (text.starts_with('.') && !pattern.starts_with('.')) return false;
  size_t at = 0;
  size_t i = 0;
  size_t star = pattern.npos;  // behind the last '*' ...
  size_t star_text = 0;        // ... and where what follows it was tried
  while (i < text.size()) {
    size_t taken = 0;
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      star_text = i;
      continue;
    }
    if (at < pattern.size()) {
      const size_t set_bytes = pattern[at] == '[' ? SetBytes(pattern.substr(at)) : 0;
      if (set_bytes > 0) {
        taken = IsInSet(pattern.substr(at, set_bytes), text[i]) ? set_bytes : 0;
      } else {
        taken = pattern[at] == '?' || pattern[at] == text[i] ? 1 : 0;
      }
    }
    if (taken > 0) {
      at += taken;
      ++i;
    } else if (star != pattern.npos) {
      at = star;
      i = ++star_text;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == pattern.npos;
}

// Takes the first part off `path`.
std::string_view TakePart(std::string_view& path) {
  const size_t slash = path.find('/');
  const std::string_view part = path.substr(0, slash);
  path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
  return part;
}

}  // namespace

bool IsGlob(std::string_view path) { return path.find_first_of(kGlobCharacters) != path.npos; }

bool MatchesGlob(std::string_view pattern, std::string_view path) {
  while (!pattern.empty()) {
    const std::string_view part_pattern = TakePart(pattern);
    if (part_pattern == "**") {
      // One "**" after the other says no more than one; so patterns do not explode.
      while (pattern.starts_with("**/")) pattern.remove_prefix(3);
      if (pattern.empty() || pattern == "**") pattern = "*";
      while (true) {
        if (MatchesGlob(pattern, path)) return true;
        if (path.starts_with('.') || path.find('/') == path.npos) return false;
        (void)TakePart(path);
      }
    }
    if (path.empty()) return false;
    const bool is_last = path.find('/') == path.npos;
    if (!MatchesPart(part_pattern, TakePart(path))) return false;
    if (is_last) return pattern.empty();
  }
  return path.empty();
}

GlobParts SplitGlob(std::string_view address) {
  const size_t first = address.find_first_of(kGlobCharacters);
  const size_t slash = address.substr(0, first).rfind('/');
  if (slash == address.npos) return {.folder = "", .pattern = std::string(address)};
  return {.folder = std::string(address.substr(0, slash == 0 ? 1 : slash)),
          .pattern = std::string(address.substr(slash + 1))};
}

}  // namespace thresher
