#include "cli/stderr_lines.h"

#include <cstdio>

namespace thresher {

void StderrLines::Print(const std::string& line) {
  const std::lock_guard lock(mutex_);
  Clear();
  std::fputs((line + "\n").c_str(), stderr);
}

void StderrLines::ShowBar(const std::string& text) {
  const std::lock_guard lock(mutex_);
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
  bar_is_shown_ = true;
}

void StderrLines::ClearBar() {
  const std::lock_guard lock(mutex_);
  Clear();
}

void StderrLines::Clear() {
  if (bar_is_shown_) std::fputs("\r\033[K", stderr);
  bar_is_shown_ = false;
}

}  // namespace thresher
