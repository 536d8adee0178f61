#ifndef THRESHER_CLI_BENCH_DEVICES_H_
#define THRESHER_CLI_BENCH_DEVICES_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "benchmark/engine_benchmark.h"
#include "cli/extract_options.h"

namespace thresher {

// `thresher bench` of an engine on devices: measures and prints the report.
Status BenchDevices(const BenchmarkInputs& inputs, const std::string& model,
                    const ExtractOptions& options, int64_t repeats,
                    const std::function<void(const std::string&)>& progress);

}  // namespace thresher

#endif  // THRESHER_CLI_BENCH_DEVICES_H_
