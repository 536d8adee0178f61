#include "slurm_cluster.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "files.h"
#include "servers.h"

namespace thresher {
namespace {

constexpr int64_t kPatienceMs = 30'000;
// Slurm holds a job that it has queued again until the credential of its last start has run out:
// 120 s, unless it is told otherwise.
constexpr int64_t kRequeueHoldSeconds = 10;

// The programs that scripts/install_dependencies.sh --ci installs.
constexpr const char* kPrograms[] = {"/usr/sbin/munged",  "/usr/sbin/slurmctld", "/usr/sbin/slurmd",
                                     "/usr/bin/sbatch",   "/usr/bin/squeue",     "/usr/bin/sinfo",
                                     "/usr/bin/scontrol", "/usr/bin/scancel"};

std::string ShortHostName() {
  char name[256] = "";
  THRESHER_CHECK(gethostname(name, sizeof(name) - 1) == 0);
  const std::string whole = name;
  return whole.substr(0, whole.find('.'));
}

}  // namespace

std::string WhySlurmIsMissing() {
  for (const char* program : kPrograms) {
    if (access(program, X_OK) != 0) {
      return std::string(program) +
             " is missing: scripts/install_dependencies.sh --ci installs it (slurm-wlm, munge)";
    }
  }
  if (geteuid() != 0) return "slurmd runs as root only";
  return "";
}

SlurmCluster::SlurmCluster()
    : host_(ShortHostName()), controller_port_(FreePort()), node_port_(FreePort()) {}

SlurmCluster::~SlurmCluster() {
  // In this order each finds what it needs to end in peace.
  for (std::optional<Process>* daemon : {&node_, &controller_, &munge_}) {
    if (!daemon->has_value()) continue;
    (*daemon)->Signal(SIGTERM);
    (*daemon)->Wait(kPatienceMs);
  }
}

std::string SlurmCluster::ConfigurationText() const {
  return fmt::format(R"(ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire={hold}
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SlurmdParameters=config_overrides
KillWait=5
ReturnToService=2
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs=2 State=UNKNOWN
PartitionName=low Nodes=node Default=YES PriorityTier=1 GraceTime=10 PreemptMode=REQUEUE State=UP
PartitionName=high Nodes=node PriorityTier=10 PreemptMode=OFF State=UP
)",
                     fmt::arg("host", host_), fmt::arg("controller_port", controller_port_),
                     fmt::arg("node_port", node_port_), fmt::arg("folder", folder_.path()),
                     fmt::arg("hold", kRequeueHoldSeconds));
}

std::map<std::string, std::string> SlurmCluster::Environment() const {
  return {{"SLURM_CONF", folder_.PathOf("slurm.conf")}};
}

Process SlurmCluster::StartDaemon(const std::vector<std::string>& words) {
  const std::string name = std::filesystem::path(words[0]).filename();
  return Process({.arguments = words,
                  .environment = Environment(),
                  .folder = folder_.path(),
                  .log_file = folder_.PathOf(name + ".log"),
                  .ends_with_parent = true});
}

Status SlurmCluster::Start() {
  // munged asks that nobody else can write to the folders above its socket.
  chmod(folder_.path().c_str(), 0755);
  for (const char* name : {"state", "spool"}) {
    std::filesystem::create_directory(folder_.PathOf(name));
  }
  std::string key;
  Random random(static_cast<uint64_t>(getpid()));
  for (int i = 0; i < 128; ++i) key += static_cast<char>(random.Below(256));
  chmod(folder_.Write("munge.key", key).c_str(), 0400);
  folder_.Write("slurm.conf", ConfigurationText());
  munge_.emplace(StartDaemon(
      {"/usr/sbin/munged", "--foreground", "--force", "--key-file=" + folder_.PathOf("munge.key"),
       "--socket=" + folder_.PathOf("munge.socket"), "--pid-file=" + folder_.PathOf("munge.pid"),
       "--log-file=" + folder_.PathOf("munged.log"),
       "--seed-file=" + folder_.PathOf("munge.seed")}));
  const int64_t deadline_ms = Clock::Real().MonotonicMs() + kPatienceMs;
  const auto wait_until = [&](const auto& is_true) {
    while (!is_true()) {
      if (Clock::Real().MonotonicMs() > deadline_ms) return false;
      PassMilliseconds(50);
    }
    return true;
  };
  const auto failed = [&] { return Internal("Slurm does not start:\n" + Logs()); };
  if (!wait_until([&] { return access(folder_.PathOf("munge.socket").c_str(), F_OK) == 0; })) {
    return failed();
  }
  controller_.emplace(StartDaemon({"/usr/sbin/slurmctld", "-D", "-i"}));
  node_.emplace(StartDaemon({"/usr/sbin/slurmd", "-D", "-N", "node"}));
  const auto takes_jobs = [&] {
    Command command{.arguments = {"/usr/bin/sinfo", "--noheader", "--format=%t"},
                    .environment = Environment()};
    return RunProcess(command).out.starts_with("idle");
  };
  return wait_until(takes_jobs) ? OkStatus() : failed();
}

std::string SlurmCluster::Ask(const std::vector<std::string>& words) const {
  const ProcessResult result = RunProcess({.arguments = words, .environment = Environment()});
  if (result.exit_status != 0) return result.Describe();
  return result.out;
}

std::string SlurmCluster::Logs() const {
  std::string logs;
  for (const char* name : {"munged", "slurmctld", "slurmd"}) {
    const std::string path = folder_.PathOf(std::string(name) + ".log");
    if (!std::filesystem::exists(path)) continue;
    const std::string log = ReadFile(path);
    logs += fmt::format("--- {}\n{}\n", name,
                        log.substr(log.size() - std::min<size_t>(log.size(), 3000)));
  }
  return logs;
}

}  // namespace thresher
