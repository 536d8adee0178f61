#include "launch/tpu_vm.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "launch/quote.h"

namespace thresher {
namespace {

// What a machine does at each boot. In front of it stand the assignments of `image`,
// `keep_machines` and `arguments`.
constexpr const char* kStartupScript = R"(
metadata() {
  curl --silent --fail --retry 5 -H 'Metadata-Flavor: Google' \
    "http://metadata.google.internal/computeMetadata/v1/instance/$1"
}
# A slice of several machines runs this on each; its first worker's number is an attribute.
first=$(metadata attributes/thresher-first-worker)
machine=$(metadata attributes/agent-worker-number || echo 0)
worker=$((first + machine))

registry=${image%%/*}
case $registry in
  *.pkg.dev | gcr.io | *.gcr.io) gcloud --quiet auth configure-docker "$registry" ;;
esac

run_worker() {
  docker pull --quiet "$image" || return 1
  docker rm --force thresher >/dev/null 2>&1
  # The chips are devices of the machine, and the metadata server is on its network.
  docker run --name thresher --privileged --net=host --stop-timeout "$seconds_to_stop" \
    --volume /var/lib/thresher:/scratch --workdir /scratch --env HOME=/scratch --user root \
    "$image" "${arguments[@]}" --worker-id="$worker"
}

mkdir -p /var/lib/thresher
failures=0
while true; do
  status=0
  run_worker || status=$?
  case $status in
    0 | 2 | 3) break ;;
    75) failures=0 ;;
    *) failures=$((failures < 6 ? failures + 1 : 6)) ;;
  esac
  echo "the worker ended with status $status; it starts again"
  sleep $((10 * failures + 1))
done
echo "the worker ended with status $status"
if [[ $status != 2 && $keep_machines == false ]]; then
  node=$(metadata attributes/thresher-node)
  zone=$(metadata zone)
  gcloud --quiet compute tpus queued-resources delete "$node" --zone="${zone##*/}" --force --async ||
    echo "this machine cannot delete itself and costs money until somebody does: $node"
fi
)";

// In front of it stand the assignments of `name`, `workers`, `place`, `machine` and
// `startup_script`. gcloud reads nothing: the script itself may be what stands on standard input.
constexpr const char* kSubmitScript = R"(
state_of() {
  gcloud compute tpus queued-resources describe "$1" "${place[@]}" \
    --format='value(state.state)' </dev/null 2>/dev/null || echo MISSING
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '%s' "$startup_script" >"$folder/startup.sh"
for ((i = 0; i < workers; ++i)); do
  node=$name-$i
  state=$(state_of "$node")
  case $state in
    MISSING) ;;
    SUSPENDED | FAILED)
      echo "$node: $state; it is asked for again"
      gcloud --quiet compute tpus queued-resources delete "$node" "${place[@]}" --force </dev/null
      ;;
    *)
      echo "$node: $state"
      continue
      ;;
  esac
  gcloud compute tpus queued-resources create "$node" --node-id="$node" "${place[@]}" \
    "${machine[@]}" --metadata="thresher-node=$node,thresher-first-worker=$i" \
    --metadata-from-file="startup-script=$folder/startup.sh" </dev/null
done
)";

std::string StartupScript(const LaunchJob& job, const TpuVmOptions& options) {
  std::string script =
      "#!/bin/bash\n# Made by `thresher launch tpu-vm`; runs as root at each boot.\n";
  script += fmt::format("image={}\nkeep_machines={}\nseconds_to_stop={}\narguments=(\n  extract\n",
                        ShellQuote(options.image), options.keep_machines, SecondsToStop(job));
  for (const std::string& flag : job.flags) script += fmt::format("  {}\n", ShellQuote(flag));
  return script + ")\n" + kStartupScript;
}

Status CheckOptions(const TpuVmOptions& options) {
  const std::array<std::pair<const char*, const std::string*>, 4> needed = {
      {{"--image", &options.image},
       {"--accelerator", &options.accelerator},
       {"--runtime-version", &options.runtime_version},
       {"--zone", &options.zone}}};
  for (const auto& [flag, value] : needed) {
    if (value->empty()) return InvalidArgument(std::string(flag) + " is missing");
    RETURN_IF_ERROR(CheckPlainValue(flag, *value));
  }
  const std::array<std::pair<const char*, const std::string*>, 2> optional = {
      {{"--project", &options.project}, {"--service-account", &options.service_account}}};
  for (const auto& [flag, value] : optional) {
    if (!value->empty()) RETURN_IF_ERROR(CheckPlainValue(flag, *value));
  }
  return OkStatus();
}

}  // namespace

Result<Submission> MakeTpuVmSubmission(const LaunchJob& job, const TpuVmOptions& options) {
  RETURN_IF_ERROR(CheckJobName(job.name));
  RETURN_IF_ERROR(CheckFlags(job.flags));
  RETURN_IF_ERROR(CheckOptions(options));
  std::vector<std::string> place = {"--zone=" + options.zone};
  if (!options.project.empty()) place.push_back("--project=" + options.project);
  std::vector<std::string> machine = {"--accelerator-type=" + options.accelerator,
                                      "--runtime-version=" + options.runtime_version};
  if (options.spot) machine.emplace_back("--spot");
  if (!options.service_account.empty()) {
    machine.push_back("--service-account=" + options.service_account);
  }
  std::string text =
      "#!/bin/bash\n# Made by `thresher launch tpu-vm`; run it again to replace what was taken "
      "away.\nset -euo pipefail\n";
  text += fmt::format("name={}\nworkers={}\nplace=({})\nmachine=({})\nstartup_script={}\n",
                      job.name, job.workers, ShellCommand(place), ShellCommand(machine),
                      ShellQuote(StartupScript(job, options)));
  text += kSubmitScript;
  return Submission{.text = std::move(text), .client = {"bash", "-s"}};
}

}  // namespace thresher
