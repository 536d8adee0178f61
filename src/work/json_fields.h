#ifndef THRESHER_WORK_JSON_FIELDS_H_
#define THRESHER_WORK_JSON_FIELDS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

// JSON objects whose keys keep the order in which they were added: what records are written as.
using Json = nlohmann::ordered_json;

// Parses the text of a record. Errors begin with `name` (the object's key in the store).
Result<Json> ParseRecord(std::string_view text, std::string_view name);

// Reads the fields of a JSON object one by one and keeps the first thing that is wrong, so that a
// record's parser is a list of its fields with one check at the end. After an error every read
// gives an empty value.
class JsonFields {
 public:
  // `name` begins each message: "run.json: field 'shard_bytes': expected ..., found ...".
  JsonFields(const Json& object, std::string name);

  std::string String(const char* key);
  int64_t Integer(const char* key, int64_t minimum);
  double Number(const char* key);
  std::vector<std::string> Strings(const char* key);
  std::vector<int64_t> Integers(const char* key);
  const Json& Object(const char* key);
  const Json& Array(const char* key);

  bool Has(const char* key) const { return object_.is_object() && object_.contains(key); }

  // Keeps `status` unless something was wrong before.
  void Add(const Status& status);

  const Status& status() const { return status_; }

 private:
  const Json* Find(const char* key, const char* expected, bool (*is_right)(const Json&));
  void Fail(const char* key, std::string_view expected, const Json& found);

  const Json& object_;
  std::string name_;
  Status status_;
};

}  // namespace thresher

#endif  // THRESHER_WORK_JSON_FIELDS_H_
