#ifndef THRESHER_SAMPLE_TOKEN_SELECTION_H_
#define THRESHER_SAMPLE_TOKEN_SELECTION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "sample/byte_range.h"

namespace thresher {

// The tokens of a sample whose rows are stored.
struct TokenSelection {
  enum class Kind {
    kAll,
    kLast,       // the last token of each sequence that is not excluded
    kAssistant,  // of the assistant's turns
    kAfter,      // that begin at or after the end of the marker's last occurrence
    kEvery,      // positions 0, interval, 2 * interval, ... of each sequence
    kFraction,   // each with this probability
  };
  enum class Excluded { kNone, kBos, kSpecial };

  Kind kind = Kind::kAll;
  std::string marker;    // kAfter: not empty
  int64_t interval = 1;  // kEvery: at least 1
  double fraction = 1;   // kFraction: above 0, at most 1
  Excluded excluded = Excluded::kNone;

  // True if it depends on where in the text a token begins.
  bool IsByText() const { return kind == Kind::kAssistant || kind == Kind::kAfter; }
  bool operator==(const TokenSelection&) const = default;
};

// Reads the settings --tokens (all, last, assistant, after:MARKER, every:K, fraction:P; escapes of
// MARKER as in Unescape) and --exclude-tokens (none, bos, special). kInvalidArgument names the
// flag.
Result<TokenSelection> ParseTokenSelection(std::string_view tokens, std::string_view exclude);

// The part of a data set's tokens that are selected, as far as it is known without the texts: of
// kLast as good as none, of kAssistant and kAfter a half, which is a guess.
double LikelyShare(const TokenSelection& selection);

// The seed of kFraction, which draws one number for each token of a sample, stored or not, so that
// everybody selects the same.
uint64_t FractionSeed(int64_t run_seed, int64_t record_index, int64_t variant);

// What SelectTokens looks at. `places` and `ranges` are used if IsByText.
struct SelectableTokens {
  std::span<const int32_t> token_ids;
  std::span<const int64_t> sequence_offsets = {};  // [sequences + 1]
  std::span<const ByteRange> places = {};          // [tokens], of the text
  std::span<const ByteRange> ranges = {};          // the tokens that begin inside are selected
  uint64_t fraction_seed = 0;
  std::optional<int32_t> bos_id = {};                        // kBos leaves it out at the beginning
  const std::unordered_set<int32_t>* special_ids = nullptr;  // kSpecial leaves them out
};

// Ascending indices into token_ids; nothing if all are selected. May be empty.
std::optional<std::vector<int32_t>> SelectTokens(const TokenSelection& selection,
                                                 const SelectableTokens& tokens);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_TOKEN_SELECTION_H_
