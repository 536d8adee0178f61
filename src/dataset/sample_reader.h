#ifndef THRESHER_DATASET_SAMPLE_READER_H_
#define THRESHER_DATASET_SAMPLE_READER_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "dataset/dataset.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace thresher {

// A prompt as the model will see it.
struct Sample {
  std::string key;                 // "task_id" or "id" (string or number) of the record, else ""
  std::vector<int32_t> token_ids;  // never empty
  bool truncated = false;
};

// A record that cannot be used, and why: "tasks.jsonl:17: field 'text': expected a string, found a
// number".
struct Rejection {
  std::string reason;
};

using SampleOrRejection = std::variant<Sample, Rejection>;

enum class Overlong { kTruncate, kReject };

struct SampleReaderOptions {
  int64_t max_tokens = 2048;
  Overlong overlong = Overlong::kTruncate;  // truncation keeps the first max_tokens tokens
  int64_t vocabulary_size = 0;              // token ids outside [0, vocabulary_size) are rejected
  int64_t max_record_bytes = int64_t{64} << 20;  // longer lines are rejected unread
};

// Turns records into samples. The kind of a record is found by its keys:
//   {"token_ids": [..]}  as they are
//   {"text": ".."}       tokenised with the tokenizer's special tokens
//   {"messages": [..]}   rendered with the chat template, opening of the assistant's answer
//   included
//   {"train": [..], "test": [..]}  an ARC task: the built-in prompt as one user message, rendered
//                        with the chat template; as plain text if the model has none
// A null field counts as absent; other fields are passed over. Duplicate keys are refused.
// Immutable; thread-safe.
class SampleReader {
 public:
  // `model_directory` is where tokenizer.json and the chat template are. They are loaded at once if
  // they exist; records that need one that does not exist are rejected with a reason that says so.
  // A file that exists and is broken is an error.
  static Result<SampleReader> Create(const std::string& model_directory,
                                     const SampleReaderOptions& options);

  // Never fails as a whole: whatever is wrong with the record is its rejection's reason.
  SampleOrRejection Read(const Dataset& dataset, int64_t record_index) const;

  // Identity of everything that turns a record into token ids (tokenizer, chat template, built-in
  // prompt's text, max_tokens, overlong), for run.json.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  SampleReader() = default;

  // The steps of Read; a failure's message is the rejection's reason without the place.
  Result<Sample> ReadRecord(std::string_view line) const;
  Result<std::vector<int32_t>> Tokens(const nlohmann::json& record, std::string_view line) const;
  Result<std::vector<int32_t>> MessagesTokens(std::string_view messages_json) const;
  Result<std::vector<int32_t>> ArcTokens(const nlohmann::json& record) const;
  Result<std::vector<int32_t>> TextTokens(std::string_view text, bool add_special_tokens) const;

  std::string model_directory_;
  SampleReaderOptions options_;
  std::optional<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_template_;
  std::string fingerprint_;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_SAMPLE_READER_H_
