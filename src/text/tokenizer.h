#ifndef THRESHER_TEXT_TOKENIZER_H_
#define THRESHER_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

// A Hugging Face tokenizer (tokenizer.json). Immutable; thread-safe.
class Tokenizer {
 public:
  // Reads DIRECTORY/tokenizer.json. Errors name the file and say what to do.
  static Result<Tokenizer> Load(const std::string& model_directory);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // The token ids of UTF-8 text, as Hugging Face tokenizers gives them. `add_special_tokens` adds
  // what the tokenizer's post-processor adds (such as a BOS token). kInvalidArgument, with the byte
  // offset, if the text is not valid UTF-8.
  Result<std::vector<int32_t>> Encode(std::string_view text, bool add_special_tokens) const;

  // Of the bytes of tokenizer.json.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  struct Handle;
  explicit Tokenizer(std::unique_ptr<Handle> handle);

  std::unique_ptr<Handle> handle_;
  std::string fingerprint_;
};

}  // namespace thresher

#endif  // THRESHER_TEXT_TOKENIZER_H_
