#include "sample/sequence_split.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

// Appends elements [begin, end) of `source`; nothing if there are none at all.
template <typename T>
void Append(const std::vector<T>& source, int64_t begin, int64_t end, std::vector<T>& target) {
  if (source.empty()) return;
  target.insert(target.end(), source.begin() + begin, source.begin() + end);
}

}  // namespace

SplitTokens Split(TokenList tokens, const SplitOptions& options) {
  const auto count = static_cast<int64_t>(tokens.token_ids.size());
  if (count <= options.max_tokens) {
    return {std::move(tokens.token_ids), std::move(tokens.places), {0, count}};
  }
  const int64_t body_begin = tokens.specials_in_front;
  const int64_t body_end = count - tokens.specials_behind;
  const int64_t capacity = options.max_tokens - body_begin - tokens.specials_behind;
  THRESHER_CHECK(options.overlap >= 0 && capacity > options.overlap);
  SplitTokens split;
  split.sequence_offsets.push_back(0);
  const auto add = [&](int64_t begin, int64_t end) {
    Append(tokens.token_ids, begin, end, split.token_ids);
    Append(tokens.places, begin, end, split.places);
  };
  for (int64_t begin = body_begin;; begin += capacity - options.overlap) {
    const int64_t end = std::min(begin + capacity, body_end);
    add(0, body_begin);
    add(begin, end);
    add(body_end, count);
    split.sequence_offsets.push_back(static_cast<int64_t>(split.token_ids.size()));
    if (end == body_end) return split;
  }
}

}  // namespace thresher
