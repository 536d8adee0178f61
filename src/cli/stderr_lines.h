#ifndef THRESHER_CLI_STDERR_LINES_H_
#define THRESHER_CLI_STDERR_LINES_H_

#include <mutex>
#include <string>

namespace thresher {

// The standard error stream, shared by lines that stay and a bar that is written over. Thread-safe.
class StderrLines {
 public:
  // A line of its own; a bar that is shown goes first.
  void Print(const std::string& line);

  // Replaces the bar.
  void ShowBar(const std::string& text);
  void ClearBar();

 private:
  void Clear();

  std::mutex mutex_;
  bool bar_is_shown_ = false;
};

}  // namespace thresher

#endif  // THRESHER_CLI_STDERR_LINES_H_
