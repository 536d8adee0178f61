#include "base/escapes.h"

#include "base/json.h"

namespace thresher {

Result<std::string> Unescape(std::string_view written) {
  std::string text;
  for (size_t i = 0; i < written.size(); ++i) {
    if (written[i] != '\\') {
      text += written[i];
      continue;
    }
    ++i;
    const char escaped = i < written.size() ? written[i] : '\0';
    if (escaped == 'n') {
      text += '\n';
    } else if (escaped == 't') {
      text += '\t';
    } else if (escaped == '\\') {
      text += '\\';
    } else {
      return InvalidArgument("expected \\n, \\t or \\\\ after a backslash, found " +
                             Quoted(written.substr(i - 1, 2)));
    }
  }
  return text;
}

}  // namespace thresher
