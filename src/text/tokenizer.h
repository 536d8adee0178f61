#ifndef THRESHER_TEXT_TOKENIZER_H_
#define THRESHER_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

// The tokens of one text: three vectors of the same length.
struct Encoding {
  std::vector<int32_t> ids;
  // The byte of the text where each token's text begins, the blank in front of a word included. A
  // token from within a character, or from one that normalisation changed, begins where that
  // character does. A token that the post-processor adds has the place where it stands: 0 or the
  // end of the text.
  std::vector<int64_t> begins;
  // True for tokens that the post-processor adds, and for special tokens that the text spells out.
  std::vector<bool> special;
};

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

  // As Encode, and tells what each token stands for.
  Result<Encoding> EncodeWithOffsets(std::string_view text, bool add_special_tokens) const;

  // The ids of the added tokens that tokenizer.json marks as special, ascending.
  const std::vector<int32_t>& special_token_ids() const { return special_token_ids_; }

  // What the post-processor puts in front of a text; nothing if it puts nothing there.
  std::optional<int32_t> bos_token_id() const { return bos_token_id_; }

  // Of the bytes of tokenizer.json.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  struct Handle;
  explicit Tokenizer(std::unique_ptr<Handle> handle);

  std::unique_ptr<Handle> handle_;
  std::vector<int32_t> special_token_ids_;
  std::optional<int32_t> bos_token_id_;
  std::string fingerprint_;
};

}  // namespace thresher

#endif  // THRESHER_TEXT_TOKENIZER_H_
