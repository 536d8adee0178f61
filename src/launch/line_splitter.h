#ifndef THRESHER_LAUNCH_LINE_SPLITTER_H_
#define THRESHER_LAUNCH_LINE_SPLITTER_H_

#include <string>
#include <string_view>

namespace thresher {

// Cuts a stream of bytes into lines, each with `prefix` in front. A line that does not end within
// kMaxLineBytes is cut there, so that memory is bounded.
class LineSplitter {
 public:
  static constexpr size_t kMaxLineBytes = size_t{1} << 16;

  explicit LineSplitter(std::string prefix) : prefix_(std::move(prefix)) {}

  // Appends to `out` what became whole lines.
  void Add(std::string_view bytes, std::string& out) {
    for (const char byte : bytes) {
      line_ += byte;
      if (byte == '\n' || line_.size() >= kMaxLineBytes) End(out);
    }
  }

  // Appends what is left, with a line end.
  void Finish(std::string& out) {
    if (!line_.empty()) End(out);
  }

 private:
  void End(std::string& out) {
    out += prefix_;
    out += line_;
    if (!line_.ends_with('\n')) out += '\n';
    line_.clear();
  }

  const std::string prefix_;
  std::string line_;
};

}  // namespace thresher

#endif  // THRESHER_LAUNCH_LINE_SPLITTER_H_
