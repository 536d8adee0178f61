#ifndef THRESHER_SAMPLE_RECORD_KIND_H_
#define THRESHER_SAMPLE_RECORD_KIND_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"

namespace thresher {

enum class ContentKind {
  kTokenIds,
  kText,
  kMessages,
  kArcTask,    // the record has "train" and "test"
  kArcObject,  // its field has them
  kArcPairs,   // its field is a list of [input, output]
};

// The field of a record that holds the content, and what kind it must be read as; the value itself
// is not checked.
struct FoundContent {
  ContentKind kind;
  std::string field;  // exists and is not null, but for a kArcTask that lacks "train"
};

// By the names of the fields, or from the field `column` unless that is empty: see ReadContent.
Result<FoundContent> FindContent(const nlohmann::json& record, const std::string& column);

// The names of an object's members, at most eight of them: "'a', 'b' (null) and 3 more".
std::string DescribeFields(const nlohmann::json& record);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_RECORD_KIND_H_
