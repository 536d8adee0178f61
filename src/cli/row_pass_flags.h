#ifndef THRESHER_CLI_ROW_PASS_FLAGS_H_
#define THRESHER_CLI_ROW_PASS_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/row_pass.h"

namespace thresher {

// What every command that goes over the rows of a data set is told.
struct RowPassSettings {
  std::string dataset;
  std::string range;
  std::optional<int64_t> max_samples;
  std::string rejected;
  OnDuplicate on_duplicate = OnDuplicate::kReject;
  bool fail = false;  // at the first row that cannot be used
  bool quiet = false;
};

// Adds the flags that fill `settings`, which must live as long as `command`. `can_rename`: the
// command can write another id than the row's.
void AddRowPassFlags(CLI::App& command, bool can_rename, RowPassSettings& settings);

}  // namespace thresher

#endif  // THRESHER_CLI_ROW_PASS_FLAGS_H_
