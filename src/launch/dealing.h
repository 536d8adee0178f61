#ifndef THRESHER_LAUNCH_DEALING_H_
#define THRESHER_LAUNCH_DEALING_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

// One logical processor of this machine and where it lies; processors of one core share its
// arithmetic units.
struct Processor {
  int number = 0;
  int package = 0;
  int core = 0;
};

// The processors that this process may use, by number; where the system does not say where one
// lies, each is its own core of package 0.
std::vector<Processor> UsableProcessors();

// The processors of each worker: all are dealt out, none twice, in shares that differ by at most
// one core; whole cores, and neighbours in one package, as far as that goes. With more workers than
// processors several share one. Pure.
std::vector<std::vector<int>> DealProcessors(std::vector<Processor> processors, int64_t workers);

// Devices for the workers of one machine.
struct Devices {
  std::string variable = {};              // "CUDA_VISIBLE_DEVICES"
  std::vector<std::string> numbers = {};  // "0", "1", ...
};

// Reads "CUDA_VISIBLE_DEVICES=0,1,2,3". kInvalidArgument, naming --devices.
Result<Devices> ParseDevices(std::string_view text);

// The value of the variable for each worker: "0,1", "2,3". kInvalidArgument, naming --devices, if
// there are fewer devices than workers.
Result<std::vector<std::string>> DealDevices(const Devices& devices, int64_t workers);

// `flag`, "--name=value", as worker `index` of one machine has it: what only one process can have
// is told apart. The port of --metrics-port goes up by `index`, a file of --trace has "-INDEX" in
// front of its extension; every other flag stays as it is. Pure.
std::string FlagOfWorker(const std::string& flag, int64_t index);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_DEALING_H_
