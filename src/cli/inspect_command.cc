#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_size.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/run_folder.h"
#include "cli/store_command.h"
#include "extract/run_store.h"
#include "extract/run_summary.h"
#include "shard/safetensors.h"
#include "work/keys.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher inspect runs/first
  thresher inspect runs/first --all
  thresher inspect runs/first/tpu_0/unit-000000-e1-5f0c.safetensors
  thresher inspect s3://bucket/second --store-anonymous
  thresher inspect model.safetensors --json

Of a run: what it computes and how much of it is there, statistics of each hook point over all
commits, and the first shards. Of a .safetensors file (any, not only a shard): its tensors, its
metadata and, of a shard, its first sequences. Reads no activations.)";

constexpr size_t kFirstLines = 16;
constexpr size_t kLastLines = 4;
constexpr int64_t kShownSequences = 5;
constexpr int64_t kShownTokens = 12;

struct InspectSettings {
  std::string target;
  bool all = false;
  bool json = false;
};

void PrintField(const char* name, const std::string& text) {
  std::printf("%-14s %s\n", name, text.c_str());
}

void PrintLineOf(const std::string& text) { std::printf("%s\n", text.c_str()); }

void PrintObject(const Json& json) {
  PrintLineOf(json.dump(1, ' ', false, Json::error_handler_t::replace));
}

// A name from a file: as it is if it can be shown.
std::string Shown(const std::string& name) {
  const bool is_plain =
      std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return is_plain ? name : Quoted(name);
}

// Calls print(i) for each of `count` lines; in a long list only for the first and the last ones.
template <typename PrintFn>
void PrintAbbreviated(size_t count, bool all, const PrintFn& print) {
  const bool is_short = all || count <= kFirstLines + kLastLines + 1;
  for (size_t i = 0; i < count; ++i) {
    if (!is_short && i == kFirstLines) {
      PrintLineOf(
          fmt::format("  ... {} more (--all shows them)", count - kFirstLines - kLastLines));
      i = count - kLastLines;
    }
    print(i);
  }
}

// --- runs ---

void PrintSpec(const Store& store, const Run& run) {
  const RunSpec& spec = run.spec;
  PrintField("run", store.url());
  PrintField("fingerprint", run.fingerprint);
  PrintField("model",
             fmt::format("{} ({}, {} layers, width {})", spec.model.path, spec.model.architecture,
                         spec.model.layer_count, spec.model.hidden_size));
  PrintField("weights", spec.model.weights_fingerprint);
  PrintField("data set", fmt::format("{} ({} samples)", spec.dataset.path,
                                     FormatCount(spec.dataset.sample_count)));
  const auto setting = [&](const char* name) {
    const auto found = spec.prompts.settings.find(name);
    return found == spec.prompts.settings.end() ? "unknown" : found->second;
  };
  PrintField("prompts", fmt::format("at most {} tokens, longer ones: {}; tokens stored: {}",
                                    setting("max_tokens"), setting("overlong"), setting("tokens")));
  PrintField("stored as", fmt::format("{}, computed in {} by engine {}", spec.capture.dtype,
                                      spec.capture.compute, spec.capture.engine));
  PrintField("hook points", FormatCount(static_cast<int64_t>(spec.capture.hooks.size())));
  PrintField("written by", "thresher " + spec.program_version);
}

void PrintStatistics(const RunSummary& summary, bool all) {
  size_t width = 10;
  for (const HookStatistics& hook : summary.statistics) width = std::max(width, hook.name.size());
  PrintLineOf(fmt::format("\n{:<{}}  {:>15}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}", "hook point",
                          width, "values", "mean", "std", "rms", "max |x|", "not finite"));
  PrintAbbreviated(summary.statistics.size(), all, [&](size_t i) {
    const HookStatistics& hook = summary.statistics[i];
    const Moments moments = MomentsOf(hook.statistics);
    PrintLineOf(fmt::format("{:<{}}  {:>15}  {:>10.3g}  {:>10.4g}  {:>10.4g}  {:>10.4g}  {:>10}",
                            Shown(hook.name), width, FormatCount(hook.statistics.count),
                            moments.mean, moments.standard_deviation, moments.root_mean_square,
                            hook.statistics.max_abs, FormatCount(hook.statistics.not_finite)));
  });
}

std::vector<std::string> FinishFilesOf(Store& store) {
  std::vector<std::string> files;
  for (const std::string_view key : kFinishKeys) {
    if (store.Stat(key).ok()) files.emplace_back(key);
  }
  return files;
}

void PrintRun(Store& store, const Run& run, const RunSummary& summary, bool all) {
  PrintSpec(store, run);
  PrintField(
      "units",
      fmt::format("{} of {} committed, {} set aside", FormatCount(summary.committed_count),
                  FormatCount(run.plan.unit_count()), FormatCount(summary.quarantined_count)));
  PrintField(
      "samples",
      fmt::format("{} stored, {} rejected, {} truncated", FormatCount(summary.samples_stored),
                  FormatCount(summary.samples_rejected), FormatCount(summary.samples_truncated)));
  PrintField("tokens", TokensText(summary.tokens, summary.forward_tokens));
  PrintField("bytes", FormatBytes(static_cast<double>(summary.bytes)));
  for (const RejectionKind& kind : summary.rejection_kinds) {
    PrintField("rejected", fmt::format("{}: {}", FormatCount(kind.count), kind.reason));
  }
  const std::vector<std::string> files = FinishFilesOf(store);
  PrintField("finished", files.empty() ? "no" : fmt::format("{}", fmt::join(files, ", ")));
  for (const std::string& problem : summary.unreadable) PrintField("unreadable", problem);
  if (summary.committed_count == 0) return;
  PrintStatistics(summary, all);
  std::printf("\nfirst shards\n");
  for (const Commit& commit : summary.first_commits) {
    PrintLineOf(fmt::format("  {}  {}, {} samples, {} tokens", Shown(commit.shard),
                            FormatBytes(static_cast<double>(commit.bytes)),
                            FormatCount(commit.stored_sample_count()),
                            TokensText(commit.token_count, commit.forward_token_count)));
  }
}

Json RunJson(Store& store, const Run& run, const RunSummary& summary) {
  Json json = {{"url", store.url()},
               {"run", Json::parse(run.spec.ToText())},
               {"unit_count", run.plan.unit_count()},
               {"units_committed", summary.committed_count},
               {"units_quarantined", summary.quarantined_count},
               {"samples_stored", summary.samples_stored},
               {"samples_rejected", summary.samples_rejected},
               {"samples_truncated", summary.samples_truncated},
               {"tokens", summary.tokens},
               {"forward_tokens", summary.forward_tokens},
               {"bytes", summary.bytes},
               {"finish_files", FinishFilesOf(store)},
               {"unreadable", summary.unreadable}};
  json["rejected_by_reason"] = Json::array();
  for (const RejectionKind& kind : summary.rejection_kinds) {
    json["rejected_by_reason"].push_back({{"reason", kind.reason}, {"count", kind.count}});
  }
  json["hook_points"] = Json::array();
  for (const HookStatistics& hook : summary.statistics) {
    const Moments moments = MomentsOf(hook.statistics);
    json["hook_points"].push_back({{"name", hook.name},
                                   {"values", hook.statistics.count},
                                   {"mean", moments.mean},
                                   {"standard_deviation", moments.standard_deviation},
                                   {"root_mean_square", moments.root_mean_square},
                                   {"norm", moments.norm},
                                   {"max_abs", hook.statistics.max_abs},
                                   {"not_finite", hook.statistics.not_finite}});
  }
  json["first_shards"] = Json::array();
  for (const Commit& commit : summary.first_commits) {
    json["first_shards"].push_back({{"unit", commit.unit},
                                    {"shard", commit.shard},
                                    {"bytes", commit.bytes},
                                    {"samples", commit.stored_sample_count()},
                                    {"sequences", commit.sequence_count},
                                    {"tokens", commit.token_count},
                                    {"forward_tokens", commit.forward_token_count}});
  }
  return json;
}

Status InspectRun(const InspectSettings& settings, const StoreOptions& store_options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                   OpenRunFolder(settings.target, store_options));
  ASSIGN_OR_RETURN(const Run run, LoadRun(*store));
  ASSIGN_OR_RETURN(const RunSummary summary, SummariseRun(*store, run));
  if (settings.json) {
    PrintObject(RunJson(*store, run, summary));
  } else {
    PrintRun(*store, run, summary, settings.all);
  }
  return OkStatus();
}

// --- files ---

// The first sequences of a shard, as its small tensors tell.
struct SequenceLine {
  int64_t sample = 0;
  std::string key;
  int64_t tokens = 0;  // stored
  std::vector<int32_t> first_token_ids;
  std::vector<int32_t> first_positions;
};

struct FileContent {
  int64_t bytes = 0;
  SafetensorsHeader header;
  std::vector<SequenceLine> sequences;
};

// Up to `count` elements from `first` on; fewer at the tensor's end, none if it has another dtype.
template <typename T>
Result<std::vector<T>> ReadElements(Store& store, const std::string& key, const TensorEntry* entry,
                                    DType dtype, int64_t first, int64_t count) {
  std::vector<T> elements;
  if (entry == nullptr || entry->dtype != dtype || entry->shape.size() != 1) return elements;
  const int64_t begin = std::clamp<int64_t>(first, 0, entry->shape[0]);
  elements.resize(static_cast<size_t>(std::clamp<int64_t>(count, 0, entry->shape[0] - begin)));
  if (elements.empty()) return elements;
  RETURN_IF_ERROR(store.GetRange(key, entry->begin + begin * static_cast<int64_t>(sizeof(T)),
                                 std::as_writable_bytes(std::span(elements))));
  return elements;
}

Result<std::vector<SequenceLine>> ReadSequences(Store& store, const std::string& key,
                                                const SafetensorsHeader& header) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> samples,
                   ReadElements<int64_t>(store, key, header.Find("sample_index"), DType::kI64, 0,
                                         kShownSequences));
  ASSIGN_OR_RETURN(const std::vector<int64_t> offsets,
                   ReadElements<int64_t>(store, key, header.Find("sequence_offsets"), DType::kI64,
                                         0, kShownSequences + 1));
  nlohmann::json keys;
  if (const auto found = header.metadata.find("sample_keys"); found != header.metadata.end()) {
    keys = nlohmann::json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  }
  std::vector<SequenceLine> lines;
  for (size_t i = 0; i < samples.size() && i + 1 < offsets.size(); ++i) {
    SequenceLine line;
    line.sample = samples[i];
    if (keys.is_array() && i < keys.size() && keys[i].is_string()) line.key = keys[i];
    // A damaged file may hold anything.
    if (offsets[i] >= 0 && offsets[i + 1] >= offsets[i]) line.tokens = offsets[i + 1] - offsets[i];
    ASSIGN_OR_RETURN(line.first_token_ids,
                     ReadElements<int32_t>(store, key, header.Find("token_ids"), DType::kI32,
                                           offsets[i], std::min(line.tokens, kShownTokens)));
    ASSIGN_OR_RETURN(line.first_positions,
                     ReadElements<int32_t>(store, key, header.Find("positions"), DType::kI32,
                                           offsets[i], std::min(line.tokens, kShownTokens)));
    lines.push_back(std::move(line));
  }
  return lines;
}

Result<FileContent> ReadFile(Store& store, const std::string& key) {
  FileContent content;
  ASSIGN_OR_RETURN(const ObjectInfo info, store.Stat(key));
  content.bytes = info.bytes;
  std::vector<std::byte> bytes(static_cast<size_t>(std::min<int64_t>(8, info.bytes)));
  RETURN_IF_ERROR(store.GetRange(key, 0, bytes));
  ASSIGN_OR_RETURN(const int64_t data_begin, SafetensorsDataBegin(bytes, info.bytes));
  bytes.resize(static_cast<size_t>(data_begin));
  RETURN_IF_ERROR(store.GetRange(key, 0, bytes));
  ASSIGN_OR_RETURN(content.header, ParseSafetensorsHeader(bytes, info.bytes));
  ASSIGN_OR_RETURN(content.sequences, ReadSequences(store, key, content.header));
  return content;
}

// A tensor as the listing shows it, whether its dtype is known or not.
struct TensorLine {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  int64_t begin = 0;
  int64_t bytes = 0;
};

std::vector<TensorLine> TensorLines(const SafetensorsHeader& header) {
  std::vector<TensorLine> lines;
  for (const TensorEntry& tensor : header.tensors) {
    lines.push_back({tensor.name, std::string(SafetensorsName(tensor.dtype)), tensor.shape,
                     tensor.begin, tensor.end - tensor.begin});
  }
  for (const OpaqueTensor& tensor : header.opaque) {
    lines.push_back(
        {tensor.name, tensor.dtype_name, tensor.shape, tensor.begin, tensor.end - tensor.begin});
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const TensorLine& a, const TensorLine& b) { return a.begin < b.begin; });
  return lines;
}

void PrintTensors(const std::vector<TensorLine>& lines, bool all) {
  size_t width = 6;
  for (const TensorLine& line : lines) width = std::max(width, Shown(line.name).size());
  PrintLineOf(
      fmt::format("\n{:<{}}  {:<8}  {:<20}  {:>10}", "tensor", width, "dtype", "shape", "bytes"));
  PrintAbbreviated(lines.size(), all, [&](size_t i) {
    const TensorLine& line = lines[i];
    PrintLineOf(fmt::format("{:<{}}  {:<8}  {:<20}  {:>10}", Shown(line.name), width,
                            Shown(line.dtype), fmt::format("[{}]", fmt::join(line.shape, ", ")),
                            FormatBytes(static_cast<double>(line.bytes))));
  });
}

// Nothing where every token's row is stored, so that positions count from 0.
std::string PositionsText(const SequenceLine& line) {
  const std::vector<int32_t>& positions = line.first_positions;
  if (positions.empty() || positions.back() + 1 == static_cast<int64_t>(positions.size())) {
    return "";
  }
  return fmt::format(", at positions {}{}", fmt::join(positions, " "),
                     line.tokens > kShownTokens ? " ..." : "");
}

void PrintFile(const std::string& name, const FileContent& content, bool all) {
  const std::vector<TensorLine> tensors = TensorLines(content.header);
  PrintField("file", name);
  PrintField("bytes", fmt::format("{} ({})", FormatCount(content.bytes),
                                  FormatBytes(static_cast<double>(content.bytes))));
  PrintField("header", fmt::format("{} bytes", FormatCount(content.header.data_begin)));
  PrintField("tensors", FormatCount(static_cast<int64_t>(tensors.size())));
  for (const auto& [key, value] : content.header.metadata) {
    PrintField(Shown(key).c_str(), all ? value : Quoted(value));
  }
  PrintTensors(tensors, all);
  if (content.sequences.empty()) return;
  std::printf("\nfirst sequences\n");
  for (const SequenceLine& line : content.sequences) {
    PrintLineOf(fmt::format("  sample {}{}: {} tokens: {}{}{}", line.sample,
                            line.key.empty() ? "" : " " + Quoted(line.key), line.tokens,
                            fmt::join(line.first_token_ids, " "),
                            line.tokens > kShownTokens ? " ..." : "", PositionsText(line)));
  }
}

Json FileJson(const std::string& name, const FileContent& content) {
  Json json = {{"file", name},
               {"bytes", content.bytes},
               {"header_bytes", content.header.data_begin},
               {"metadata", content.header.metadata}};
  json["tensors"] = Json::array();
  for (const TensorLine& line : TensorLines(content.header)) {
    json["tensors"].push_back({{"name", line.name},
                               {"dtype", line.dtype},
                               {"shape", line.shape},
                               {"begin", line.begin},
                               {"bytes", line.bytes}});
  }
  json["first_sequences"] = Json::array();
  for (const SequenceLine& line : content.sequences) {
    json["first_sequences"].push_back({{"sample", line.sample},
                                       {"key", line.key},
                                       {"tokens", line.tokens},
                                       {"first_token_ids", line.first_token_ids},
                                       {"first_positions", line.first_positions}});
  }
  return json;
}

Status InspectFile(const InspectSettings& settings, const StoreOptions& store_options) {
  // The object's folder and its name in it.
  const size_t slash = settings.target.rfind('/');
  const std::string key =
      slash == std::string::npos ? settings.target : settings.target.substr(slash + 1);
  const std::string folder = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : settings.target.substr(0, slash);
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStoreForPeople(folder, store_options));
  const Result<FileContent> content = ReadFile(*store, key);
  if (!content.ok()) return content.status().WithContext(settings.target);
  if (settings.json) {
    PrintObject(FileJson(settings.target, *content));
  } else {
    PrintFile(settings.target, *content, settings.all);
  }
  return OkStatus();
}

}  // namespace

void AddInspectCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("inspect", "Show what is in a run or a safetensors file");
  auto settings = std::make_shared<InspectSettings>();
  command->add_option("target", settings->target, "Folder of a run, or a .safetensors file")
      ->required()
      ->check(StoreAddress());
  command->add_flag("--all", settings->all, "Leave nothing out of long lists");
  command->add_flag("--json", settings->json, "One JSON object on the standard output");
  FinishStoreCommand(
      *command, kExamples, exit_status, [settings](const StoreOptions& options) -> Result<int> {
        const bool is_file = settings->target.ends_with(".safetensors");
        RETURN_IF_ERROR(is_file ? InspectFile(*settings, options) : InspectRun(*settings, options));
        return static_cast<int>(kExitComplete);
      });
}

}  // namespace thresher
