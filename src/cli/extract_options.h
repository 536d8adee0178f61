#ifndef THRESHER_CLI_EXTRACT_OPTIONS_H_
#define THRESHER_CLI_EXTRACT_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/dtype.h"
#include "base/result.h"
#include "cli/log_output.h"
#include "cli/sample_flags.h"
#include "cli/store_settings.h"
#include "engine/create_engine.h"
#include "extract/cloud_metadata.h"
#include "sample/sample_settings.h"
#include "settings/settings.h"

namespace thresher {

// Of --max-tokens, where the model has that many positions.
inline constexpr int64_t kDefaultMaxTokens = 2048;

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
  std::string mesh;
  bool allow_mixed_engines = false;
  std::string device_attention = "blocks";
  std::string executable_cache = "auto";
  std::string device_timeout = "10m";
  std::optional<int64_t> worker_id;  // nothing: the cloud's number of this machine, or 0
  int64_t num_workers = 0;           // 0: unknown
  SampleSettings samples = UnsetSampleSettings();
  std::string on_bad_sample = "skip";
  std::string shard_bytes = "1GB";
  int64_t max_samples = 0;  // 0: all
  bool extend = false;
  int64_t batch_tokens = 2048;
  int threads = 0;
  int64_t arenas = 2;
  std::string lease_ttl = "3m";
  std::string stop_grace = "25s";
  int64_t max_failures_in_a_row = 3;
  std::string preemption_notice = "auto";
  std::string keep_local;
  bool delete_local_after_upload = false;
  std::string checkpoint_dir = "checkpoints";
  bool no_checkpointing = false;
  bool quiet = false;
  bool json = false;
  std::string log_format = "plain";
  std::string log_level;           // empty: by format and quiet
  std::string trace;               // empty: none
  std::string metrics_port;        // empty: none
  std::string metrics_token_file;  // empty: no token
  StoreSettings store;
};

// The same, checked and in the program's own terms.
struct ExtractOptions {
  // `output` as ResolveOutput gives it; a prompt that is a file is read.
  ExtractSettings settings;
  DType dtype = DType::kBf16;
  std::optional<DType> compute;  // nothing: what the run has, or what the engine does best
  DeviceMesh mesh;
  bool cudnn_attention = false;
  std::string executable_cache;  // a folder, or empty
  std::optional<int64_t> device_timeout_ms;
  int64_t shard_bytes = 0;
  int64_t lease_ttl_ms = 0;
  int64_t stop_grace_ms = 0;
  int64_t worker_id = 0;
  Cloud cloud = Cloud::kNone;  // whose metadata server is asked
  LogOptions log;
  StoreOptions store;
};

// The engine that the options ask for, with that arithmetic.
EngineOptions EngineOptionsOf(const ExtractOptions& options, DType compute);

// Registers every setting. `target` must outlive the returned object.
void RegisterExtractSettings(Settings& settings, ExtractSettings& target);

// Where the run is stored. `output` itself, unless the first users' variables send it to a bucket:
// with UPLOAD_TO_GCS=true and GCS_BUCKET=B, a relative path P is gs://B/P.
Result<std::string> ResolveOutput(const std::string& output);

// What a command cannot do without.
struct NeededSettings {
  bool model = true;
  bool dataset = true;
  bool output = true;
};

// Messages name the flag and what it takes.
Result<ExtractOptions> CheckExtractSettings(const ExtractSettings& settings,
                                            const NeededSettings& needed = {});

}  // namespace thresher

#endif  // THRESHER_CLI_EXTRACT_OPTIONS_H_
