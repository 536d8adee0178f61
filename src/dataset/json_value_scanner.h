#ifndef THRESHER_DATASET_JSON_VALUE_SCANNER_H_
#define THRESHER_DATASET_JSON_VALUE_SCANNER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "dataset/extent_scanner.h"

namespace thresher {

// RecordKind::kJsonArray and kJsonValues: finds where objects begin and end. What is in them is
// left to who parses them.
class JsonValueScanner : public ExtentScanner {
 public:
  JsonValueScanner(const ByteSource& source, const ScanRange& range, bool in_array,
                   int64_t first_line)
      : ExtentScanner(source, range),
        name_(source.name()),
        in_array_(in_array),
        first_line_(first_line) {}

  bool Next(ScannedRecord& record) override;

 private:
  // Follows the text of an object byte by byte.
  class ObjectEnd {
   public:
    // The index behind the closing brace, or npos.
    size_t operator()(std::string_view piece);
    int64_t line_breaks() const { return line_breaks_; }

   private:
    int64_t depth_ = 0;
    bool in_string_ = false;
    bool is_escaped_ = false;
    int64_t line_breaks_ = 0;
  };

  // Passes over white space; the next byte, or 0 at the end or on an error.
  char NextByte();
  // To the next object; false if there is none, or on an error.
  bool FindObject();
  void Fail(std::string_view message);

  const std::string name_;
  const bool in_array_;
  const int64_t first_line_;
  bool has_begun_ = false;
  bool has_ended_ = false;
  bool has_value_ = false;  // one was found, and nothing behind it yet
};

}  // namespace thresher

#endif  // THRESHER_DATASET_JSON_VALUE_SCANNER_H_
