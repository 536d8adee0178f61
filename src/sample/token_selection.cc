#include "sample/token_selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/escapes.h"
#include "base/json.h"
#include "base/random.h"
#include "text/utf8.h"

namespace thresher {
namespace {

constexpr std::string_view kFlag = "--tokens";

template <typename T>
std::optional<T> ParseWhole(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [parsed_end, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || parsed_end != end) return std::nullopt;
  return value;
}

Status BadValue(std::string_view what, std::string_view expected, std::string_view found) {
  return InvalidArgument(
      fmt::format("{}: {}: expected {}, found {}", kFlag, what, expected, Quoted(found)));
}

Result<TokenSelection> ParseWithValue(std::string_view name, std::string_view value) {
  TokenSelection selection;
  if (name == "after") {
    selection.kind = TokenSelection::Kind::kAfter;
    Result<std::string> marker = Unescape(value);
    if (!marker.ok()) return marker.status().WithContext("--tokens: after");
    selection.marker = *std::move(marker);
    if (selection.marker.empty()) return BadValue(name, "a text", value);
    RETURN_IF_ERROR(CheckUtf8(selection.marker).WithContext("--tokens: after"));
  } else if (name == "every") {
    selection.kind = TokenSelection::Kind::kEvery;
    const std::optional<int64_t> interval = ParseWhole<int64_t>(value);
    if (!interval || *interval < 1) return BadValue(name, "a whole number from 1", value);
    selection.interval = *interval;
  } else {
    selection.kind = TokenSelection::Kind::kFraction;
    const std::optional<double> fraction = ParseWhole<double>(value);
    if (!fraction || !(*fraction > 0 && *fraction <= 1)) {
      return BadValue(name, "a number above 0 and at most 1", value);
    }
    selection.fraction = *fraction;
  }
  return selection;
}

Result<TokenSelection> ParseTokens(std::string_view tokens) {
  TokenSelection selection;
  if (tokens == "all") return selection;
  if (tokens == "last") {
    selection.kind = TokenSelection::Kind::kLast;
    return selection;
  }
  if (tokens == "assistant") {
    selection.kind = TokenSelection::Kind::kAssistant;
    return selection;
  }
  const size_t colon = tokens.find(':');
  const std::string_view name = tokens.substr(0, colon);
  if (colon != tokens.npos && (name == "after" || name == "every" || name == "fraction")) {
    return ParseWithValue(name, tokens.substr(colon + 1));
  }
  return InvalidArgument(fmt::format(
      "{}: expected all, last, assistant, after:MARKER, every:K or fraction:P, found {}", kFlag,
      Quoted(tokens)));
}

// Marks what is not excluded.
std::vector<bool> Allowed(const TokenSelection& selection, const SelectableTokens& tokens) {
  std::vector<bool> allowed(tokens.token_ids.size(), true);
  if (selection.excluded == TokenSelection::Excluded::kBos && tokens.bos_id) {
    for (size_t sequence = 0; sequence + 1 < tokens.sequence_offsets.size(); ++sequence) {
      const auto first = static_cast<size_t>(tokens.sequence_offsets[sequence]);
      if (tokens.token_ids[first] == *tokens.bos_id) allowed[first] = false;
    }
  }
  if (selection.excluded == TokenSelection::Excluded::kSpecial && tokens.special_ids != nullptr) {
    for (size_t i = 0; i < allowed.size(); ++i) {
      if (tokens.special_ids->contains(tokens.token_ids[i])) allowed[i] = false;
    }
  }
  return allowed;
}

void AddLast(int64_t begin, int64_t end, const std::vector<bool>& allowed,
             std::vector<int32_t>& selected) {
  for (int64_t i = end; i > begin; --i) {
    if (!allowed[static_cast<size_t>(i - 1)]) continue;
    selected.push_back(static_cast<int32_t>(i - 1));
    return;
  }
}

bool IsInRange(int64_t begin, std::span<const ByteRange> ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const ByteRange& range) {
    return range.begin <= begin && begin < range.end;
  });
}

}  // namespace

Result<TokenSelection> ParseTokenSelection(std::string_view tokens, std::string_view exclude) {
  ASSIGN_OR_RETURN(TokenSelection selection, ParseTokens(tokens));
  if (exclude == "bos") {
    selection.excluded = TokenSelection::Excluded::kBos;
  } else if (exclude == "special") {
    selection.excluded = TokenSelection::Excluded::kSpecial;
  } else if (exclude != "none") {
    return InvalidArgument("--exclude-tokens: expected none, bos or special, found " +
                           Quoted(exclude));
  }
  return selection;
}

double LikelyShare(const TokenSelection& selection) {
  switch (selection.kind) {
    case TokenSelection::Kind::kAll:
      return 1;
    case TokenSelection::Kind::kLast:
      return 0;
    case TokenSelection::Kind::kAssistant:
    case TokenSelection::Kind::kAfter:
      return 0.5;
    case TokenSelection::Kind::kEvery:
      return 1 / static_cast<double>(selection.interval);
    case TokenSelection::Kind::kFraction:
      return selection.fraction;
  }
  return 1;
}

uint64_t FractionSeed(int64_t run_seed, int64_t record_index, int64_t variant) {
  return SeedOf(fmt::format("{}\n{}\n{}\ntokens", run_seed, record_index, variant));
}

std::optional<std::vector<int32_t>> SelectTokens(const TokenSelection& selection,
                                                 const SelectableTokens& tokens) {
  using Kind = TokenSelection::Kind;
  if (selection == TokenSelection()) return std::nullopt;
  const std::vector<bool> allowed = Allowed(selection, tokens);
  std::vector<int32_t> selected;
  Random random(tokens.fraction_seed);
  for (size_t sequence = 0; sequence + 1 < tokens.sequence_offsets.size(); ++sequence) {
    const int64_t begin = tokens.sequence_offsets[sequence];
    const int64_t end = tokens.sequence_offsets[sequence + 1];
    if (selection.kind == Kind::kLast) {
      AddLast(begin, end, allowed, selected);
      continue;
    }
    for (int64_t i = begin; i < end; ++i) {
      const auto index = static_cast<size_t>(i);
      const bool wanted =
          selection.kind == Kind::kAll ||
          (selection.kind == Kind::kEvery && (i - begin) % selection.interval == 0) ||
          (selection.kind == Kind::kFraction && random.Uniform() < selection.fraction) ||
          (selection.IsByText() && IsInRange(tokens.places[index].begin, tokens.ranges));
      if (wanted && allowed[index]) selected.push_back(static_cast<int32_t>(i));
    }
  }
  if (selected.size() == tokens.token_ids.size()) return std::nullopt;
  return selected;
}

}  // namespace thresher
