#ifndef THRESHER_CLI_STORE_COMMAND_H_
#define THRESHER_CLI_STORE_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/result.h"
#include "store/store.h"

namespace thresher {

// Completes a command that works on a store and has no other settings from the environment: adds
// the store's flags, ends its help with `examples` and a word on addresses, and has it call `run`
// when it was chosen. `run` gets checked options and returns the exit status; an error is reported
// here (kExitError). Flags that cannot be used end with kExitUsage before `run` is called.
// `exit_status` must outlive `command`.
void FinishStoreCommand(CLI::App& command, const std::string& examples, int& exit_status,
                        std::function<Result<int>(const StoreOptions& options)> run);

// For arguments that are addresses of stores: one that cannot be one is wrong usage.
CLI::Validator StoreAddress();

// What to give another command so that it reaches the same store: the address, and the flags that
// are needed to get there. For hints in messages.
std::string StoreArguments(const std::string& url, const StoreOptions& options);

}  // namespace thresher

#endif  // THRESHER_CLI_STORE_COMMAND_H_
