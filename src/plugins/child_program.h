#ifndef THRESHER_PLUGINS_CHILD_PROGRAM_H_
#define THRESHER_PLUGINS_CHILD_PROGRAM_H_

#include <string>
#include <vector>

#include "base/result.h"

namespace thresher {

// Runs a program, found in PATH unless its name has a slash, to its end: its exit status, or 128 +
// the number of the signal that ended it. It reads nothing; its standard output goes to this
// process's standard error stream. `variables`: "NAME=value", beside this process's environment.
// kNotFound if there is no such program.
Result<int> RunChildProgram(const std::vector<std::string>& arguments,
                            const std::vector<std::string>& variables = {});

}  // namespace thresher

#endif  // THRESHER_PLUGINS_CHILD_PROGRAM_H_
