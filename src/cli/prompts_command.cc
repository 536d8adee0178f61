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

Takes the settings of thresher extract and shows what it makes of them; reads no weights. Behind a
token whose row is stored stands a '*'; without any '*', all are.

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

// Which samples to show: the first, and how many.
struct SampleSpan {
  int64_t first = 0;
  int64_t count = 0;
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
  const bool is_one = flags.sample || flags.index || flags.variant;
  const int64_t count = flags.count.value_or(is_one ? 1 : kFirstFew);
  if (count < 1) {
    return InvalidArgument(fmt::format("--count: expected a number from 1, found {}", count));
  }
  span.count = std::min(count, samples.sample_count() - span.first);
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

// Token ids, twelve a line, a line break after each sequence; a '*' behind those that are stored.
std::string TokenLines(const Sample& sample) {
  constexpr int kTokensOfLine = 12;
  std::string text;
  size_t next_stored = 0;
  size_t sequence = 1;
  int on_line = 0;
  for (size_t i = 0; i < sample.token_ids.size(); ++i) {
    const bool is_marked = sample.stored_tokens && next_stored < sample.stored_tokens->size() &&
                           (*sample.stored_tokens)[next_stored] == static_cast<int32_t>(i);
    if (is_marked) ++next_stored;
    text += fmt::format(" {}{}", sample.token_ids[i], is_marked ? "*" : "");
    const bool ends_sequence = static_cast<int64_t>(i) + 1 == sample.sequence_offsets[sequence];
    if (ends_sequence || ++on_line == kTokensOfLine) {
      text += '\n';
      on_line = 0;
    }
    if (ends_sequence) ++sequence;
  }
  return text;
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
  text += fmt::format("{}\n{} tokens in {} sequence{}, {} stored{}\n",
                      made.key.empty() ? "" : ", key " + made.key, made.token_ids.size(), sequences,
                      sequences == 1 ? "" : "s",
                      made.stored_tokens ? made.stored_tokens->size() : made.token_ids.size(),
                      made.truncated ? "; cut at --max-tokens" : "");
  if (inspected.text) text += "--- text\n" + TextSeen(inspected) + "\n";
  return text + "--- token ids\n" + TokenLines(made);
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
  for (int64_t sample = span.first; sample < span.first + span.count; ++sample) {
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
    Result<std::string_view> text = BuiltInPromptText(flags.show);
    if (!text.ok()) return text.status();
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
                      "How many samples from there on [1; 3 if none was named]");
  command->add_flag("--list", flags->list, "List the built-in prompts");
  command->add_option("--show", flags->show, "Print the template of a built-in prompt");
  OnExtractSettings(*command, exit_status, {.model = false, .dataset = false, .output = false},
                    [flags](const ExtractOptions& options) { return Prompts(*flags, options); });
}

}  // namespace thresher
