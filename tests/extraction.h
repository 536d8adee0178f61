#ifndef THRESHER_TESTS_EXTRACTION_H_
#define THRESHER_TESTS_EXTRACTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "process.h"
#include "run_reader.h"

namespace thresher {

// The real program, built beside the tests.
std::string ThresherPath();

// `thresher ARGUMENTS...` with an environment that is free of variables that it reads.
Command Thresher(const std::vector<std::string>& arguments);

// `thresher extract` as tests start it: f32 everywhere, one thread, no local mirror.
struct Extraction {
  std::string model;
  std::string dataset;
  std::string output;
  std::vector<std::string> flags = {};  // added after the ones above; "--dtype" and so on win

  Command ToCommand() const;
  ProcessResult Run(int64_t limit_ms = 120'000) const { return RunProcess(ToCommand(), limit_ms); }
};

// Writes JSONL with `count` records {"token_ids": [..]} of `shortest` to `longest` ids in [0, 512).
struct MadeUpSamples {
  int64_t count = 0;
  int64_t shortest = 1;
  int64_t longest = 1;
  uint64_t seed = 1;
};
void WriteSamples(const std::string& path, const MadeUpSamples& samples);

// {"token_ids": [..]}
std::string TokenIdsLine(const std::vector<int32_t>& token_ids);

}  // namespace thresher

#endif  // THRESHER_TESTS_EXTRACTION_H_
