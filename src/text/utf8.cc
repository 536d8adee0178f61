#include "text/utf8.h"

#include <fmt/format.h>

#include "base/rust_memory.h"

namespace thresher {

Status CheckUtf8(std::string_view text) {
  const size_t valid_bytes = thresher_utf8_valid_prefix(RustData(text), text.size());
  if (valid_bytes == text.size()) return OkStatus();
  return InvalidArgument(fmt::format("not valid UTF-8 at byte offset {} (byte 0x{:02x})",
                                     valid_bytes, RustData(text)[valid_bytes]));
}

std::string_view Utf8Prefix(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  // Bytes 10xxxxxx continue a character.
  size_t bytes = max_bytes;
  while (bytes > 0 && (RustData(text)[bytes] & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

}  // namespace thresher
