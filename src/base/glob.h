#ifndef THRESHER_BASE_GLOB_H_
#define THRESHER_BASE_GLOB_H_

#include <string>
#include <string_view>

namespace thresher {

// True if `path` holds a character that MatchesGlob understands: * ? [
bool IsGlob(std::string_view path);

// True if `pattern` describes the whole of `path`, both relative with '/' between parts: '*' any
// bytes but '/', '?' one of them, "[a-z]" one of these, "[!a-z]" none of these, a part "**" any
// number of parts. A part that begins with '.' needs a pattern that does.
bool MatchesGlob(std::string_view pattern, std::string_view path);

// An address with a pattern in two: the folder that needs no pattern ("" if it has none), and the
// pattern below it.
struct GlobParts {
  std::string folder;
  std::string pattern;
};
GlobParts SplitGlob(std::string_view address);

}  // namespace thresher

#endif  // THRESHER_BASE_GLOB_H_
