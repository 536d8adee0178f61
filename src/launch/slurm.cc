#include "launch/slurm.h"

#include <fmt/format.h>

#include <algorithm>

#include "launch/quote.h"

namespace thresher {
namespace {

// `workers`, `signal_seconds` and `options` are the job's. Nothing but checked values may stand in
// these lines: Slurm reads them, with quoting rules of its own.
constexpr const char* kHeader = R"(#!/bin/bash
# Made by `thresher launch slurm`; submit it with sbatch.
#SBATCH --job-name={name}
#SBATCH --array=0-{last}{at_once}
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={name}-%A_%a.log
#SBATCH --signal=B:USR1@{seconds}
{options})";

constexpr const char* kBody = R"(
# Slurm asks this shell to stop: USR1 before the time limit and before a pre-emption, TERM at a
# pre-emption and at scancel. The worker then hands over what it has and ends with status 75.
worker=
is_asked_to_stop=false
stop() {
  is_asked_to_stop=true
  if [[ -n $worker ]]; then kill -TERM "$worker" 2>/dev/null; fi
}
trap stop USR1 TERM

# A trapped signal ends `wait` early, so it is asked until the worker is gone.
run_worker() {
  "${command[@]}" --worker-id="$SLURM_ARRAY_TASK_ID" &
  worker=$!
  if $is_asked_to_stop; then stop; fi
  while kill -0 "$worker" 2>/dev/null; do wait "$worker"; done
  wait "$worker"
  status=$?
  worker=
}

failures=0
while true; do
  run_worker
  case $status in
    0 | 2 | 3 | 75) break ;;
  esac
  if $is_asked_to_stop || ((++failures > max_restarts)); then break; fi
  echo "the worker ended with status $status; it starts again in $((10 * failures)) s" >&2
  sleep $((10 * failures)) &
  wait $!
done

# Not what was cancelled: that task is no longer in the state RUNNING. By its name in the array: the
# SLURM_JOB_ID of one of the tasks is that of the whole array, and others may still hand over.
task="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
if [[ $status == 75 ]] && scontrol -o show job "$task" | grep -q ' JobState=RUNNING '; then
  echo 'the run is not complete: this task is queued again' >&2
  scontrol requeue "$task"
fi
exit "$status"
)";

struct SbatchOption {
  const char* flag;
  const char* sbatch;
  std::string value;
};

Result<std::string> OptionLines(const SlurmOptions& options) {
  const auto number = [](int64_t value) { return value > 0 ? std::to_string(value) : ""; };
  const std::vector<SbatchOption> known = {
      {"--partition", "--partition", options.partition},
      {"--account", "--account", options.account},
      {"--time", "--time", options.time},
      {"--memory", "--mem", options.memory},
      {"--cpus", "--cpus-per-task", number(options.cpus)},
      {"--gpus", "--gpus-per-task", number(options.gpus)},
  };
  std::string lines;
  for (const SbatchOption& option : known) {
    if (option.value.empty()) continue;
    RETURN_IF_ERROR(CheckPlainValue(option.flag, option.value));
    lines += fmt::format("#SBATCH {}={}\n", option.sbatch, option.value);
  }
  for (const std::string& option : options.sbatch_options) {
    RETURN_IF_ERROR(CheckPlainValue("--sbatch-option", option));
    if (!option.starts_with("--")) {
      return InvalidArgument("--sbatch-option: expected --name or --name=value, found '" + option +
                             "'");
    }
    lines += fmt::format("#SBATCH {}\n", option);
  }
  return lines;
}

// The worker's command as a bash array, a word in each line.
std::string CommandLines(const LaunchJob& job, const SlurmOptions& options) {
  std::string lines = fmt::format("command=(\n  {} extract\n", ShellQuote(options.program));
  for (const std::string& flag : job.flags) lines += fmt::format("  {}\n", ShellQuote(flag));
  const bool has_threads = std::any_of(job.flags.begin(), job.flags.end(), [](const auto& flag) {
    return flag.starts_with("--threads=");
  });
  // Without cgroups a worker sees all cores of the node.
  if (options.cpus > 0 && !has_threads) lines += fmt::format("  --threads={}\n", options.cpus);
  return lines + ")\n";
}

}  // namespace

Result<Submission> MakeSlurmSubmission(const LaunchJob& job, const SlurmOptions& options) {
  RETURN_IF_ERROR(CheckJobName(job.name));
  RETURN_IF_ERROR(CheckFlags(job.flags));
  ASSIGN_OR_RETURN(const std::string lines, OptionLines(options));
  std::string text = fmt::format(
      kHeader, fmt::arg("name", job.name), fmt::arg("last", job.workers - 1),
      fmt::arg("at_once", options.at_once > 0 ? fmt::format("%{}", options.at_once) : ""),
      fmt::arg("seconds", SecondsToStop(job)), fmt::arg("options", lines));
  text += '\n' + CommandLines(job, options);
  text += fmt::format("max_restarts={}\n", options.max_restarts);
  text += kBody;
  return Submission{.text = std::move(text), .client = {"sbatch"}};
}

}  // namespace thresher
