#include "launch/skypilot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "launch/quote.h"
#include "launch/yaml.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kWorkerVariable = "THRESHER_WORKER_ID";

// In front of it stand the assignments of `name`, `workers`, `secrets` and `task`. sky reads
// nothing: the script itself may be what stands on standard input.
constexpr const char* kSubmitScript = R"(
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '%s' "$task" >"$folder/task.yaml"
for ((i = 0; i < workers; ++i)); do
  sky jobs launch --yes --detach-run --name "$name-$i" --env "THRESHER_WORKER_ID=$i" \
    "${secrets[@]}" "$folder/task.yaml" </dev/null
done
)";

// Status 3 is a complete run, of which SkyPilot only knows status 0. A failed worker starts again
// in its place, a stopped one (75) is SkyPilot's to recover.
std::string RunScript(const LaunchJob& job, const SkypilotOptions& options) {
  std::string script = "command=(\n  thresher extract\n";
  for (const std::string& flag : job.flags) script += fmt::format("  {}\n", ShellQuote(flag));
  script += fmt::format(R"()
failures=0
while true; do
  status=0
  "${{command[@]}}" || status=$?
  case $status in
    0 | 2 | 75) exit "$status" ;;
    3)
      echo 'complete with exceptions: see thresher status'
      exit 0
      ;;
  esac
  failures=$((failures + 1))
  if [ "$failures" -gt {} ]; then exit "$status"; fi
  sleep $((10 * failures))
done
)",
                        options.max_restarts);
  return script;
}

Json Task(const LaunchJob& job, const SkypilotOptions& options) {
  Json resources = {{"image_id", "docker:" + options.image}};
  if (!options.infra.empty()) resources["infra"] = options.infra;
  if (!options.accelerators.empty()) resources["accelerators"] = options.accelerators;
  if (!options.cpus.empty()) resources["cpus"] = options.cpus;
  if (!options.memory.empty()) resources["memory"] = options.memory;
  resources["use_spot"] = options.spot;
  resources["job_recovery"] = {{"strategy", "EAGER_NEXT_REGION"},
                               {"recover_on_exit_codes", Json::array({75})}};
  return {{"name", job.name},
          {"num_nodes", 1},
          {"resources", resources},
          {"envs", {{kWorkerVariable, "0"}}},
          {"run", RunScript(job, options)}};
}

bool IsVariableName(const std::string& name) {
  const auto is_allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

Status CheckOptions(const SkypilotOptions& options) {
  if (options.image.empty()) {
    return InvalidArgument(
        "--image is missing: give a container image with thresher in it "
        "(deploy/Containerfile)");
  }
  const std::array<std::pair<const char*, const std::string*>, 5> values = {
      {{"--image", &options.image},
       {"--infra", &options.infra},
       {"--accelerators", &options.accelerators},
       {"--cpus", &options.cpus},
       {"--memory", &options.memory}}};
  for (const auto& [flag, value] : values) {
    if (!value->empty()) RETURN_IF_ERROR(CheckPlainValue(flag, *value));
  }
  for (const std::string& secret : options.secrets) {
    if (IsVariableName(secret)) continue;
    return InvalidArgument(
        "--secret: expected the name of an environment variable, whose value SkyPilot passes on");
  }
  return OkStatus();
}

}  // namespace

Result<Submission> MakeSkypilotSubmission(const LaunchJob& job, const SkypilotOptions& options) {
  RETURN_IF_ERROR(CheckJobName(job.name));
  RETURN_IF_ERROR(CheckFlags(job.flags));
  RETURN_IF_ERROR(CheckOptions(options));
  std::vector<std::string> secrets;
  for (const std::string& secret : options.secrets) {
    secrets.insert(secrets.end(), {"--secret", secret});
  }
  std::string text =
      "#!/bin/bash\n# Made by `thresher launch skypilot`; run it to submit.\nset -euo pipefail\n";
  text += fmt::format("name={}\nworkers={}\nsecrets=({})\ntask={}\n", job.name, job.workers,
                      ShellCommand(secrets), ShellQuote(WriteYaml(Task(job, options))));
  text += kSubmitScript;
  return Submission{.text = std::move(text), .client = {"bash", "-s"}};
}

}  // namespace thresher
