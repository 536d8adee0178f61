#include "cli/row_pass_flags.h"

#include <map>

namespace thresher {

void AddRowPassFlags(CLI::App& command, bool can_rename, RowPassSettings& settings) {
  command
      .add_option("dataset,--dataset", settings.dataset, "Data set: file, folder, pattern or URL")
      ->required();
  command.add_option("--range", settings.range,
                     "Only rows FIRST:END, counted from 0, END not included");
  command.add_option("--max-samples", settings.max_samples, "Only the first rows, so many of them")
      ->check(CLI::PositiveNumber);
  command.add_option("--rejected", settings.rejected,
                     "JSONL file for the rows that cannot be used: row, location, reason");
  std::map<std::string, OnDuplicate> on_duplicate = {{"reject", OnDuplicate::kReject},
                                                     {"keep", OnDuplicate::kKeep}};
  if (can_rename) on_duplicate.emplace("rename", OnDuplicate::kRename);
  command
      .add_option("--on-duplicate", settings.on_duplicate,
                  can_rename
                      ? "An id that an earlier row has: reject (default), rename (id_2), or keep"
                      : "An id that an earlier row has: reject (default) or keep")
      ->transform(CLI::CheckedTransformer(on_duplicate))
      ->option_text(can_rename ? "reject|rename|keep" : "reject|keep");
  const std::map<std::string, bool> on_bad_sample = {{"fail", true}, {"skip", false}};
  command
      .add_option("--on-bad-sample", settings.fail,
                  "A row that cannot be used: skip (default) or fail")
      ->transform(CLI::CheckedTransformer(on_bad_sample))
      ->option_text("skip|fail");
  command.add_flag("--quiet", settings.quiet, "No progress and no summary");
}

}  // namespace thresher
