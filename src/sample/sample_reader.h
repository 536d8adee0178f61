#ifndef THRESHER_SAMPLE_SAMPLE_READER_H_
#define THRESHER_SAMPLE_SAMPLE_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <variant>
#include <vector>

#include "base/result.h"
#include "dataset/dataset.h"
#include "sample/arc_prompter.h"
#include "sample/byte_range.h"
#include "sample/chat_prompt.h"
#include "sample/prompt_end.h"
#include "sample/record_content.h"
#include "sample/sample_settings.h"
#include "sample/sequence_split.h"
#include "sample/token_selection.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace thresher {

// A prompt as the model will see it.
struct Sample {
  // "task_id" or "id" (string or number) of the record, else "". With several variants it is
  // "KEY#VARIANT", unless the record has none.
  std::string key;
  std::vector<int32_t> token_ids;  // never empty; sequence after sequence
  // [sequences + 1], from 0 to token_ids.size(), rising strictly. One sequence, unless the sample
  // was split.
  std::vector<int64_t> sequence_offsets;
  // Ascending indices into token_ids: the tokens whose rows are stored. Nothing: all. Empty only if
  // --tokens last, every or fraction leave none, or if all are excluded.
  std::optional<std::vector<int32_t>> stored_tokens;
  bool truncated = false;
};

// A record that cannot be used, and why: "tasks.jsonl:17: field 'text': expected a string, found a
// number".
struct Rejection {
  std::string reason;
};

using SampleOrRejection = std::variant<Sample, Rejection>;

// A sample with the text that it was made of.
struct InspectedSample {
  Sample sample;
  std::optional<std::string> text;  // before anything was cut; nothing for token ids
  std::vector<ByteRange> places;    // [tokens], of the text; empty for token ids
};

struct SampleReaderOptions {
  SampleSettings settings = {};
  int64_t vocabulary_size = 0;  // token ids outside [0, vocabulary_size) are rejected
  int64_t max_record_bytes = int64_t{64} << 20;  // longer records are rejected unread
  int threads = 0;                               // of SampleSet::Read; 0: one for each core
};

// Turns records into samples (docs/prompts.md): content, prompt, chat template, tokens, sequences,
// selection. Immutable; thread-safe.
class SampleReader {
 public:
  // `model_directory` is where tokenizer.json and the chat template are. They are loaded at once if
  // they exist; records that need one that does not exist are rejected with a reason that says so.
  // A file that exists and is broken is an error, and so is a setting that cannot be used:
  // kInvalidArgument, naming the flag. The settings must be resolved (SampleSet::Open does it).
  static Result<SampleReader> Create(const std::string& model_directory,
                                     const SampleReaderOptions& options);

  // Which sample to make of what.
  struct Source {
    Record record;
    std::string location;      // "tasks.jsonl:17", for messages
    int64_t record_index = 0;  // identifies a record that has no key
    int64_t variant = 0;       // in [0, settings().variants)
  };

  // Never fails as a whole: whatever is wrong with the record is its rejection's reason.
  SampleOrRejection Read(const Source& source) const;

  // Identity of everything that turns a record into token ids (tokenizer, chat template, prompt,
  // settings), for run.json.
  const std::string& fingerprint() const { return fingerprint_; }
  const SampleSettings& settings() const { return options_.settings; }

  // The same for people: what stands for what. kInvalidArgument with the rejection's reason.
  Result<InspectedSample> Inspect(const Source& source) const;

 private:
  SampleReader(const std::string& model_directory, const SampleReaderOptions& options,
               ArcPrompter prompter)
      : model_directory_(model_directory), options_(options), prompter_(std::move(prompter)) {}

  Status LoadModelFiles();
  Status CheckOverlap() const;
  void SetFingerprint();

  // The steps of Read; a failure's message is the rejection's reason without the place.
  Result<RecordContent> Content(const Source& source) const;
  Result<InspectedSample> ReadRecord(const Source& source, bool with_places) const;
  Result<PromptText> Prompt(const RecordContent& content, const Source& source) const;
  Result<PromptText> MessagesPrompt(const std::vector<ChatMessage>& messages,
                                    const std::string& field) const;
  Result<PromptText> ArcPrompt(const RecordContent& content, const Source& source) const;
  Result<TokenList> Tokens(const PromptText& prompt, bool with_places) const;
  Result<std::vector<ByteRange>> SelectedRanges(const PromptText& prompt) const;
  Result<InspectedSample> MakeSample(TokenList tokens, const std::vector<ByteRange>& ranges,
                                     const Source& source) const;

  std::string model_directory_;
  SampleReaderOptions options_;
  ArcPrompter prompter_;
  PromptEnd end_;
  TokenSelection selection_;
  std::optional<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_template_;
  std::unordered_set<int32_t> special_ids_;
  int64_t specials_in_front_ = 0;  // of what the tokenizer puts around a text
  int64_t specials_behind_ = 0;
  std::string fingerprint_;
};

}  // namespace thresher

#endif  // THRESHER_SAMPLE_SAMPLE_READER_H_
