#ifndef THRESHER_SAMPLE_SAMPLE_SETTINGS_H_
#define THRESHER_SAMPLE_SAMPLE_SETTINGS_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"

namespace thresher {

// Every setting that decides how records become samples, as the user writes it. Part of the run's
// identity and kept in run.json, so that whoever opens a run can make its samples again.
struct SampleSettings {
  int64_t max_tokens = 2048;          // longest sequence
  std::string overlong = "truncate";  // a longer sample is cut (truncate), set aside (reject), or
                                      // becomes several sequences (split)
  int64_t overlap = 0;                // tokens that a sequence of a split sample repeats
  std::string documents = "file";     // plain text: a document is a file, line or paragraph
  std::string column = {};            // the field that holds the content; empty: found by its name
  std::string code_column = {};       // the field with a program, for prompts about code
  std::string prompt = "output-from-examples";  // of ARC tasks: the name of a template
  std::string prompt_template = {};             // text of a template file; empty: built in
  std::string prompt_end = "assistant";         // user, assistant, or prefix:TEXT
  std::string grid_encoder = "GridCodeBlockEncoder(MinimalGridEncoder())";
  int64_t variants = 1;  // samples of one record
  std::string augment =
      "none";  // what varies: none, or a list of flip, rotate, colors, order, swap
  int64_t seed = 0;
  std::string tokens = "all";           // whose rows are stored
  std::string exclude_tokens = "none";  // none, bos or special

  bool operator==(const SampleSettings&) const = default;

  // Every field by its name; numbers in decimal.
  std::map<std::string, std::string> ToMap() const;

  // kDataLoss, naming the field, if one is missing or not a number. `name` begins the message.
  static Result<SampleSettings> FromMap(const std::map<std::string, std::string>& map,
                                        std::string_view name);
};

}  // namespace thresher

#endif  // THRESHER_SAMPLE_SAMPLE_SETTINGS_H_
