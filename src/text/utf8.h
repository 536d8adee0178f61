#ifndef THRESHER_TEXT_UTF8_H_
#define THRESHER_TEXT_UTF8_H_

#include <string_view>

#include "base/result.h"

namespace thresher {

// kInvalidArgument, with the offset (bytes, from 0) and the value of the first wrong byte, if
// `text` is not valid UTF-8.
Status CheckUtf8(std::string_view text);

// The longest start of valid UTF-8 `text` that has at most `max_bytes` bytes and ends between two
// characters.
std::string_view Utf8Prefix(std::string_view text, size_t max_bytes);

}  // namespace thresher

#endif  // THRESHER_TEXT_UTF8_H_
