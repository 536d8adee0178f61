#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "arc/arc_task.h"
#include "base/byte_size.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/output_file.h"
#include "cli/progress_line.h"
#include "cli/row_pass.h"
#include "cli/row_pass_flags.h"
#include "cli/store_command.h"

namespace thresher {
namespace {

constexpr const char* kExamples = R"(Examples:
  thresher convert train.parquet --output tasks.jsonl
  thresher convert data/*.jsonl.gz --range 1000:2000 --max-train-pairs 4 --output -
  thresher convert hf://datasets/owner/name --rejected rejected.jsonl --output tasks.jsonl

Makes ARC tasks of a data set with one task a row: a list of pairs [input grid, output grid] in
--column, the last pair being the test. Rows that are ARC tasks already ('train' and 'test') are
taken over if they have no such column. One line is written for each task:
{"task_id": .., "train": [{"input": .., "output": ..}, ..], "test": [..]}
and, if the row has them, "code" and "source": programs that prompts may show.

A row that cannot be used is set aside with its reason, and the rest goes on. `thresher extract`
reads the same data sets without this step.

Exit status: 0 done, 1 error, 2 wrong usage, 3 done, but rows were rejected.)";

struct ConvertSettings : RowPassSettings {
  std::string output;
  std::string column = "examples";
  std::string id_column;
  std::optional<int64_t> max_train_pairs;
};

Result<ArcTask> ParseTask(const nlohmann::json& record, const std::string& column) {
  if (HasField(record, column)) return ParseArcPairs(*record.find(column), column);
  if (HasField(record, "train") && HasField(record, "test")) return ParseArcTask(record);
  return FieldError(record, column,
                    "a list of pairs [input grid, output grid] (--column names another field)");
}

// Adds the record's programs, which prompts may show, to the task's text.
void AddPrograms(const nlohmann::json& record, std::string& task) {
  for (const char* name : {"code", "source"}) {
    const auto program = record.find(name);
    if (program == record.end() || !program->is_string()) continue;
    task.insert(task.size() - 1, fmt::format(",\"{}\":{}", name, program->dump()));
  }
}

Result<RowResult> ConvertRow(const Record& record, int64_t row, const ConvertSettings& settings) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseRow(record));
  ASSIGN_OR_RETURN(ArcTask task, ParseTask(json, settings.column));
  if (settings.max_train_pairs &&
      static_cast<int64_t>(task.train.size()) > *settings.max_train_pairs) {
    task.train.resize(static_cast<size_t>(*settings.max_train_pairs));
  }
  RowResult result;
  ASSIGN_OR_RETURN(result.id, ReadRowId(json, settings.id_column));
  if (result.id.empty()) result.id = fmt::format("task_{:08}", row);
  result.text = ArcTaskJson(task);
  AddPrograms(json, result.text);
  return result;
}

struct ConvertCounts {
  int64_t written = 0;
  int64_t bytes_read = 0;
};

void PrintSummary(const ConvertSettings& settings, const ConvertCounts& counts,
                  const RejectedRows& rejected, const UsedIds& ids, int64_t elapsed_ms) {
  if (settings.quiet) return;
  const double seconds = static_cast<double>(std::max<int64_t>(1, elapsed_ms)) / 1000;
  std::string duplicates;
  if (ids.duplicate_count() > 0) {
    const char* what = settings.on_duplicate == OnDuplicate::kReject   ? "rejected"
                       : settings.on_duplicate == OnDuplicate::kRename ? "renamed"
                                                                       : "kept";
    duplicates = fmt::format("; {} duplicate ids {}", FormatCount(ids.duplicate_count()), what);
  }
  std::fprintf(
      stderr, "%s\n",
      fmt::format("{} tasks written to {}, {} rows rejected{}; {:.1f} s, {:.0f} tasks/s, {}/s read",
                  FormatCount(counts.written),
                  settings.output == "-" ? "the standard output" : settings.output,
                  FormatCount(rejected.count()), duplicates, seconds,
                  static_cast<double>(counts.written) / seconds,
                  FormatBytes(static_cast<double>(counts.bytes_read) / seconds))
          .c_str());
}

Result<int> Convert(const ConvertSettings& settings, const StoreOptions& store_options) {
  DatasetOptions dataset_options;
  dataset_options.store = store_options;
  ASSIGN_OR_RETURN(const Dataset dataset, Dataset::Open(settings.dataset, dataset_options));
  const Result<RowRange> parsed_range =
      ParseRowRange(settings.range, dataset.record_count(), settings.max_samples);
  if (!parsed_range.ok()) return ReportUsageError(parsed_range.status());
  const RowRange range = *parsed_range;
  ASSIGN_OR_RETURN(OutputFile output, OutputFile::Create(settings.output));
  ASSIGN_OR_RETURN(RejectedRows rejected, RejectedRows::Create(settings.rejected, settings.fail));
  UsedIds ids(settings.on_duplicate);
  ConvertCounts counts;
  ProgressLine progress(
      Clock::Real(),
      {.verb = "converted", .noun = "rows", .total = range.count(), .quiet = settings.quiet});
  const auto make = [&](const Record& record, int64_t row) {
    Result<RowResult> result = ConvertRow(record, row, settings);
    return result.ok() ? std::move(result).value() : RowResult{.error = result.status().message()};
  };
  const auto take = [&](RowResult result, int64_t row, const std::string& location) -> Status {
    counts.bytes_read += dataset.RecordBytes(row);
    progress.Update(row - range.first + 1, counts.bytes_read);
    if (result.error.empty()) {
      const Result<std::string> id = ids.Claim(result.id, row);
      if (id.ok()) {
        ++counts.written;
        // The task's text goes on after its id.
        result.text.replace(0, 1, fmt::format("{{\"task_id\":{},", nlohmann::json(*id).dump()));
        return output.Write(result.text += '\n');
      }
      result.error = id.status().message();
    }
    progress.Clear();
    return rejected.Add(row, location, result.error);
  };
  RETURN_IF_ERROR(ForEachRow(dataset, range, make, take));
  progress.Clear();
  RETURN_IF_ERROR(rejected.Finish());
  if (counts.written == 0) {
    return InvalidArgument(fmt::format("{}: none of {} rows is a task; nothing was written",
                                       settings.dataset, FormatCount(range.count())));
  }
  RETURN_IF_ERROR(output.Commit());
  PrintSummary(settings, counts, rejected, ids, progress.elapsed_ms());
  return static_cast<int>(rejected.count() == 0 ? kExitComplete : kExitExceptions);
}

}  // namespace

void AddConvertCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("convert", "Make ARC tasks (JSONL) of a data set of pairs");
  auto settings = std::make_shared<ConvertSettings>();
  AddRowPassFlags(*command, /*can_rename=*/true, *settings);
  command->add_option("--output", settings->output, "JSONL file to write; - is the standard output")
      ->required();
  command->add_option("--column", settings->column, "Field with the list of pairs [examples]");
  command->add_option(
      "--id-column", settings->id_column,
      "Field with the task's id [task_id, else id, else task_ and the row's number]");
  command
      ->add_option("--max-train-pairs", settings->max_train_pairs,
                   "Keep only the first training pairs of a task, so many of them")
      ->check(CLI::PositiveNumber);
  FinishStoreCommand(
      *command, kExamples, exit_status,
      [settings](const StoreOptions& store_options) { return Convert(*settings, store_options); });
}

}  // namespace thresher
