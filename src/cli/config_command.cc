#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "base/scrub.h"
#include "cli/command.h"
#include "cli/extract_flags.h"
#include "cli/settings_in_force.h"
#include "settings/settings_table.h"

namespace thresher {
namespace {

constexpr const char* kShowExamples = R"(Examples:
  thresher config show --config job.toml --shard-bytes 256MB > complete.toml
  thresher extract --config complete.toml

Prints what thresher extract would use with the same flags, environment and job file, as TOML that
--config takes. Behind each value stands where it came from. With --json, one JSON object.)";

constexpr const char* kMarkdownBegin =
    R"(# Settings

Made by `thresher config keys --markdown > docs/settings.md`; change the code, not this page.

Each setting of `thresher extract` is a flag, an environment variable and a key of a job file. The flag wins over the
environment, the environment over the file; of several environment variables the first that is set and not empty counts.
`thresher config show` prints what is in force and where each value came from.

A job file is TOML, given with `--config job.toml`, or else with the environment variable `THRESHER_CONFIG`:

    model = "Qwen2.5-0.5B"
    dataset = "tasks.jsonl"
    hooks = ["resid_post", "mlp_out"]  # or "resid_post,mlp_out"

    [run]                              # sections group, and mean nothing else
    output = "gs://bucket/runs/first"
    lease_ttl = "3m"                   # '_' is as good as '-'

An integer, a number and a switch (`true`, `false`) stand without quotes, sizes (`"1GB"`, `"256MiB"`) and durations (`"3m"`, `"25s"`) with quotes, a
list is an array or one string with commas. Keys that are not known, keys given twice and values of a wrong type are errors with line and column.

)";

constexpr const char* kMarkdownEnd =
    R"(
## Other environment variables

| variable | meaning |
| --- | --- |
| `THRESHER_CONFIG` | the job file, if `--config` is not given |
| `UPLOAD_TO_GCS`, `GCS_BUCKET` | with `UPLOAD_TO_GCS=true` and `GCS_BUCKET=B`, a relative `--output` P is `gs://B/P` |

`BATCH_SIZE` counts sequences; a batch here holds tokens, since sequences are packed and none is padded. `BATCH_SIZE=8` therefore means `batch-tokens` = 8 x `max-tokens` (8 x 2048 where
`max-tokens` is not given), whatever the model: a pure function of the settings, and like `--batch-tokens` a part of the run's identity. Where the variable was only set to fill a machine's memory, leave it away.

A variable `THRESHER_*` that is none of these is reported and ignored. Credentials are no settings: they are found where each cloud's own tools find them, and are never printed.
)";

Status Show(ExtractFlags& flags) {
  ASSIGN_OR_RETURN(const ExtractOptions options,
                   flags.Options({.model = false, .dataset = false, .output = false}));
  ASSIGN_OR_RETURN(const std::vector<SettingInfo> settings, SettingsInForce(flags.List(), options));
  // A job file may ask for JSON from `extract`; here only the flag does.
  const bool as_json = std::any_of(settings.begin(), settings.end(), [](const SettingInfo& s) {
    return s.key == "json" && s.source == SettingSource::kFlag && s.value == "true";
  });
  if (as_json) {
    std::fputs(SettingsJson(settings).c_str(), stdout);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string toml, SettingsToml(settings));
  std::fputs(toml.c_str(), stdout);
  return OkStatus();
}

void AddShow(CLI::App& config, int& exit_status) {
  CLI::App* command =
      config.add_subcommand("show", "Print the settings in force, and where each came from");
  command->footer(kShowExamples);
  auto flags = std::make_shared<ExtractFlags>(*command);
  command->callback([flags, &exit_status] {
    const Status status = Show(*flags);
    exit_status = status.ok() ? kExitComplete : ReportUsageError(status);
  });
}

void AddKeys(CLI::App& config, int& exit_status) {
  CLI::App* command = config.add_subcommand(
      "keys", "Print every setting: flag, key, environment variables, default, meaning");
  auto as_markdown = std::make_shared<bool>(false);
  command->add_flag("--markdown", *as_markdown, "As docs/settings.md");
  command->callback([as_markdown, &exit_status] {
    CLI::App described;
    const std::vector<SettingInfo> settings = ExtractFlags(described).List();
    const std::string text = *as_markdown
                                 ? kMarkdownBegin + SettingsMarkdown(settings) + kMarkdownEnd
                                 : SettingsText(settings);
    std::fputs(text.c_str(), stdout);
    exit_status = kExitComplete;
  });
}

}  // namespace

void AddConfigCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("config", "Show the settings in force, or all that there are");
  command->require_subcommand(1);
  AddShow(*command, exit_status);
  AddKeys(*command, exit_status);
}

}  // namespace thresher
