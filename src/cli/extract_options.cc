#include "cli/extract_options.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "base/byte_size.h"
#include "sample/prompt_template.h"
#include "sample/settings_check.h"

namespace thresher {
namespace {

Status CheckRange(const char* flag, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return OkStatus();
  return InvalidArgument(std::string(flag) + ": expected a number from " + std::to_string(least) +
                         " to " + std::to_string(most) + ", found " + std::to_string(value));
}

Status CheckGiven(const char* flag, const std::string& value, const char* what) {
  if (!value.empty()) return OkStatus();
  return InvalidArgument(std::string(flag) + " is missing: give " + what);
}

Result<std::optional<DType>> ParseCompute(const std::string& text) {
  if (text == "auto") return std::optional<DType>();
  if (text == "f32") return std::optional(DType::kF32);
  if (text == "bf16") return std::optional(DType::kBf16);
  return InvalidArgument("--compute: expected f32, bf16 or auto, found '" + text + "'");
}

Result<Cloud> ParsePreemptionNotice(const std::string& text) {
  if (text == "auto") return DetectCloud();
  if (text == "off") return Cloud::kNone;
  if (text == "gce") return Cloud::kGce;
  if (text == "aws") return Cloud::kAws;
  if (text == "azure") return Cloud::kAzure;
  return InvalidArgument("--preemption-notice: expected auto, gce, aws, azure or off, found '" +
                         text + "'");
}

// Where compiled programs are kept if nobody says: below XDG_CACHE_HOME or ~/.cache.
std::string DefaultExecutableCache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    return std::string(cache) + "/thresher/executables";
  }
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : std::string(home) + "/.cache/thresher/executables";
}

// What can be told before devices are opened; the engine checks the rest.
Status CheckDeviceAttention(ExtractOptions& options) {
  const ExtractSettings& settings = options.settings;
  if (settings.device_attention == "blocks") return OkStatus();
  if (settings.device_attention != "cudnn") {
    return InvalidArgument("expected blocks or cudnn, found '" + settings.device_attention + "'");
  }
  if (!settings.engine.starts_with("cuda") && !settings.engine.starts_with("pjrt:")) {
    return InvalidArgument("cudnn needs --engine cuda or cuda13");
  }
  if (options.compute == DType::kF32 || options.mesh.model > 1) {
    return InvalidArgument(
        "cudnn needs --compute bf16 and a batch for each device (--mesh model=1)");
  }
  options.cudnn_attention = true;
  return OkStatus();
}

Status CheckDeviceSettings(ExtractOptions& options) {
  const ExtractSettings& settings = options.settings;
  RETURN_IF_ERROR(CheckEngineName(settings.engine).WithContext("--engine"));
  if (!settings.mesh.empty()) {
    Result<DeviceMesh> mesh = ParseDeviceMesh(settings.mesh);
    if (!mesh.ok()) return mesh.status().WithContext("--mesh");
    if (settings.engine == "cpu") {
      return InvalidArgument("--mesh: the engine cpu has no devices to share work; see --threads");
    }
    options.mesh = *mesh;
  }
  RETURN_IF_ERROR(CheckDeviceAttention(options).WithContext("--device-attention"));
  if (settings.executable_cache == "auto") {
    options.executable_cache = DefaultExecutableCache();
  } else if (settings.executable_cache != "none") {
    options.executable_cache = settings.executable_cache;
  }
  if (settings.device_timeout != "0") {
    const Result<int64_t> limit = ParseDurationMs(settings.device_timeout);
    if (!limit.ok()) return limit.status().WithContext("--device-timeout");
    options.device_timeout_ms = *limit;
  }
  return OkStatus();
}

// The value of an environment variable that says yes or no; no if it is not set.
Result<bool> BoolVariable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value ? value : "";
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (text.empty() || text == "false" || text == "0" || text == "no" || text == "off") return false;
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  return InvalidArgument(std::string("environment variable ") + name +
                         ": expected true or false, found '" + value + "'");
}

}  // namespace

Result<std::string> ResolveOutput(const std::string& output) {
  ASSIGN_OR_RETURN(const bool to_bucket, BoolVariable("UPLOAD_TO_GCS"));
  if (!to_bucket || output.find("://") != std::string::npos || output == "memory:") return output;
  constexpr std::string_view kScheme = "gs://";
  const char* value = std::getenv("GCS_BUCKET");
  std::string bucket = value ? value : "";
  if (bucket.starts_with(kScheme)) bucket.erase(0, kScheme.size());
  while (bucket.ends_with('/')) bucket.pop_back();
  if (bucket.empty()) {
    return InvalidArgument(
        "UPLOAD_TO_GCS is set and GCS_BUCKET is not: name the bucket, or give --output "
        "gs://bucket/folder");
  }
  std::string folder = std::filesystem::path(output).lexically_normal().string();
  while (folder.ends_with('/')) folder.pop_back();
  if (folder.empty() || folder.starts_with('/') || folder == "." || folder.starts_with("..")) {
    return InvalidArgument("--output (OUTPUT_DIR): with UPLOAD_TO_GCS it is a folder in bucket " +
                           bucket + ", such as runs/first; found '" + output +
                           "'; or give --output gs://bucket/folder");
  }
  return std::string(kScheme) + bucket + "/" + folder;
}

void RegisterExtractSettings(Settings& settings, ExtractSettings& t) {
  settings.BeginGroup("Model");
  settings.Add(
      "--model", t.model,
      "Folder with config.json and *.safetensors (Hugging Face layout), or hf://owner/name",
      {"MODEL_PATH"});

  settings.BeginGroup("Data");
  settings.Add("--dataset", t.dataset,
               "JSONL, Parquet or plain text: a file, a folder, a pattern, a URL of a store, or "
               "hf://datasets/owner/name",
               {"DATASET_DIR"});
  settings.Add("--max-samples", t.max_samples, "Use only the first so many samples [all]");
  settings.AddFlag("--extend", t.extend,
                   "Add to the run what the data set has more than it had (at its end)");
  settings.Add("--on-bad-sample", t.on_bad_sample,
               "A sample that cannot be used is recorded and left out (skip), or ends the worker "
               "(fail)");
  RegisterSampleSettings(settings, t.samples);

  settings.BeginGroup("Capture");
  settings
      .Add("--hooks", t.hooks,
           "Hook points: all, or a list of embed, resid_pre, q, k, v, z, attn_out, resid_mid, "
           "mlp_post, mlp_out, resid_post, final_norm")
      ->join(',');
  settings.Add("--layers", t.layers, "Layers: all, 0-11, or 0,5,23")->join(',');
  settings.Add("--dtype", t.dtype, "Stored as: bf16, f32, f16, fp8_e4m3 or int8");
  settings.Add("--compute", t.compute, "Arithmetic: f32, bf16 or auto [auto: bf16 if in hardware]");
  settings.Add("--engine", t.engine,
               "What computes: cpu; a device through its plug-in: tpu, cuda, xla-cpu, or "
               "pjrt:/path/to/plugin.so");
  settings.Add("--mesh", t.mesh,
               "How this machine's devices share the work: data=N groups with a batch each, "
               "model=M devices in a group with a part of the weights each [data=all, model=1]");
  settings.AddFlag("--allow-mixed-engines", t.allow_mixed_engines,
                   "Join a run that another engine computes: rows differ in the last bits");
  settings.Add("--device-attention", t.device_attention,
               "Attention on devices: blocks, or, on NVIDIA GPUs in bf16, cudnn: its fused kernel "
               "(never run yet); part of the run's identity");
  settings.Add("--executable-cache", t.executable_cache,
               "Folder of programs compiled for devices, or none [auto: in the user's cache]");
  settings.Add("--device-timeout", t.device_timeout,
               "A device that has not answered for so long ends the worker with exit status 75; "
               "0: wait for ever");
  settings.Add("--batch-tokens", t.batch_tokens,
               "Tokens of one forward pass; part of the run's identity");
  settings.AddVariable(
      "--batch-tokens",
      {.name = "BATCH_SIZE", .times = "max-tokens", .times_if_not_given = kDefaultMaxTokens});
  settings.Add("--shard-bytes", t.shard_bytes, "Size of a shard, such as 1GB or 256MiB");
  settings.AddVariable("--shard-bytes", {.name = "SHARD_SIZE_GB", .unit = "GB"});

  settings.BeginGroup("Run");
  settings.Add("--output", t.output,
               "The run's folder: a path, file:///path, gs://bucket/folder, s3://bucket/folder, "
               "az://container/folder or memory:",
               {"OUTPUT_DIR"});
  settings.Add("--worker-id", t.worker_id,
               "Number of this worker; its folder is tpu_N [the TPU machine's number, or 0]",
               {"TPU_WORKER_ID", "WORKER_ID", "JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID",
                "SLURM_PROCID"});
  settings.Add("--num-workers", t.num_workers,
               "How many workers there are: each begins with its own part [unknown]");
  settings.Add("--threads", t.threads, "Threads of the engine [all cores]");
  settings.Add("--arenas", t.arenas, "Shards held in memory at once");
  settings.Add("--lease-ttl", t.lease_ttl,
               "A worker that is silent for so long loses its units to others");
  settings.Add("--stop-grace", t.stop_grace,
               "Time to finish or hand over after SIGTERM, SIGINT or SIGUSR1");
  settings.Add("--max-failures-in-a-row", t.max_failures_in_a_row,
               "The worker gives up after so many failed units in a row");
  settings.Add("--preemption-notice", t.preemption_notice,
               "Whose metadata server is asked whether this machine is about to be taken away: "
               "auto, gce, aws, azure or off");
  settings.Add("--keep-local", t.keep_local,
               "Keep a copy of each shard in this folder too; a shard whose upload failed is "
               "uploaded from there after a restart [no copies]");
  settings.AddFlag("--delete-local-after-upload", t.delete_local_after_upload,
                   "Delete the copy of --keep-local as soon as the shard is committed");
  settings.Add("--checkpoint-dir", t.checkpoint_dir,
               "Folder of the local mirror checkpoint_worker_N.json", {"CHECKPOINT_DIR"});
  settings.AddFlag("--no-checkpointing", t.no_checkpointing, "Write no local mirror");
  settings.AddFlag("--quiet", t.quiet, "Print problems only");
  settings.AddFlag("--json", t.json, "Print progress as JSON lines on the standard output");
  settings.Add("--log-format", t.log_format,
               "Lines on the standard error stream: plain (for people), text (key=value) or json");
  settings.Add(
      "--log-level", t.log_level,
      "Least level told: debug, info, notice, warning or error [plain: notice; text, json: "
      "info; with --quiet: warning]");
  settings.Add("--trace", t.trace,
               "Write where this worker's time goes to this file, for ui.perfetto.dev [no trace]");
  settings.Add("--metrics-port", t.metrics_port,
               "Serve this worker's metrics for Prometheus at http://127.0.0.1:PORT/metrics; "
               "ADDRESS:PORT or :PORT (all addresses) with a token [none]");
  settings.Add("--metrics-token-file", t.metrics_token_file,
               "File whose first line a scraper has to send as bearer token [no token]");
  RegisterStoreSettings(settings, t.store);
}

EngineOptions EngineOptionsOf(const ExtractOptions& options, DType compute) {
  return {.engine = options.settings.engine,
          .compute = compute,
          .threads = options.settings.threads,
          .max_batch_tokens = options.settings.batch_tokens,
          .stored_dtype = options.dtype,
          .cudnn_attention = options.cudnn_attention,
          .mesh = options.mesh,
          .executable_cache = options.executable_cache,
          .device_timeout_ms = options.device_timeout_ms,
          .on_hang = {}};
}

Result<ExtractOptions> CheckExtractSettings(const ExtractSettings& settings,
                                            const NeededSettings& needed) {
  if (needed.model) RETURN_IF_ERROR(CheckGiven("--model", settings.model, "the model's folder"));
  if (needed.dataset) RETURN_IF_ERROR(CheckGiven("--dataset", settings.dataset, "the data set"));
  if (needed.output) RETURN_IF_ERROR(CheckGiven("--output", settings.output, "the run's folder"));
  constexpr int64_t kMany = 1'000'000'000;
  RETURN_IF_ERROR(CheckRange("--max-tokens", settings.samples.max_tokens, 0, kMany));
  RETURN_IF_ERROR(CheckRange("--batch-tokens", settings.batch_tokens, 1, 10'000'000));
  RETURN_IF_ERROR(CheckRange("--arenas", settings.arenas, 1, 1000));
  RETURN_IF_ERROR(CheckRange("--worker-id", settings.worker_id.value_or(0), 0, kMany));
  RETURN_IF_ERROR(CheckRange("--num-workers", settings.num_workers, 0, kMany));
  RETURN_IF_ERROR(CheckRange("--max-samples", settings.max_samples, 0, 1000 * kMany));
  RETURN_IF_ERROR(CheckRange("--threads", settings.threads, 0, 4096));
  RETURN_IF_ERROR(CheckRange("--max-failures-in-a-row", settings.max_failures_in_a_row, 1, kMany));
  ExtractOptions options;
  options.settings = settings;
  if (!settings.output.empty()) {
    ASSIGN_OR_RETURN(options.settings.output, ResolveOutput(settings.output));
  }
  ASSIGN_OR_RETURN(options.store, CheckStoreSettings(settings.store));
  const std::optional<DType> dtype = StoredDTypeFromName(settings.dtype);
  if (!dtype) {
    return InvalidArgument("--dtype: expected bf16, f32, f16, fp8_e4m3 or int8, found '" +
                           settings.dtype + "'");
  }
  options.dtype = *dtype;
  ASSIGN_OR_RETURN(options.compute, ParseCompute(settings.compute));
  ASSIGN_OR_RETURN(options.cloud, ParsePreemptionNotice(settings.preemption_notice));
  ASSIGN_OR_RETURN(options.log, CheckLogSettings(settings.log_format, settings.log_level,
                                                 settings.quiet, settings.json));
  if (settings.on_bad_sample != "skip" && settings.on_bad_sample != "fail") {
    return InvalidArgument("--on-bad-sample: expected skip or fail, found '" +
                           settings.on_bad_sample + "'");
  }
  RETURN_IF_ERROR(LoadPromptFile(options.settings.samples));
  RETURN_IF_ERROR(CheckSampleSettings(options.settings.samples));
  RETURN_IF_ERROR(CheckDeviceSettings(options));
  if (settings.delete_local_after_upload && settings.keep_local.empty()) {
    return InvalidArgument(
        "--delete-local-after-upload: there are no local copies; give their folder with "
        "--keep-local");
  }
  const auto parse = [](const char* flag, Result<int64_t> parsed, int64_t& target) {
    if (!parsed.ok()) return parsed.status().WithContext(flag);
    target = *parsed;
    return OkStatus();
  };
  RETURN_IF_ERROR(parse("--shard-bytes", ParseByteSize(settings.shard_bytes), options.shard_bytes));
  RETURN_IF_ERROR(parse("--lease-ttl", ParseDurationMs(settings.lease_ttl), options.lease_ttl_ms));
  constexpr int64_t kShortestTtlMs = 100;
  if (options.lease_ttl_ms < kShortestTtlMs) {
    return InvalidArgument("--lease-ttl: expected at least 100ms, found " + settings.lease_ttl);
  }
  RETURN_IF_ERROR(
      parse("--stop-grace", ParseDurationMs(settings.stop_grace), options.stop_grace_ms));
  return options;
}

}  // namespace thresher
