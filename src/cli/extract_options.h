#ifndef THRESHER_CLI_EXTRACT_OPTIONS_H_
#define THRESHER_CLI_EXTRACT_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/dtype.h"
#include "base/result.h"
#include "cli/settings.h"
#include "dataset/sample_reader.h"
#include "engine/cpu/cpu_engine.h"

namespace thresher {

// The settings of `thresher extract` as the user writes them.
struct ExtractSettings {
  std::string model;
  std::string dataset;
  std::string output;
  std::string hooks = "resid_post";
  std::string layers = "all";
  std::string dtype = "bf16";
  std::string compute = "auto";
  std::string engine = "cpu";
  int64_t worker_id = 0;
  int64_t num_workers = 0;  // 0: unknown
  int64_t max_tokens = 0;   // 0: 2048, or the model's positions if there are fewer
  std::string overlong = "truncate";
  std::string shard_bytes = "1GB";
  int64_t max_samples = 0;  // 0: all
  bool extend = false;
  int64_t batch_tokens = 2048;
  int threads = 0;
  int64_t arenas = 2;
  std::string lease_ttl = "3m";
  std::string stop_grace = "25s";
  std::string checkpoint_dir = "checkpoints";
  bool no_checkpointing = false;
  bool quiet = false;
  bool json = false;
};

// The same, checked and in the program's own terms.
struct ExtractOptions {
  ExtractSettings settings;
  DType dtype = DType::kBf16;
  CpuCompute compute = CpuCompute::kAuto;
  Overlong overlong = Overlong::kTruncate;
  int64_t shard_bytes = 0;
  int64_t lease_ttl_ms = 0;
  int64_t stop_grace_ms = 0;
};

// Registers every setting. `target` must outlive the returned object.
void RegisterExtractSettings(Settings& settings, ExtractSettings& target);

// Messages name the flag and what it takes.
Result<ExtractOptions> CheckExtractSettings(const ExtractSettings& settings);

}  // namespace thresher

#endif  // THRESHER_CLI_EXTRACT_OPTIONS_H_
