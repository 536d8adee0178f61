#ifndef THRESHER_TESTS_RUN_READER_H_
#define THRESHER_TESTS_RUN_READER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "extract/run_store.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher {

// A tensor of a safetensors file, its bytes copied.
struct TensorContent {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::string bytes;

  // Elements as f32; f32, f16 and bf16 only.
  std::vector<float> Floats() const;
  // Elements of an integer tensor.
  std::vector<int64_t> Integers() const;
};
using TensorFile = std::map<std::string, TensorContent>;

Result<TensorFile> ReadTensorFile(const std::string& path);

// A committed unit and the shard that its commit names.
struct UnitContent {
  Commit commit;
  TensorFile tensors;
};

// One stored sample, sequence after sequence: [tokens] ids of the tokens whose rows are stored and,
// for each hook point, [tokens, width] values in f32.
struct SampleContent {
  std::vector<int64_t> token_ids;
  std::map<std::string, std::vector<float>> hooks;
};

// What a run holds, as its commits tell it.
struct RunContent {
  Run run;
  std::vector<UnitContent> units;  // committed ones, ascending
  std::map<int64_t, SampleContent> Samples() const;
  std::map<int64_t, std::string> Rejected() const;
};

// Reads the run in the store from its commits, and checks on the way, independently of
// `thresher verify`: each commit fits the plan and names a shard that exists, has the bytes and
// checksums that the commit states, and holds each sample of the unit exactly once unless the
// commit says that it was rejected. Does not ask for all units to be committed.
Result<RunContent> ReadRun(Store& store);
Result<RunContent> ReadRun(const std::string& folder);

// The same, and kFailedPrecondition unless every unit is committed and manifest.json is there.
Result<RunContent> ReadCompleteRun(Store& store);
Result<RunContent> ReadCompleteRun(const std::string& folder);

// What differs between the shards of two runs, unit by unit and bit by bit; empty if nothing does.
std::string DifferenceBetween(const RunContent& expected, const RunContent& found);

}  // namespace thresher

#endif  // THRESHER_TESTS_RUN_READER_H_
