#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/extract_flags.h"
#include "cli/launch_job.h"
#include "launch/client.h"
#include "launch/dealing.h"
#include "launch/kubernetes.h"
#include "launch/local_workers.h"
#include "launch/quote.h"
#include "launch/skypilot.h"
#include "launch/slurm.h"
#include "launch/tpu_vm.h"

namespace thresher {
namespace {

constexpr const char* kLaunchExamples = R"(Examples:
  thresher launch local --workers 4 --model M --dataset d.jsonl --output runs/first
  thresher launch slurm --workers 32 --cpus 16 --time 4:00:00 --config job.toml
  thresher launch kubernetes --workers 100 --image IMAGE --spot gke --config job.toml --dry-run
  thresher launch ENGINE --help

Each takes the settings of thresher extract, checks them, and hands them to every worker. --dry-run
prints what would be submitted. The number of workers may change while the run goes on: launch more
with the same --output, or end some.)";

constexpr const char* kLocalNotes = R"(Example:
  thresher launch local --workers 2 --model M --dataset d.jsonl --output runs/first

Deals the processor cores out, and --devices. Prints what workers say with their number in front.
Starts a worker again that stopped early or failed. SIGTERM and Ctrl-C stop all of them; a second
Ctrl-C ends them at once.

Exit status: 0 complete, 1 error, 2 wrong usage, 3 complete with samples or units set aside,
75 stopped early (start the same command again).)";

constexpr const char* kSlurmNotes = R"(Example:
  thresher launch slurm --workers 32 --cpus 16 --memory 64G --time 4:00:00 --partition spot \
      --model M --dataset d.jsonl --output /shared/runs/first

Submits an array job with sbatch. A task that is pre-empted or reaches --time hands its unit over and
is queued again, until the run is complete.)";

constexpr const char* kKubernetesNotes = R"(Examples:
  thresher launch kubernetes --workers 100 --image IMAGE --cpus 16 --memory 64Gi --spot gke \
      --service-account thresher --model /models/M --volume models=/models \
      --dataset gs://bucket/d.jsonl --output gs://bucket/runs/first
  thresher launch kubernetes --workers 8 --image IMAGE --tpu-accelerator tpu-v5-lite-podslice \
      --tpu-topology 2x4 --tpu-chips 8 ... --dry-run

Applies an Indexed Job, or with --tpu-* a JobSet, with kubectl. Credentials come from the service
account's workload identity, or from Secrets that --secret names; none is written into the manifest.)";

constexpr const char* kTpuVmNotes = R"(Example:
  thresher launch tpu-vm --workers 8 --image IMAGE --zone us-central1-a --spot \
      --accelerator v5litepod-4 --runtime-version v2-alpha-tpuv5-lite \
      --model gs://bucket/M --dataset gs://bucket/d.jsonl --output gs://bucket/runs/first

Asks gcloud for one queued resource for each worker. Run the same command again, by hand or from cron,
to replace machines that were taken away. When the run is complete each machine asks for its own
deletion.)";

constexpr const char* kSkypilotNotes = R"(Example:
  thresher launch skypilot --workers 8 --image IMAGE --infra gcp --cpus 16+ --spot \
      --model /models/M --dataset gs://bucket/d.jsonl --output gs://bucket/runs/first

Submits one managed job for each worker with sky.)";

// One engine that has a client of its own to submit to.
template <typename Options>
struct SubmittingEngine {
  const char* name;
  const char* help;
  const char* notes;
  FilesSeenByWorkers files;
  void (*add_flags)(CLI::App& command, Options& options);
  Result<Submission> (*make)(const LaunchJob& job, const Options& options);
  // Folders that the workers share although they are elsewhere; nothing: none.
  Result<std::vector<std::string>> (*mounts)(const Options& options) = nullptr;
};

Result<int> PrintOrSubmit(const Submission& submission, bool dry_run) {
  if (dry_run) {
    std::fputs(submission.text.c_str(), stdout);
    return kExitComplete;
  }
  RETURN_IF_ERROR(Submit(submission));
  return kExitComplete;
}

// The flags of every engine, one engine's own, and the settings of `thresher extract`, which stand
// last in the help; they live as long as its command.
template <typename Options>
struct EngineFlags {
  EngineFlags(CLI::App& command, FilesSeenByWorkers files,
              void (*add_flags)(CLI::App& command, Options& options)) {
    AddLaunchFlags(command, launch, files);
    add_flags(command, options);
    extract.emplace(command);
  }

  LaunchSettings launch;
  Options options;
  std::optional<ExtractFlags> extract;
};

template <typename Options>
void AddEngine(CLI::App& launch, int& exit_status, const SubmittingEngine<Options>& engine) {
  CLI::App* command = launch.add_subcommand(engine.name, engine.help);
  command->footer(engine.notes);
  auto flags = std::make_shared<EngineFlags<Options>>(*command, engine.files, engine.add_flags);
  command->callback([flags, engine, &exit_status] {
    const auto run = [&]() -> Result<int> {
      std::vector<std::string> mounts;
      if (engine.mounts != nullptr) {
        ASSIGN_OR_RETURN(mounts, engine.mounts(flags->options));
      }
      ASSIGN_OR_RETURN(const LaunchJob job,
                       MakeLaunchJob(*flags->extract, flags->launch, engine.files, mounts));
      ASSIGN_OR_RETURN(const Submission submission, engine.make(job, flags->options));
      return PrintOrSubmit(submission, flags->launch.dry_run);
    };
    const Result<int> status = run();
    exit_status = status.ok() ? *status : flags->extract->Report(status.status());
  });
}

// The file of this program, for those who start it again.
Result<std::string> ProgramPath() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Internal("cannot find the program's own file: " + error.message());
  return path.string();
}

void AddFlagOf(CLI::App& command, const char* name, std::string& target, const char* help) {
  command.add_option(name, target, help)->group("Engine");
}

void AddCountOf(CLI::App& command, const char* name, int64_t& target, const char* help) {
  command.add_option(name, target, help)
      ->group("Engine")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}));
}

void AddListOf(CLI::App& command, const char* name, std::vector<std::string>& target,
               const char* help) {
  command.add_option(name, target, help)->group("Engine")->allow_extra_args(false);
}

struct LocalFlags {
  int64_t max_restarts = 5;
  std::string devices;
  bool no_binding = false;
};

void AddLocalFlags(CLI::App& command, LocalFlags& flags) {
  AddCountOf(command, "--max-restarts", flags.max_restarts,
             "How often a worker that stopped early or failed starts again [5]");
  AddFlagOf(command, "--devices", flags.devices,
            "Devices to deal out, and the variable that shows them: CUDA_VISIBLE_DEVICES=0,1,2,3");
  command
      .add_flag("--no-binding", flags.no_binding, "Bind no worker to processor cores of its own")
      ->group("Engine");
}

Result<std::vector<LocalWorker>> MakeLocalWorkers(const LaunchJob& job, const LocalFlags& flags) {
  ASSIGN_OR_RETURN(const std::string program, ProgramPath());
  std::vector<std::vector<int>> processors(static_cast<size_t>(job.workers));
  if (!flags.no_binding) processors = DealProcessors(UsableProcessors(), job.workers);
  std::string variable;
  std::vector<std::string> devices;
  if (!flags.devices.empty()) {
    ASSIGN_OR_RETURN(const Devices all, ParseDevices(flags.devices));
    variable = all.variable;
    ASSIGN_OR_RETURN(devices, DealDevices(all, job.workers));
  }
  std::vector<LocalWorker> workers;
  for (size_t index = 0; index < static_cast<size_t>(job.workers); ++index) {
    LocalWorker worker{
        .command = {program, "extract"}, .processors = processors[index], .environment = {}};
    for (const std::string& flag : job.flags) {
      worker.command.push_back(FlagOfWorker(flag, static_cast<int64_t>(index)));
    }
    worker.command.push_back(fmt::format("--worker-id={}", index));
    if (!devices.empty()) worker.environment[variable] = devices[index];
    workers.push_back(std::move(worker));
  }
  return workers;
}

// One line for each worker, which does the same in a shell.
void PrintLocalWorkers(const std::vector<LocalWorker>& workers) {
  for (const LocalWorker& worker : workers) {
    std::vector<std::string> words;
    if (!worker.environment.empty()) words.emplace_back("env");
    for (const auto& [name, value] : worker.environment)
      words.push_back(fmt::format("{}={}", name, value));
    if (!worker.processors.empty()) {
      words.insert(words.end(),
                   {"taskset", "-c", fmt::format("{}", fmt::join(worker.processors, ","))});
    }
    words.insert(words.end(), worker.command.begin(), worker.command.end());
    std::printf("%s\n", ShellCommand(words).c_str());
  }
}

void AddLocal(CLI::App& launch, int& exit_status) {
  CLI::App* command = launch.add_subcommand("local", "Processes on this machine");
  command->footer(kLocalNotes);
  auto flags = std::make_shared<EngineFlags<LocalFlags>>(*command, FilesSeenByWorkers::kAsHere,
                                                         AddLocalFlags);
  command->callback([flags, &exit_status] {
    const auto run = [&]() -> Result<int> {
      ASSIGN_OR_RETURN(const LaunchJob job,
                       MakeLaunchJob(*flags->extract, flags->launch, FilesSeenByWorkers::kAsHere));
      ASSIGN_OR_RETURN(const std::vector<LocalWorker> workers,
                       MakeLocalWorkers(job, flags->options));
      if (flags->launch.dry_run) {
        PrintLocalWorkers(workers);
        return kExitComplete;
      }
      const bool prints_json =
          std::find(job.flags.begin(), job.flags.end(), "--json=true") != job.flags.end();
      return RunLocalWorkers(workers, {.restarts = {.workers = job.workers,
                                                    .max_restarts = flags->options.max_restarts},
                                       .plain_output = prints_json});
    };
    const Result<int> status = run();
    exit_status = status.ok() ? *status : flags->extract->Report(status.status());
  });
}

void AddSlurmFlags(CLI::App& command, SlurmOptions& options) {
  AddFlagOf(command, "--partition", options.partition, "Partition [the cluster's default]");
  AddFlagOf(command, "--account", options.account, "Account [the user's default]");
  AddFlagOf(command, "--time", options.time,
            "Longest time of one start of a worker, such as 4:00:00 [the partition's]");
  AddCountOf(command, "--cpus", options.cpus, "Processors of each worker [the cluster's default]");
  AddFlagOf(command, "--memory", options.memory, "Memory of each worker, such as 64G");
  AddCountOf(command, "--gpus", options.gpus, "GPUs of each worker [none]");
  AddCountOf(command, "--at-once", options.at_once,
             "How many workers run at the same time [as many as find room]");
  AddCountOf(command, "--max-restarts", options.max_restarts,
             "How often a worker that failed starts again in its place [5]");
  AddListOf(command, "--sbatch-option", options.sbatch_options,
            "One more option of sbatch, as --sbatch-option=--constraint=avx512; repeatable");
  AddFlagOf(command, "--program", options.program,
            "The program where the nodes find it [this one's path]");
}

Result<Submission> MakeSlurm(const LaunchJob& job, const SlurmOptions& options) {
  SlurmOptions complete = options;
  if (complete.program.empty()) {
    ASSIGN_OR_RETURN(complete.program, ProgramPath());
  }
  return MakeSlurmSubmission(job, complete);
}

void AddKubernetesFlags(CLI::App& command, KubernetesOptions& options) {
  AddFlagOf(command, "--image", options.image, "Container image with thresher in it");
  AddFlagOf(command, "--namespace", options.name_space, "Namespace [the context's]");
  AddFlagOf(command, "--service-account", options.service_account,
            "Service account of the pods, whose identity may use the bucket [default]");
  AddFlagOf(command, "--spot", options.spot, "Run on the pre-emptible nodes of gke, eks or aks");
  AddFlagOf(command, "--cpus", options.cpus, "Processors of each worker, such as 16 or 500m");
  AddFlagOf(command, "--memory", options.memory, "Memory of each worker, such as 64Gi");
  AddCountOf(command, "--gpus", options.gpus, "NVIDIA GPUs of each worker [none]");
  AddCountOf(command, "--max-restarts", options.max_restarts,
             "How often a worker that failed starts again [5]");
  AddListOf(command, "--secret", options.secrets,
            "Name of a Secret whose keys become environment variables; repeatable");
  AddListOf(command, "--volume", options.volumes,
            "A PersistentVolumeClaim and where the workers see it: CLAIM=/path; repeatable");
  AddFlagOf(command, "--tpu-accelerator", options.tpu_accelerator,
            "GKE's name of a TPU: tpu-v5-lite-podslice");
  AddFlagOf(command, "--tpu-topology", options.tpu_topology, "Shape of a TPU slice: 2x4");
  AddCountOf(command, "--tpu-chips", options.tpu_chips, "TPU chips of each machine of a slice");
}

void AddTpuVmFlags(CLI::App& command, TpuVmOptions& options) {
  AddFlagOf(command, "--image", options.image, "Container image with thresher in it");
  AddFlagOf(command, "--accelerator", options.accelerator, "Type of the TPU, such as v5litepod-4");
  AddFlagOf(command, "--runtime-version", options.runtime_version,
            "System of the machine, such as v2-alpha-tpuv5-lite");
  AddFlagOf(command, "--zone", options.zone, "Zone, such as us-central1-a");
  AddFlagOf(command, "--project", options.project, "Project [gcloud's]");
  AddFlagOf(command, "--service-account", options.service_account,
            "Service account of the machines, which may use the bucket [the project's default]");
  command.add_flag("--spot", options.spot, "Pre-emptible machines")->group("Engine");
  command.add_flag("--keep-machines", options.keep_machines, "Also when the run is complete")
      ->group("Engine");
}

void AddSkypilotFlags(CLI::App& command, SkypilotOptions& options) {
  AddFlagOf(command, "--image", options.image, "Container image with thresher in it");
  AddFlagOf(command, "--infra", options.infra,
            "Where, such as gcp/us-central1 [wherever it is cheapest]");
  AddFlagOf(command, "--accelerators", options.accelerators, "Such as H100:1 [none]");
  AddFlagOf(command, "--cpus", options.cpus, "Processors of each worker, such as 16+");
  AddFlagOf(command, "--memory", options.memory, "Memory of each worker in GB, such as 64+");
  command.add_flag("--spot", options.spot, "Pre-emptible machines")->group("Engine");
  AddCountOf(command, "--max-restarts", options.max_restarts,
             "How often a worker that failed starts again [5]");
  AddListOf(command, "--secret", options.secrets,
            "Name of an environment variable whose value SkyPilot passes on; repeatable");
}

}  // namespace

void AddLaunchCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand("launch", "Start the workers of a run with an engine");
  command->footer(kLaunchExamples);
  command->require_subcommand(1);
  AddLocal(*command, exit_status);
  AddEngine<SlurmOptions>(*command, exit_status,
                          {.name = "slurm",
                           .help = "An array job of a Slurm cluster",
                           .notes = kSlurmNotes,
                           .files = FilesSeenByWorkers::kAsHere,
                           .add_flags = AddSlurmFlags,
                           .make = MakeSlurm});
  AddEngine<KubernetesOptions>(
      *command, exit_status,
      {.name = "kubernetes",
       .help = "An Indexed Job of a Kubernetes cluster, or a JobSet of TPU slices",
       .notes = kKubernetesNotes,
       .files = FilesSeenByWorkers::kElsewhere,
       .add_flags = AddKubernetesFlags,
       .make = MakeKubernetesSubmission,
       .mounts = [](const KubernetesOptions& options) { return MountPaths(options.volumes); }});
  AddEngine<TpuVmOptions>(*command, exit_status,
                          {.name = "tpu-vm",
                           .help = "TPU machines of Google Cloud, as queued resources",
                           .notes = kTpuVmNotes,
                           .files = FilesSeenByWorkers::kElsewhere,
                           .add_flags = AddTpuVmFlags,
                           .make = MakeTpuVmSubmission});
  AddEngine<SkypilotOptions>(*command, exit_status,
                             {.name = "skypilot",
                              .help = "Managed jobs of SkyPilot",
                              .notes = kSkypilotNotes,
                              .files = FilesSeenByWorkers::kElsewhere,
                              .add_flags = AddSkypilotFlags,
                              .make = MakeSkypilotSubmission});
}

}  // namespace thresher
