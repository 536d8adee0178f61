#include "launch/local_workers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/byte_size.h"
#include "base/clock.h"
#include "launch/line_splitter.h"

namespace thresher {
namespace {

void WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nobody reads; the workers go on
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

// What one worker prints on one of its streams.
struct Stream {
  int descriptor = -1;  // -1: closed
  int target = STDERR_FILENO;
  LineSplitter lines;

  // Passes on what there is; closes itself at the end of the stream.
  void Read() {
    std::array<char, 16384> buffer;
    const ssize_t count = read(descriptor, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    std::string out;
    if (count > 0) {
      lines.Add({buffer.data(), static_cast<size_t>(count)}, out);
    } else {
      lines.Finish(out);
      Close();
    }
    WriteAll(target, out);
  }

  // Passes on what is left, for a process that has ended; one of its own children may still hold
  // the stream open, so this does not wait for the end.
  void Drain() {
    while (descriptor >= 0) {
      pollfd entry{.fd = descriptor, .events = POLLIN, .revents = 0};
      if (poll(&entry, 1, 0) <= 0) break;
      Read();
    }
    std::string rest;
    lines.Finish(rest);
    WriteAll(target, rest);
    Close();
  }

  void Close() {
    if (descriptor >= 0) close(descriptor);
    descriptor = -1;
  }
};

struct Pipe {
  int read_end = -1;
  int write_end = -1;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoStatus(errno, "making a pipe");
  return Pipe{.read_end = ends[0], .write_end = ends[1]};
}

// Everything that the child needs, made before the fork: after it only calls that are safe there.
struct Prepared {
  std::vector<std::string> environment;
  std::vector<char*> arguments;
  std::vector<char*> variables;
  cpu_set_t processors;
  bool is_bound = false;
};

Prepared Prepare(const LocalWorker& worker) {
  Prepared prepared;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!worker.environment.contains(text.substr(0, text.find('=')))) {
      prepared.environment.push_back(text);
    }
  }
  for (const auto& [name, value] : worker.environment) {
    prepared.environment.push_back(fmt::format("{}={}", name, value));
  }
  for (std::string& text : prepared.environment) prepared.variables.push_back(text.data());
  prepared.variables.push_back(nullptr);
  for (const std::string& word : worker.command) {
    prepared.arguments.push_back(const_cast<char*>(word.c_str()));
  }
  prepared.arguments.push_back(nullptr);
  CPU_ZERO(&prepared.processors);
  for (const int number : worker.processors) {
    if (number < CPU_SETSIZE) CPU_SET(number, &prepared.processors);
  }
  prepared.is_bound = CPU_COUNT(&prepared.processors) > 0;
  return prepared;
}

// In the child; never returns. A process group of its own keeps a terminal's Ctrl-C from it, which
// this process hands on.
[[noreturn]] void BecomeWorker(const Prepared& prepared, int out, int err, pid_t parent,
                               const sigset_t& signals) {
  constexpr int kCannotStart = 127;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kCannotStart);
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
      dup2(err, STDERR_FILENO) < 0) {
    _exit(kCannotStart);
  }
  if (prepared.is_bound) {
    sched_setaffinity(0, sizeof(prepared.processors), &prepared.processors);
  }
  sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  execve(prepared.arguments[0], prepared.arguments.data(), prepared.variables.data());
  const std::string_view message = "the program cannot be started\n";
  (void)!write(STDERR_FILENO, message.data(), message.size());
  _exit(kCannotStart);
}

class Supervisor {
 public:
  Supervisor(const std::vector<LocalWorker>& workers, const LocalOptions& options)
      : options_(options), restarts_(options.restarts) {
    for (const LocalWorker& worker : workers) running_.push_back({.worker = worker});
  }

  Result<int> Run() {
    sigemptyset(&signals_);
    for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD}) sigaddset(&signals_, number);
    sigprocmask(SIG_BLOCK, &signals_, nullptr);
    signal_descriptor_ = signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_descriptor_ < 0) return ErrnoStatus(errno, "waiting for signals");
    Status status = OkStatus();
    do {
      StartThoseThatAreDue(status);
      WaitForSomething();
      TakeSignals();
      Reap();
    } while (IsAnythingLeft());
    close(signal_descriptor_);
    RETURN_IF_ERROR(status);
    return restarts_.ExitStatus();
  }

 private:
  struct Running {
    LocalWorker worker;
    pid_t id = -1;                         // -1: no process
    std::optional<int64_t> starts_at = 0;  // monotonic; nothing: it runs, or stays as it is
    int64_t started_ms = 0;
    std::vector<Stream> streams = {};
  };

  static int64_t NowMs() { return Clock::Real().MonotonicMs(); }

  bool IsAnythingLeft() const {
    return std::any_of(running_.begin(), running_.end(),
                       [](const Running& r) { return r.id > 0 || r.starts_at.has_value(); });
  }

  static void Say(size_t index, const std::string& text) {
    WriteAll(STDERR_FILENO, fmt::format("[{}] {}\n", index, text));
  }

  void StartThoseThatAreDue(Status& status) {
    for (size_t index = 0; index < running_.size(); ++index) {
      Running& running = running_[index];
      if (!running.starts_at) continue;
      if (!restarts_.ShouldStart()) {
        running.starts_at.reset();
      } else if (*running.starts_at <= NowMs()) {
        running.starts_at.reset();
        const Status started = Start(index);
        if (started.ok()) continue;
        status = started;
        StopAll(SIGTERM);
      }
    }
  }

  Status Start(size_t index) {
    Running& running = running_[index];
    ASSIGN_OR_RETURN(const Pipe out, MakePipe());
    ASSIGN_OR_RETURN(const Pipe err, MakePipe());
    const Prepared prepared = Prepare(running.worker);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) BecomeWorker(prepared, out.write_end, err.write_end, parent, signals_);
    const int error = errno;
    close(out.write_end);
    close(err.write_end);
    const std::string prefix = fmt::format("[{}] ", index);
    running.streams.push_back({.descriptor = out.read_end,
                               .target = STDOUT_FILENO,
                               .lines = LineSplitter(options_.plain_output ? "" : prefix)});
    running.streams.push_back(
        {.descriptor = err.read_end, .target = STDERR_FILENO, .lines = LineSplitter(prefix)});
    if (child < 0) {
      CloseStreams(running);
      return ErrnoStatus(error, "starting a process");
    }
    running.id = child;
    running.started_ms = NowMs();
    return OkStatus();
  }

  static void CloseStreams(Running& running) {
    for (Stream& stream : running.streams) stream.Drain();
    running.streams.clear();
  }

  // Until a signal came, something was printed, or a worker is due.
  void WaitForSomething() {
    std::vector<pollfd> entries = {{.fd = signal_descriptor_, .events = POLLIN, .revents = 0}};
    std::vector<Stream*> streams;
    int64_t wait_ms = -1;
    for (Running& running : running_) {
      for (Stream& stream : running.streams) {
        if (stream.descriptor < 0) continue;
        entries.push_back({.fd = stream.descriptor, .events = POLLIN, .revents = 0});
        streams.push_back(&stream);
      }
      if (running.starts_at) {
        const int64_t left_ms = std::max<int64_t>(0, *running.starts_at - NowMs());
        wait_ms = wait_ms < 0 ? left_ms : std::min(wait_ms, left_ms);
      }
    }
    if (streams.empty() && wait_ms < 0 && !IsAnythingLeft()) return;
    if (poll(entries.data(), entries.size(), static_cast<int>(wait_ms)) <= 0) return;
    for (size_t i = 0; i < streams.size(); ++i) {
      if (entries[i + 1].revents != 0) streams[i]->Read();
    }
  }

  void TakeSignals() {
    signalfd_siginfo info{};
    while (read(signal_descriptor_, &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo == SIGCHLD) continue;
      const bool is_second_interrupt = is_stopping_ && info.ssi_signo == SIGINT;
      StopAll(is_second_interrupt ? SIGINT : SIGTERM);
    }
  }

  void StopAll(int signal_number) {
    is_stopping_ = true;
    restarts_.Stop();
    for (const Running& running : running_) {
      if (running.id > 0) kill(running.id, signal_number);
    }
  }

  void Reap() {
    for (size_t index = 0; index < running_.size(); ++index) {
      Running& running = running_[index];
      int status = 0;
      if (running.id <= 0 || waitpid(running.id, &status, WNOHANG) != running.id) continue;
      running.id = -1;
      CloseStreams(running);
      const int code =
          WIFEXITED(status) ? WEXITSTATUS(status) : Restarts::kSignalBase + WTERMSIG(status);
      const int64_t now_ms = NowMs();
      const std::optional<int64_t> pause_ms =
          restarts_.PauseAfterEnd(static_cast<int64_t>(index), code, now_ms - running.started_ms);
      const std::string how = WIFEXITED(status)
                                  ? fmt::format("ended with status {}", code)
                                  : fmt::format("was killed by signal {}", WTERMSIG(status));
      if (pause_ms) {
        running.starts_at = now_ms + *pause_ms;
        Say(index, fmt::format("{}; it starts again in {}", how, FormatDuration(*pause_ms)));
      } else if (code != 0) {
        Say(index, how);
      }
    }
  }

  const LocalOptions options_;
  Restarts restarts_;
  std::vector<Running> running_;
  sigset_t signals_{};
  int signal_descriptor_ = -1;
  bool is_stopping_ = false;
};

}  // namespace

Result<int> RunLocalWorkers(const std::vector<LocalWorker>& workers, const LocalOptions& options) {
  return Supervisor(workers, options).Run();
}

}  // namespace thresher
