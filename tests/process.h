#ifndef THRESHER_TESTS_PROCESS_H_
#define THRESHER_TESTS_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace thresher {

// How a process ended, and what it had printed by then.
struct ProcessResult {
  int exit_status = -1;    // -1 if a signal ended it
  int signal = 0;          // 0 if it exited
  bool timed_out = false;  // it ran past the limit and was killed by Process::Wait
  std::string out;         // standard output
  std::string err;         // standard error stream
  int64_t peak_resident_bytes = 0;
  int64_t elapsed_ms = 0;

  // For messages of failed tests.
  std::string Describe() const;
};

struct Command {
  std::vector<std::string> arguments;  // arguments[0]: path of the program
  // Added to the test's own environment; an empty text removes the variable.
  std::map<std::string, std::string> environment = {};
  std::string folder = {};                     // to run in; empty: the test's own
  std::optional<int64_t> max_file_bytes = {};  // RLIMIT_FSIZE, a multiple of 512
  // Both output streams are appended to this file, and ProcessResult has none; empty: they are kept
  // for ProcessResult.
  std::string log_file = {};
  // The kernel kills it when the thread that started it ends, however that ends.
  bool ends_with_parent = false;
};

// A running child process, killed and reaped when this object goes. Not thread-safe.
class Process {
 public:
  // A failure to start it is a failed check.
  explicit Process(const Command& command);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  pid_t id() const { return id_; }
  void Signal(int signal_number) const;

  // True if it has ended by itself or by a signal; Wait then returns at once.
  bool HasEnded();

  // Waits for the end; kills the process when it takes longer than `limit_ms`. Call once.
  ProcessResult Wait(int64_t limit_ms = 120'000);

 private:
  bool Reap(bool block);

  pid_t id_ = -1;
  std::string folder_;  // holds what it prints
  int64_t start_ms_ = 0;
  bool reaped_ = false;
  ProcessResult result_;
};

// Runs the command to its end.
ProcessResult RunProcess(const Command& command, int64_t limit_ms = 120'000);

// Lets that much time pass for other processes: the distance between two kills, or between two
// looks at a process; never a wait for something to be ready.
void PassMilliseconds(int64_t duration_ms);

}  // namespace thresher

#endif  // THRESHER_TESTS_PROCESS_H_
