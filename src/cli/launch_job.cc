#include "cli/launch_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "cli/settings_in_force.h"
#include "graph/hook_point.h"
#include "model/model.h"

namespace thresher {
namespace {

// No model has more; for the check of names where the model is not at hand.
constexpr int32_t kMostLayers = 100'000;

bool IsAddress(const std::string& value) { return value.find("://") != std::string::npos; }

// Which layers there are is known only where the model's config.json is.
Status CheckModel(const ExtractSettings& settings, bool is_here) {
  int32_t layer_count = kMostLayers;
  if (is_here && !IsAddress(settings.model)) {
    ASSIGN_OR_RETURN(const ModelOutline outline, ReadModelOutline(settings.model));
    layer_count = static_cast<int32_t>(outline.layer_count);
  }
  return SelectHooks(settings.hooks, settings.layers, layer_count).status();
}

Status CheckDataset(const std::string& dataset) {
  const bool is_pattern = dataset.find_first_of("*?[") != std::string::npos;
  std::error_code ignored;
  if (IsAddress(dataset) || is_pattern || std::filesystem::exists(dataset, ignored)) {
    return OkStatus();
  }
  return InvalidArgument("--dataset: there is no file or folder '" + dataset + "'");
}

bool IsMounted(const std::string& path, const std::vector<std::string>& mounts) {
  return std::any_of(mounts.begin(), mounts.end(), [&](const auto& mount) {
    return path == mount || path.starts_with(mount + "/");
  });
}

Status CheckOutput(const std::string& output, FilesSeenByWorkers files,
                   const std::vector<std::string>& mounts) {
  if (output == "memory:") {
    return InvalidArgument(
        "--output: workers share nothing but the run's folder, which memory: is "
        "not; give a path or an address");
  }
  const bool is_file = !IsAddress(output) || output.starts_with("file://");
  if (files == FilesSeenByWorkers::kAsHere || !is_file) return OkStatus();
  const std::string path = output.starts_with("file://") ? output.substr(7) : output;
  if (IsMounted(path, mounts)) return OkStatus();
  return InvalidArgument("--output: workers on other machines do not share '" + output +
                         "'; give the address of a folder in a bucket, such as "
                         "gs://bucket/runs/first");
}

// Paths that an image or a volume has are absolute; others are this machine's.
Status CheckSeenElsewhere(const SettingInfo& setting, const std::vector<std::string>& mounts) {
  if (IsAddress(setting.value) || setting.value.empty()) return OkStatus();
  if (setting.key == "model" || setting.key == "dataset") {
    if (setting.value.starts_with('/')) return OkStatus();
    return InvalidArgument(fmt::format(
        "--{}: workers on other machines do not see '{}'; give an address, or an absolute path of "
        "the image or of a volume",
        setting.key, setting.value));
  }
  std::error_code ignored;
  const bool is_file = setting.key == "prompt" && std::filesystem::exists(setting.value, ignored);
  if (!is_file || IsMounted(setting.value, mounts)) return OkStatus();
  return InvalidArgument("--prompt: workers on other machines do not see the file '" +
                         setting.value +
                         "'; use one on a volume that is mounted at the same path "
                         "here, or a prompt that has a name");
}

Status CheckNotGiven(const SettingInfo& setting, const char* why) {
  if (setting.source != SettingSource::kFlag) return OkStatus();
  return InvalidArgument(fmt::format("--{}: {}", setting.key, why));
}

}  // namespace

void AddLaunchFlags(CLI::App& command, LaunchSettings& settings, FilesSeenByWorkers files) {
  const std::string group = "Launch";
  command.add_option("--workers", settings.workers, "How many workers to start")
      ->group(group)
      ->required()
      ->check(CLI::Range(int64_t{1}, int64_t{100'000}));
  command
      .add_option("--name", settings.name,
                  "Of what is submitted [thresher- and the last part of --output]")
      ->group(group);
  command
      .add_flag("--dry-run", settings.dry_run, "Print what would be submitted, and submit nothing")
      ->group(group);
  if (files != FilesSeenByWorkers::kAsHere) return;
  command
      .add_flag("--skip-path-check", settings.skip_path_check,
                "Model and data set are where only the workers see them")
      ->group(group);
}

Result<LaunchJob> MakeLaunchJob(ExtractFlags& flags, const LaunchSettings& settings,
                                FilesSeenByWorkers files, const std::vector<std::string>& mounts) {
  ASSIGN_OR_RETURN(const ExtractOptions options, flags.Options({}));
  const bool is_here = files == FilesSeenByWorkers::kAsHere && !settings.skip_path_check;
  RETURN_IF_ERROR(CheckOutput(options.settings.output, files, mounts));
  RETURN_IF_ERROR(CheckModel(options.settings, is_here));
  if (is_here) RETURN_IF_ERROR(CheckDataset(options.settings.dataset));
  ASSIGN_OR_RETURN(const std::vector<SettingInfo> in_force, SettingsInForce(flags.List(), options));
  LaunchJob job{.name = settings.name.empty() ? JobNameOf(options.settings.output) : settings.name,
                .workers = settings.workers,
                .flags = {},
                .stop_grace_ms = options.stop_grace_ms};
  RETURN_IF_ERROR(CheckJobName(job.name));
  for (const SettingInfo& setting : in_force) {
    if (files == FilesSeenByWorkers::kElsewhere) {
      RETURN_IF_ERROR(CheckSeenElsewhere(setting, mounts));
    }
    if (setting.key == "worker-id") {
      RETURN_IF_ERROR(CheckNotGiven(setting, "the engine numbers the workers; leave it away"));
    } else if (setting.key == "num-workers") {
      RETURN_IF_ERROR(CheckNotGiven(setting, "is what --workers says; leave it away"));
    } else if (setting.source != SettingSource::kDefault && !setting.value.empty()) {
      job.flags.push_back(fmt::format("--{}={}", setting.key, setting.value));
    }
  }
  job.flags.push_back(fmt::format("--num-workers={}", settings.workers));
  RETURN_IF_ERROR(CheckFlags(job.flags));
  return job;
}

}  // namespace thresher
