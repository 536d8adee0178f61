#ifndef THRESHER_BASE_ESCAPES_H_
#define THRESHER_BASE_ESCAPES_H_

#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

// A text as it is written in a setting: \n is a line end, \t a tab, \\ a backslash, and everything
// else stands for itself. kInvalidArgument for another character after a backslash.
Result<std::string> Unescape(std::string_view written);

}  // namespace thresher

#endif  // THRESHER_BASE_ESCAPES_H_
