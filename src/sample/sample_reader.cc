#include "sample/sample_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/fingerprint.h"
#include "base/json.h"
#include "sample/settings_check.h"

namespace thresher {
namespace {

// Loads what may be missing: nothing if it does not exist.
template <typename T>
Result<std::optional<T>> LoadIfExists(const std::string& model_directory) {
  Result<T> loaded = T::Load(model_directory);
  if (loaded.ok()) return std::optional<T>(std::move(loaded).value());
  if (loaded.status().code() == Code::kNotFound) return std::optional<T>();
  return loaded.status();
}

std::string KeyOf(const RecordContent& content, int64_t variant, int64_t variants) {
  if (content.key.empty() || variants == 1) return content.key;
  return fmt::format("{}#{}", content.key, variant);
}

// A token ends where the next one begins.
std::vector<ByteRange> PlacesOf(const std::vector<int64_t>& begins, size_t text_bytes) {
  std::vector<ByteRange> places(begins.size());
  int64_t end = static_cast<int64_t>(text_bytes);
  for (size_t i = begins.size(); i > 0; --i) {
    places[i - 1] = {begins[i - 1], end};
    end = begins[i - 1];
  }
  return places;
}

// "field 'text': ", or nothing for plain text.
std::string FieldPrefix(const std::string& field) {
  return field.empty() ? "" : fmt::format("field {}: ", Quoted(field));
}

}  // namespace

Result<SampleReader> SampleReader::Create(const std::string& model_directory,
                                          const SampleReaderOptions& options) {
  THRESHER_CHECK(options.settings.max_tokens > 0);
  THRESHER_CHECK(options.settings.variants > 0);
  THRESHER_CHECK(options.vocabulary_size > 0);
  RETURN_IF_ERROR(CheckSampleSettings(options.settings));
  ASSIGN_OR_RETURN(ArcPrompter prompter, ArcPrompter::Create(options.settings));
  SampleReader reader(model_directory, options, std::move(prompter));
  ASSIGN_OR_RETURN(reader.end_, ParsePromptEnd(options.settings.prompt_end));
  ASSIGN_OR_RETURN(reader.selection_,
                   ParseTokenSelection(options.settings.tokens, options.settings.exclude_tokens));
  RETURN_IF_ERROR(reader.LoadModelFiles());
  RETURN_IF_ERROR(reader.CheckOverlap());
  reader.SetFingerprint();
  return reader;
}

Status SampleReader::LoadModelFiles() {
  ASSIGN_OR_RETURN(tokenizer_, LoadIfExists<Tokenizer>(model_directory_));
  ASSIGN_OR_RETURN(chat_template_, LoadIfExists<ChatTemplate>(model_directory_));
  if (!tokenizer_) return OkStatus();
  special_ids_.insert(tokenizer_->special_token_ids().begin(),
                      tokenizer_->special_token_ids().end());
  // What the tokenizer puts around a text is what it puts around this one.
  constexpr std::string_view kText = "a";
  ASSIGN_OR_RETURN(const std::vector<int32_t> bare, tokenizer_->Encode(kText, false));
  ASSIGN_OR_RETURN(const std::vector<int32_t> whole, tokenizer_->Encode(kText, true));
  const auto found = std::search(whole.begin(), whole.end(), bare.begin(), bare.end());
  if (found == whole.end()) return OkStatus();
  specials_in_front_ = found - whole.begin();
  specials_behind_ = static_cast<int64_t>(whole.size() - bare.size()) - specials_in_front_;
  return OkStatus();
}

Status SampleReader::CheckOverlap() const {
  const SampleSettings& settings = options_.settings;
  const int64_t specials = specials_in_front_ + specials_behind_;
  const int64_t most = settings.max_tokens - specials - 1;
  if (settings.overlong != "split" || settings.overlap <= most) return OkStatus();
  if (most < 0) {
    return InvalidArgument(fmt::format(
        "--max-tokens: expected more than the {} special tokens around each sequence, found {}",
        specials, settings.max_tokens));
  }
  return InvalidArgument(
      fmt::format("--overlap: expected a number from 0 to {} (--max-tokens {} without {} special "
                  "tokens, less 1), found {}",
                  most, settings.max_tokens, specials, settings.overlap));
}

void SampleReader::SetFingerprint() {
  Fingerprinter fingerprinter;
  fingerprinter.AddField(tokenizer_ ? tokenizer_->fingerprint() : "");
  fingerprinter.AddField(chat_template_ ? chat_template_->fingerprint() : "");
  fingerprinter.AddField(prompter_.fingerprint());
  for (const auto& [name, value] : options_.settings.ToMap()) {
    fingerprinter.AddField(name);
    fingerprinter.AddField(value);
  }
  fingerprint_ = fingerprinter.Finish();
}

SampleOrRejection SampleReader::Read(const Source& source) const {
  Result<InspectedSample> read = ReadRecord(source, /*with_places=*/selection_.IsByText());
  if (read.ok()) return std::move(read->sample);
  return Rejection{source.location + ": " + read.status().message()};
}

Result<InspectedSample> SampleReader::Inspect(const Source& source) const {
  Result<InspectedSample> read = ReadRecord(source, /*with_places=*/true);
  if (!read.ok()) return read.status().WithContext(source.location);
  return read;
}

Result<RecordContent> SampleReader::Content(const Source& source) const {
  const SampleSettings& settings = options_.settings;
  ASSIGN_OR_RETURN(RecordContent content,
                   ReadContent(source.record, {.column = settings.column,
                                               .code_column = settings.code_column,
                                               .vocabulary_size = options_.vocabulary_size,
                                               .max_record_bytes = options_.max_record_bytes}));
  if (source.variant == 0 || content.IsArc()) return content;
  return InvalidArgument(fmt::format(
      "variant {}: only ARC tasks have variants, and this record is none (--variants {})",
      source.variant, settings.variants));
}

Result<InspectedSample> SampleReader::ReadRecord(const Source& source, bool with_places) const {
  ASSIGN_OR_RETURN(const RecordContent content, Content(source));
  TokenList tokens;
  PromptText prompt;
  std::vector<ByteRange> ranges;
  if (const auto* ids = std::get_if<TokenIdsContent>(&content.value)) {
    if (selection_.IsByText()) {
      return InvalidArgument(FieldPrefix(content.field) + "--tokens " + options_.settings.tokens +
                             ": the text of token ids is not known");
    }
    tokens.token_ids = ids->token_ids;
  } else {
    ASSIGN_OR_RETURN(prompt, Prompt(content, source));
    ASSIGN_OR_RETURN(ranges, SelectedRanges(prompt));
    ASSIGN_OR_RETURN(tokens, Tokens(prompt, with_places));
  }
  if (tokens.token_ids.empty()) {
    return InvalidArgument(FieldPrefix(content.field) + "expected at least one token, found none");
  }
  ASSIGN_OR_RETURN(InspectedSample made, MakeSample(std::move(tokens), ranges, source));
  made.sample.key = KeyOf(content, source.variant, options_.settings.variants);
  if (!std::holds_alternative<TokenIdsContent>(content.value)) made.text = std::move(prompt.text);
  return made;
}

Result<PromptText> SampleReader::Prompt(const RecordContent& content, const Source& source) const {
  if (const auto* text = std::get_if<TextContent>(&content.value)) {
    if (selection_.kind == TokenSelection::Kind::kAssistant) {
      return InvalidArgument(FieldPrefix(content.field) +
                             "--tokens assistant: a text has no turns of an assistant");
    }
    return PromptText{.text = text->text, .add_special_tokens = true};
  }
  if (const auto* messages = std::get_if<MessagesContent>(&content.value)) {
    return MessagesPrompt(messages->messages, content.field);
  }
  return ArcPrompt(content, source);
}

Result<PromptText> SampleReader::MessagesPrompt(const std::vector<ChatMessage>& messages,
                                                const std::string& field) const {
  if (!chat_template_) {
    return InvalidArgument(
        fmt::format("field {}: the model has no chat template ({} has neither "
                    "chat_template.jinja nor 'chat_template' in tokenizer_config.json); use "
                    "'text' or 'token_ids'",
                    Quoted(field), model_directory_));
  }
  return RenderConversation(*chat_template_, messages, end_,
                            selection_.kind == TokenSelection::Kind::kAssistant);
}

Result<PromptText> SampleReader::ArcPrompt(const RecordContent& content,
                                           const Source& source) const {
  const bool with_answer = end_.kind == PromptEnd::Kind::kAnswer;
  ASSIGN_OR_RETURN(const ArcPrompter::Prompt made,
                   prompter_.Make({.content = std::get<ArcContent>(content.value),
                                   .task_id = content.key.empty()
                                                  ? fmt::format("task_{:08}", source.record_index)
                                                  : content.key,
                                   .variant = source.variant,
                                   .with_answer = with_answer}));
  if (chat_template_) {
    std::vector<ChatMessage> messages = {MakeMessage("user", made.text)};
    if (with_answer) messages.push_back(MakeMessage("assistant", made.answer));
    return MessagesPrompt(messages, content.field);
  }
  const auto begin = static_cast<int64_t>(made.text.size());
  PromptText prompt{
      .text = made.text + made.answer + end_.prefix,
      .add_special_tokens = true,
  };
  prompt.assistant_turns = {{begin, static_cast<int64_t>(prompt.text.size())}};
  return prompt;
}

Result<std::vector<ByteRange>> SampleReader::SelectedRanges(const PromptText& prompt) const {
  if (selection_.kind != TokenSelection::Kind::kAfter) return prompt.assistant_turns;
  const size_t found = prompt.text.rfind(selection_.marker);
  if (found == std::string::npos) {
    return InvalidArgument(fmt::format("--tokens after: the prompt does not have the marker {}",
                                       Quoted(selection_.marker)));
  }
  return std::vector<ByteRange>{{.begin = static_cast<int64_t>(found + selection_.marker.size()),
                                 .end = std::numeric_limits<int64_t>::max()}};
}

Result<TokenList> SampleReader::Tokens(const PromptText& prompt, bool with_places) const {
  if (!tokenizer_) {
    return InvalidArgument(
        fmt::format("the model has no tokenizer ({} has no tokenizer.json); use 'token_ids'",
                    model_directory_));
  }
  TokenList tokens;
  if (with_places) {
    ASSIGN_OR_RETURN(Encoding encoding,
                     tokenizer_->EncodeWithOffsets(prompt.text, prompt.add_special_tokens));
    tokens.token_ids = std::move(encoding.ids);
    tokens.places = PlacesOf(encoding.begins, prompt.text.size());
  } else {
    ASSIGN_OR_RETURN(tokens.token_ids, tokenizer_->Encode(prompt.text, prompt.add_special_tokens));
  }
  if (prompt.add_special_tokens) {
    tokens.specials_in_front = specials_in_front_;
    tokens.specials_behind = specials_behind_;
  }
  for (const int32_t id : tokens.token_ids) {
    if (id >= options_.vocabulary_size) {
      return InvalidArgument(
          fmt::format("the tokenizer gives token id {}, but the model's vocabulary has {}: "
                      "tokenizer.json in {} belongs to another model",
                      id, options_.vocabulary_size, model_directory_));
    }
  }
  return tokens;
}

Result<InspectedSample> SampleReader::MakeSample(TokenList tokens,
                                                 const std::vector<ByteRange>& ranges,
                                                 const Source& source) const {
  const SampleSettings& settings = options_.settings;
  const auto count = static_cast<int64_t>(tokens.token_ids.size());
  InspectedSample made;
  Sample& sample = made.sample;
  sample.truncated = count > settings.max_tokens && settings.overlong != "split";
  if (sample.truncated) {
    if (settings.overlong == "reject") {
      return InvalidArgument(
          fmt::format("{} tokens, more than the limit of {}", count, settings.max_tokens));
    }
    tokens.token_ids.resize(static_cast<size_t>(settings.max_tokens));
    if (!tokens.places.empty()) tokens.places.resize(tokens.token_ids.size());
  }
  SplitTokens split =
      Split(std::move(tokens), {.max_tokens = settings.max_tokens, .overlap = settings.overlap});
  sample.stored_tokens = SelectTokens(
      selection_,
      {.token_ids = split.token_ids,
       .sequence_offsets = split.sequence_offsets,
       .places = split.places,
       .ranges = ranges,
       .fraction_seed = FractionSeed(settings.seed, source.record_index, source.variant),
       .bos_id = tokenizer_ ? tokenizer_->bos_token_id() : std::nullopt,
       .special_ids = &special_ids_});
  if (selection_.IsByText() && sample.stored_tokens && sample.stored_tokens->empty()) {
    return InvalidArgument(fmt::format(
        "--tokens {}: no token is selected{}", settings.tokens,
        sample.truncated ? "; the prompt was cut before: a larger --max-tokens may help" : ""));
  }
  sample.token_ids = std::move(split.token_ids);
  sample.sequence_offsets = std::move(split.sequence_offsets);
  made.places = std::move(split.places);
  return made;
}

}  // namespace thresher
