#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/mapped_file.h"
#include "cli/command.h"
#include "cli/data_access.h"
#include "cli/extract_flags.h"
#include "sample/prompt_template.h"
#include "sample/sample_set.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

constexpr const char* kExamples = R"(Examples:
  thresher prompts --model Qwen2.5-0.5B --dataset tasks.jsonl
  thresher prompts --model M --dataset tasks.jsonl --index 17 --variant 3 --prompt my_prompt.jinja
  thresher prompts --list
  thresher prompts --show output-from-examples > my_prompt.jinja

Takes the settings of thresher extract and shows what it makes of them; reads no weights. Each token
is its id and, in quotes, the part of the text that it stands for; a '*' marks those whose rows are
stored, unless all are.

Exit status: 0 all shown can be used, 1 error, 2 wrong usage, 3 one of them cannot be used.)";

// What this command takes beside the settings.
struct PromptsFlags {
  std::optional<int64_t> sample;
  std::optional<int64_t> index;
  std::optional<int64_t> variant;
  std::optional<int64_t> count;
  bool list = false;
  std::string show;
};

// What config.json says about lengths, if it is there.
struct ModelLimits {
  int64_t vocabulary_size = std::numeric_limits<int32_t>::max();
  int64_t max_positions = std::numeric_limits<int32_t>::max();
};

Result<ModelLimits> ReadModelLimits(const std::string& model_directory) {
  ModelLimits limits;
  const std::string path = std::filesystem::path(model_directory) / "config.json";
  const Result<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) {
    if (file.status().code() == Code::kNotFound) return limits;
    return file.status();
  }
  const auto* data = reinterpret_cast<const char*>(file->bytes().data());
  const Result<Json> config = ParseJson({data, file->bytes().size()});
  if (!config.ok()) return config.status().WithContext(path);
  if (!config->is_object()) {
    return InvalidArgument(path + ": expected a JSON object, found " + DescribeJson(&*config));
  }
  const auto read = [&](const char* name, int64_t& limit) {
    const Result<int64_t> value = IntegerField(*config, name, 1, limit, limit);
    if (!value.ok()) return value.status().WithContext(path);
    limit = *value;
    return OkStatus();
  };
  RETURN_IF_ERROR(read("vocab_size", limits.vocabulary_size));
  RETURN_IF_ERROR(read("max_position_embeddings", limits.max_positions));
  return limits;
}

Result<SampleSet> OpenSamples(const ExtractOptions& options) {
  ASSIGN_OR_RETURN(const std::string model_folder, LocalModel(options));
  std::error_code ignored;
  if (!std::filesystem::is_directory(model_folder, ignored)) {
    return NotFound("--model: there is no folder " + model_folder);
  }
  ASSIGN_OR_RETURN(const ModelLimits limits, ReadModelLimits(model_folder));
  SampleReaderOptions reader_options;
  reader_options.settings = options.settings.samples;
  if (reader_options.settings.max_tokens == 0) {
    reader_options.settings.max_tokens = std::min(kDefaultMaxTokens, limits.max_positions);
  }
  reader_options.vocabulary_size = limits.vocabulary_size;
  return SampleSet::Open(options.settings.dataset, model_folder, reader_options,
                         DatasetOptionsOf(options));
}

// Which samples to show.
struct SampleSpan {
  int64_t first = 0;
  int64_t count = 0;
  int64_t step = 1;
};

Result<SampleSpan> ChooseSamples(const PromptsFlags& flags, const SampleSet& samples) {
  constexpr int64_t kFirstFew = 3;
  const int64_t variants = samples.reader().settings().variants;
  const int64_t records = samples.sample_count() / variants;
  const auto check = [](const char* flag, int64_t value, int64_t count, const char* what) {
    if (value >= 0 && value < count) return OkStatus();
    return InvalidArgument(fmt::format("{}: expected a number from 0 to {} ({}), found {}", flag,
                                       count - 1, what, value));
  };
  SampleSpan span;
  if (flags.sample) {
    RETURN_IF_ERROR(check("--sample", *flags.sample, samples.sample_count(), "samples"));
    span.first = *flags.sample;
  } else {
    const int64_t index = flags.index.value_or(0);
    const int64_t variant = flags.variant.value_or(0);
    RETURN_IF_ERROR(check("--index", index, records, "records"));
    RETURN_IF_ERROR(check("--variant", variant, variants, "variants of a record"));
    span.first = index * variants + variant;
  }
  // Without a place: records, not variants of the first one.
  const bool has_place = flags.sample || flags.index || flags.variant;
  if (!has_place) span.step = variants;
  const int64_t count = flags.count.value_or(has_place ? 1 : kFirstFew);
  if (count < 1) {
    return InvalidArgument(fmt::format("--count: expected a number from 1, found {}", count));
  }
  span.count = std::min(count, (samples.sample_count() - span.first) / span.step);
  return span;
}

// The part of the text that the sample's tokens stand for.
std::string TextSeen(const InspectedSample& inspected) {
  int64_t end = 0;
  for (const ByteRange& place : inspected.places) end = std::max(end, place.end);
  return inspected.text->substr(0, static_cast<size_t>(end));
}

std::string JsonOf(int64_t sample, const SampleSet::Inspection& inspection) {
  Json line = {{"sample", sample},
               {"record", inspection.record_index},
               {"variant", inspection.variant},
               {"location", inspection.location}};
  if (!inspection.outcome.ok()) {
    line["rejected"] = inspection.outcome.status().message();
    return line.dump();
  }
  const InspectedSample& inspected = *inspection.outcome;
  line["key"] = inspected.sample.key;
  line["text"] = inspected.text ? Json(TextSeen(inspected)) : Json();
  line["tokens"] = inspected.sample.token_ids.size();
  line["token_ids"] = inspected.sample.token_ids;
  line["sequence_offsets"] = inspected.sample.sequence_offsets;
  line["stored_tokens"] =
      inspected.sample.stored_tokens ? Json(*inspected.sample.stored_tokens) : Json();
  line["truncated"] = inspected.sample.truncated;
  return line.dump();
}

// The part of the text that a token stands for, in quotes; nothing if it is not known.
std::string Piece(const InspectedSample& inspected, size_t token) {
  if (!inspected.text || token >= inspected.places.size()) return "";
  const ByteRange& place = inspected.places[token];
  const auto begin = static_cast<size_t>(place.begin);
  // Of a character that several tokens share, a part.
  return Json(inspected.text->substr(begin, static_cast<size_t>(place.end) - begin))
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Tokens as "785*\" the\"", the star behind those whose rows are stored unless all are. Each
// sequence begins on a line of its own.
std::string TokenLines(const InspectedSample& inspected) {
  constexpr size_t kWidth = 100;
  const Sample& sample = inspected.sample;
  const std::vector<int64_t>& offsets = sample.sequence_offsets;
  std::string text;
  size_t next_stored = 0;
  for (size_t sequence = 0; sequence + 1 < offsets.size(); ++sequence) {
    if (offsets.size() > 2) text += fmt::format("sequence {}:\n", sequence);
    std::string line;
    for (auto i = static_cast<size_t>(offsets[sequence]);
         i < static_cast<size_t>(offsets[sequence + 1]); ++i) {
      const bool is_marked = sample.stored_tokens && next_stored < sample.stored_tokens->size() &&
                             (*sample.stored_tokens)[next_stored] == static_cast<int32_t>(i);
      if (is_marked) ++next_stored;
      const std::string token =
          fmt::format(" {}{}{}", sample.token_ids[i], is_marked ? "*" : "", Piece(inspected, i));
      if (!line.empty() && line.size() + token.size() > kWidth) {
        text += line + "\n";
        line.clear();
      }
      line += token;
    }
    text += line + "\n";
  }
  return text;
}

std::string StoredPart(const Sample& sample) {
  if (!sample.stored_tokens) return "all stored";
  if (sample.stored_tokens->empty()) return "none stored";
  return fmt::format("{} stored (marked *)", sample.stored_tokens->size());
}

std::string TextOf(int64_t sample, const SampleSet::Inspection& inspection) {
  std::string text = fmt::format("=== sample {}: record {}, variant {}, {}", sample,
                                 inspection.record_index, inspection.variant, inspection.location);
  if (!inspection.outcome.ok()) {
    return text + "\nrejected: " + inspection.outcome.status().message() + "\n";
  }
  const InspectedSample& inspected = *inspection.outcome;
  const Sample& made = inspected.sample;
  const size_t sequences = made.sequence_offsets.size() - 1;
  text += fmt::format("{}\n{} tokens in {} sequence{}, {}{}\n",
                      made.key.empty() ? "" : ", key " + made.key, made.token_ids.size(), sequences,
                      sequences == 1 ? "" : "s", StoredPart(made),
                      made.truncated ? "; cut at --max-tokens" : "");
  if (inspected.text) text += "--- text\n" + TextSeen(inspected) + "\n";
  return text + "--- tokens\n" + TokenLines(inspected);
}

std::string PromptList() {
  std::string text;
  for (const BuiltInPrompt& prompt : BuiltInPrompts()) {
    text += fmt::format("{:<22} {}\n", prompt.name, PromptDescription(prompt.text));
  }
  return text;
}

Result<int> ShowSamples(const PromptsFlags& flags, const ExtractOptions& options) {
  const ExtractSettings& settings = options.settings;
  if (flags.sample && (flags.index || flags.variant)) {
    return InvalidArgument(
        "--sample: it names record and variant; give it, or --index and --variant");
  }
  if (settings.model.empty()) return InvalidArgument("--model is missing: give the model's folder");
  if (settings.dataset.empty()) return InvalidArgument("--dataset is missing: give the data set");
  ASSIGN_OR_RETURN(const SampleSet samples, OpenSamples(options));
  ASSIGN_OR_RETURN(const SampleSpan span, ChooseSamples(flags, samples));
  int exit_status = kExitComplete;
  for (int64_t i = 0; i < span.count; ++i) {
    const int64_t sample = span.first + i * span.step;
    ASSIGN_OR_RETURN(const SampleSet::Inspection inspection, samples.Inspect(sample));
    if (!inspection.outcome.ok()) exit_status = kExitExceptions;
    const std::string text =
        settings.json ? JsonOf(sample, inspection) : TextOf(sample, inspection);
    std::printf("%s\n", text.c_str());
  }
  return exit_status;
}

Result<int> Prompts(const PromptsFlags& flags, const ExtractOptions& options) {
  if (flags.list) {
    std::fputs(PromptList().c_str(), stdout);
    return static_cast<int>(kExitComplete);
  }
  if (!flags.show.empty()) {
    const Result<std::string_view> text = BuiltInPromptText(flags.show);
    if (!text.ok()) {
      return InvalidArgument(
          fmt::format("--show: there is no built-in prompt {}; thresher prompts --list names them",
                      Quoted(flags.show)));
    }
    std::fwrite(text->data(), 1, text->size(), stdout);
    return static_cast<int>(kExitComplete);
  }
  return ShowSamples(flags, options);
}

}  // namespace

void AddPromptsCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(
      "prompts", "Show samples as the model will see them, and the built-in prompts");
  command->footer(kExamples);
  auto flags = std::make_shared<PromptsFlags>();
  command->add_option("--sample", flags->sample, "Show this sample, counted from 0");
  command->add_option("--index", flags->index, "Show a sample of this record, counted from 0");
  command->add_option("--variant", flags->variant, "Which of its variants, counted from 0 [0]");
  command->add_option("--count", flags->count,
                      "How many samples from there on [1]; if none was named: of how many records "
                      "the first variant [3]");
  command->add_flag("--list", flags->list, "List the built-in prompts");
  command->add_option("--show", flags->show, "Print the template of a built-in prompt");
  OnExtractSettings(*command, exit_status, {.model = false, .dataset = false, .output = false},
                    [flags](const ExtractOptions& options) { return Prompts(*flags, options); });
}

}  // namespace thresher
