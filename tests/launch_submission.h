#ifndef THRESHER_TESTS_LAUNCH_SUBMISSION_H_
#define THRESHER_TESTS_LAUNCH_SUBMISSION_H_

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

// What the tests of `thresher launch` share: stand-in clients that record what they are given,
// hostile values, and the checkers.

namespace thresher {

using Json = nlohmann::json;

// Values that would break out of quotes, expand, or become structure.
inline const std::vector<std::string> kHostile = {"it's",
                                                  "a \"b\" $HOME `id` $(id) ${x}",
                                                  "$(JOB_COMPLETION_INDEX)",
                                                  "x\nkind: Secret\n- a: b",
                                                  "#SBATCH --uid=0\n#SBATCH x",
                                                  "back\\slash\\n",
                                                  "{{jinja}}",
                                                  "'; touch /tmp/x; '",
                                                  "\xc3\xa9\xe2\x82\xac",
                                                  "EOF\n'EOF'"};

// Records its arguments, each ended by a NUL, in $RECORD/NAME.N.
inline constexpr const char* kRecorder = R"(#!/bin/bash
name=$(basename "$0")
number=0
while [[ -e $RECORD/$name.$number ]]; do number=$((number + 1)); done
if (($# > 0)); then printf '%s\0' "$@" >"$RECORD/$name.$number"; else : >"$RECORD/$name.$number"; fi
)";

class LaunchSubmitTest : public ::testing::Test {
 protected:
  LaunchSubmitTest() {
    mkdir(folder_.PathOf("bin").c_str(), 0755);
    mkdir(folder_.PathOf("record").c_str(), 0755);
  }

  // A client that records its arguments and then does `what`, a piece of bash.
  void AddStandIn(const std::string& name, const std::string& what = "") const {
    chmod(folder_.Write("bin/" + name, kRecorder + what + "\n").c_str(), 0755);
  }

  // The arguments of the `number`-th call of a stand-in.
  std::vector<std::string> Recorded(const std::string& name, int number = 0) const {
    const std::string path = folder_.PathOf(fmt::format("record/{}.{}", name, number));
    if (access(path.c_str(), F_OK) != 0) return {"never called"};
    const std::string bytes = ReadFile(path);
    std::vector<std::string> words;
    for (size_t begin = 0; begin < bytes.size();) {
      const size_t end = bytes.find('\0', begin);
      words.push_back(bytes.substr(begin, end - begin));
      begin = end + 1;
    }
    return words;
  }

  int CallCount(const std::string& name) const {
    int count = 0;
    while (access(folder_.PathOf(fmt::format("record/{}.{}", name, count)).c_str(), F_OK) == 0) {
      ++count;
    }
    return count;
  }

  Command WithStandIns(Command command) const {
    command.environment["PATH"] = folder_.PathOf("bin") + ":" + std::getenv("PATH");
    command.environment["RECORD"] = folder_.PathOf("record");
    command.folder = folder_.path();
    return command;
  }

  // What is in `flags` takes the place of what stands here.
  ProcessResult Launch(const std::string& engine, const std::vector<std::string>& flags) const {
    std::vector<std::string> arguments = {"launch", engine};
    const std::vector<std::pair<std::string, std::string>> usual = {
        {"--model", "/models/M"}, {"--dataset", "gs://bucket/d"}, {"--output", "gs://bucket/r"}};
    for (const auto& [flag, value] : usual) {
      if (std::find(flags.begin(), flags.end(), flag) != flags.end()) continue;
      arguments.insert(arguments.end(), {flag, value});
    }
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return RunProcess(WithStandIns(Thresher(arguments)));
  }

  ProcessResult Bash(const std::string& script,
                     const std::map<std::string, std::string>& environment = {}) const {
    Command command;
    command.arguments = {"/bin/bash", folder_.Write("script.sh", script)};
    command.environment = environment;
    return RunProcess(WithStandIns(command));
  }

  // The flags of a worker whose --dataset holds `hostile`.
  static std::vector<std::string> WorkerFlags(const std::string& hostile) {
    return {"--model=/models/M", "--dataset=gs://bucket/" + hostile, "--output=gs://bucket/r"};
  }
  static std::vector<std::string> HostileFlags(const std::string& hostile) {
    return {"--workers", "2", "--dataset", "gs://bucket/" + hostile};
  }

  static void ExpectCleanShell(const std::string& script) {
    if (access("/usr/bin/shellcheck", X_OK) != 0) {
      GTEST_SKIP() << "shellcheck is missing: scripts/install_dependencies.sh --ci installs it";
    }
    TemporaryFolder folder;
    // That nothing expands in single quotes (SC2016), and that a single quote is written outside of
    // them (SC1003), is on purpose.
    const ProcessResult result =
        RunProcess({.arguments = {"/usr/bin/shellcheck", "--exclude=SC2016,SC1003",
                                  folder.Write("script.sh", script)}});
    EXPECT_EQ(result.exit_status, 0) << result.Describe() << script;
  }

  TemporaryFolder folder_;
};

inline std::vector<std::string> Strings(const Json& list) {
  return list.get<std::vector<std::string>>();
}

inline std::vector<std::string> Joined(std::vector<std::string> first,
                                       const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

inline std::string ValidatorPython(const std::string& name) {
  return SourcePath(".cache/validators/" + name + "/bin/python");
}

inline bool HasValidator(const std::string& name) {
  return access(ValidatorPython(name).c_str(), X_OK) == 0;
}

inline std::string WhyNoValidator(const std::string& name) {
  return "the validator " + name + " is missing: scripts/fetch_validators.sh installs it";
}

}  // namespace thresher

#endif  // THRESHER_TESTS_LAUNCH_SUBMISSION_H_
