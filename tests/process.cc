#include "process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "files.h"

extern char** environ;

namespace thresher {
namespace {

constexpr const char* kOut = "/out";
constexpr const char* kErr = "/err";

std::vector<std::string> EnvironmentOf(const Command& command) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!command.environment.contains(text.substr(0, text.find('=')))) entries.push_back(text);
  }
  for (const auto& [name, value] : command.environment) {
    if (!value.empty()) entries.push_back(name + "=" + value);
  }
  return entries;
}

// posix_spawn knows neither resource limits nor the parent's death: other programs set these and
// become the one that is wanted.
std::vector<std::string> ArgumentsOf(const Command& command) {
  std::vector<std::string> arguments;
  if (command.ends_with_parent) arguments = {"/usr/bin/setpriv", "--pdeathsig", "KILL", "--"};
  if (command.max_file_bytes) {
    const std::string script =
        fmt::format("ulimit -f {} && exec \"$@\"", *command.max_file_bytes / 512);
    arguments.insert(arguments.end(), {"/bin/sh", "-c", script, "sh"});
  }
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  return arguments;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::string LastLines(const std::string& text) {
  constexpr size_t kMaxBytes = 3000;
  return text.size() <= kMaxBytes ? text : "..." + text.substr(text.size() - kMaxBytes);
}

}  // namespace

std::string ProcessResult::Describe() const {
  const std::string end = timed_out     ? "killed at the time limit"
                          : signal != 0 ? fmt::format("signal {}", signal)
                                        : fmt::format("exit status {}", exit_status);
  return fmt::format("{} after {} ms\n--- standard output\n{}\n--- standard error\n{}", end,
                     elapsed_ms, LastLines(out), LastLines(err));
}

Process::Process(const Command& command) {
  THRESHER_CHECK(!command.arguments.empty());
  std::string folder = (std::filesystem::temp_directory_path() / "thresher-out-XXXXXX").string();
  THRESHER_CHECK(mkdtemp(folder.data()) != nullptr);
  folder_ = folder;
  std::vector<std::string> arguments = ArgumentsOf(command);
  std::vector<std::string> environment = EnvironmentOf(command);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const int flags = O_WRONLY | O_CREAT | O_APPEND;
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  const bool logs = !command.log_file.empty();
  const std::string out = logs ? command.log_file : folder_ + kOut;
  const std::string err = logs ? command.log_file : folder_ + kErr;
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), flags, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), flags, 0600);
  if (!command.folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, command.folder.c_str());
  }
  start_ms_ = Clock::Real().MonotonicMs();
  const int error = posix_spawn(&id_, arguments[0].c_str(), &actions, nullptr,
                                Pointers(arguments).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    fmt::print(stderr, "cannot start {}: {}\n", arguments[0], std::strerror(error));
    id_ = -1;
  }
  THRESHER_CHECK(error == 0);
}

Process::Process(Process&& other) noexcept
    : id_(std::exchange(other.id_, -1)),
      folder_(std::exchange(other.folder_, "")),
      start_ms_(other.start_ms_),
      reaped_(other.reaped_),
      result_(std::move(other.result_)) {}

Process::~Process() {
  if (id_ >= 0 && !reaped_) {
    kill(id_, SIGKILL);
    (void)Reap(/*block=*/true);
  }
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

void Process::Signal(int signal_number) const {
  if (!reaped_) kill(id_, signal_number);
}

bool Process::Reap(bool block) {
  if (reaped_) return true;
  int status = 0;
  rusage usage{};
  pid_t ended = 0;
  do {
    ended = wait4(id_, &status, block ? 0 : WNOHANG, &usage);
  } while (ended < 0 && errno == EINTR);
  if (ended != id_) return false;
  reaped_ = true;
  if (WIFEXITED(status)) result_.exit_status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
  result_.peak_resident_bytes = int64_t{usage.ru_maxrss} * 1024;
  result_.elapsed_ms = Clock::Real().MonotonicMs() - start_ms_;
  return true;
}

bool Process::HasEnded() { return Reap(/*block=*/false); }

ProcessResult Process::Wait(int64_t limit_ms) {
  const int64_t deadline_ms = Clock::Real().MonotonicMs() + limit_ms;
  while (!Reap(/*block=*/false)) {
    if (Clock::Real().MonotonicMs() >= deadline_ms) {
      result_.timed_out = true;
      kill(id_, SIGKILL);
      (void)Reap(/*block=*/true);
      break;
    }
    PassMilliseconds(1);
  }
  if (std::filesystem::exists(folder_ + kOut)) {
    result_.out = ReadFile(folder_ + kOut);
    result_.err = ReadFile(folder_ + kErr);
  }
  return std::move(result_);
}

ProcessResult RunProcess(const Command& command, int64_t limit_ms) {
  return Process(command).Wait(limit_ms);
}

void PassMilliseconds(int64_t duration_ms) {
  const timespec duration = {duration_ms / 1000, (duration_ms % 1000) * 1'000'000};
  nanosleep(&duration, nullptr);
}

}  // namespace thresher
