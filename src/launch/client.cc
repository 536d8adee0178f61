#include "launch/client.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

namespace thresher {
namespace {

// The text as a file that no path leads to, at its beginning.
Result<int> OpenText(const std::string& text) {
  const int descriptor = memfd_create("submission", MFD_CLOEXEC);
  if (descriptor < 0) return ErrnoStatus(errno, "making a file in memory");
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = write(descriptor, text.data() + done, text.size() - done);
    if (written < 0) {
      const Status status = ErrnoStatus(errno, "writing a file in memory");
      close(descriptor);
      return status;
    }
    done += static_cast<size_t>(written);
  }
  lseek(descriptor, 0, SEEK_SET);
  return descriptor;
}

}  // namespace

Status Submit(const Submission& submission) {
  ASSIGN_OR_RETURN(const int input, OpenText(submission.text));
  std::vector<std::string> words = submission.client;
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  pid_t child = -1;
  const int error =
      posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(input);
  if (error == ENOENT) {
    return NotFound(words[0] +
                    " is not installed here; --dry-run prints what would be submitted, for a "
                    "machine that has it");
  }
  if (error != 0) return ErrnoStatus(error, "starting " + words[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return OkStatus();
  return Internal(fmt::format("{} ended with status {}; nothing, or not everything, is submitted",
                              words[0],
                              WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
}

}  // namespace thresher
