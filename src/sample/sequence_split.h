#ifndef THRESHER_SAMPLE_SEQUENCE_SPLIT_H_
#define THRESHER_SAMPLE_SEQUENCE_SPLIT_H_

#include <cstdint>
#include <vector>

#include "sample/byte_range.h"

namespace thresher {

// The tokens of a sample before it is known how many sequences they become.
struct TokenList {
  std::vector<int32_t> token_ids;
  std::vector<ByteRange> places;  // [tokens], of the text; empty if not asked for
  int64_t specials_in_front = 0;  // of token_ids: what the tokenizer puts around every text
  int64_t specials_behind = 0;
};

struct SplitTokens {
  std::vector<int32_t> token_ids;
  std::vector<ByteRange> places;          // as in TokenList
  std::vector<int64_t> sequence_offsets;  // [sequences + 1]
};

struct SplitOptions {
  int64_t max_tokens = 0;  // of a sequence
  int64_t overlap = 0;     // tokens at its beginning that the sequence before it has, too
};

// One sequence if the tokens fit into one. Otherwise as many as needed, each as long as possible,
// each with the special tokens in front and behind; they count in max_tokens, and the overlap does
// not repeat them. `max_tokens` must exceed the specials and the overlap together.
SplitTokens Split(TokenList tokens, const SplitOptions& options);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_SEQUENCE_SPLIT_H_
