#include "cli/extract_options.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "base/byte_size.h"

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

Result<CpuCompute> ParseCompute(const std::string& text) {
  if (text == "auto") return CpuCompute::kAuto;
  if (text == "f32") return CpuCompute::kF32;
  if (text == "bf16") return CpuCompute::kBf16;
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
  settings.Add("--model", t.model,
               "Folder with config.json and *.safetensors (Hugging Face layout)", {"MODEL_PATH"});
  settings.Add("--dataset", t.dataset, "JSONL file, one sample a line");
  settings.Add("--output", t.output,
               "The run's folder: a path, file:///path, gs://bucket/folder, s3://bucket/folder, "
               "az://container/folder or memory:",
               {"OUTPUT_DIR"});
  settings.Add("--hooks", t.hooks,
               "Hook points: all, or a list of embed, resid_pre, q, k, v, z, attn_out, resid_mid, "
               "mlp_post, mlp_out, resid_post, final_norm [resid_post]");
  settings.Add("--layers", t.layers, "Layers: all, 0-11, or 0,5,23 [all]");
  settings.Add("--dtype", t.dtype, "Stored as: bf16, f32, f16, fp8_e4m3 or int8 [bf16]");
  settings.Add("--compute", t.compute, "Arithmetic: f32, bf16 or auto [auto: bf16 if in hardware]");
  settings.Add("--engine", t.engine, "What computes: cpu [cpu]");
  settings.Add("--worker-id", t.worker_id,
               "Number of this worker; its folder is tpu_N [the TPU machine's number, or 0]",
               {"TPU_WORKER_ID", "WORKER_ID", "JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID",
                "SLURM_PROCID"});
  settings.Add("--num-workers", t.num_workers,
               "How many workers there are: each begins with its own part [unknown]");
  settings.Add("--max-tokens", t.max_tokens,
               "Longest sequence, in tokens [2048, or the model's positions if fewer]",
               {"MAX_SEQ_LENGTH"});
  settings.Add("--overlong", t.overlong,
               "A longer sample is cut (truncate) or set aside and recorded (reject) [truncate]");
  settings.Add("--shard-bytes", t.shard_bytes, "Size of a shard, such as 1GB or 256MiB [1GB]");
  settings.AddVariable("--shard-bytes", {"SHARD_SIZE_GB", "GB"});
  settings.Add("--max-samples", t.max_samples, "Use only the first so many samples [all]");
  settings.AddFlag("--extend", t.extend,
                   "Add to the run what the data set has more than it had (at its end)");
  settings.Add("--batch-tokens", t.batch_tokens,
               "Tokens of one forward pass; part of the run's identity [2048]");
  settings.Add("--threads", t.threads, "Threads of the engine [all cores]");
  settings.Add("--arenas", t.arenas, "Shards held in memory at once [2]");
  settings.Add("--lease-ttl", t.lease_ttl,
               "A worker that is silent for so long loses its units to others [3m]");
  settings.Add("--stop-grace", t.stop_grace,
               "Time to finish or hand over after SIGTERM, SIGINT or SIGUSR1 [25s]");
  settings.Add("--max-failures-in-a-row", t.max_failures_in_a_row,
               "The worker gives up after so many failed units in a row [3]");
  settings.Add("--preemption-notice", t.preemption_notice,
               "Whose metadata server is asked whether this machine is about to be taken away: "
               "auto, gce, aws, azure or off [auto]");
  settings.Add("--keep-local", t.keep_local,
               "Keep a copy of each shard in this folder too; a shard whose upload failed is "
               "uploaded from there after a restart [no copies]");
  settings.AddFlag("--delete-local-after-upload", t.delete_local_after_upload,
                   "Delete the copy as soon as the shard is committed");
  settings.Add("--checkpoint-dir", t.checkpoint_dir,
               "Folder of the local mirror checkpoint_worker_N.json [checkpoints]",
               {"CHECKPOINT_DIR"});
  settings.AddFlag("--no-checkpointing", t.no_checkpointing, "Write no local mirror");
  settings.AddFlag("--quiet", t.quiet, "Print problems only");
  settings.AddFlag("--json", t.json, "Print progress as JSON lines on the standard output");
  RegisterStoreSettings(settings, t.store);
}

Result<ExtractOptions> CheckExtractSettings(const ExtractSettings& settings) {
  RETURN_IF_ERROR(CheckGiven("--model", settings.model, "the model's folder"));
  RETURN_IF_ERROR(CheckGiven("--dataset", settings.dataset, "a JSONL file"));
  RETURN_IF_ERROR(CheckGiven("--output", settings.output, "the run's folder"));
  constexpr int64_t kMany = 1'000'000'000;
  RETURN_IF_ERROR(CheckRange("--max-tokens", settings.max_tokens, 0, kMany));
  RETURN_IF_ERROR(CheckRange("--batch-tokens", settings.batch_tokens, 1, 10'000'000));
  RETURN_IF_ERROR(CheckRange("--arenas", settings.arenas, 1, 1000));
  RETURN_IF_ERROR(CheckRange("--worker-id", settings.worker_id.value_or(0), 0, kMany));
  RETURN_IF_ERROR(CheckRange("--num-workers", settings.num_workers, 0, kMany));
  RETURN_IF_ERROR(CheckRange("--max-samples", settings.max_samples, 0, 1000 * kMany));
  RETURN_IF_ERROR(CheckRange("--threads", settings.threads, 0, 4096));
  RETURN_IF_ERROR(CheckRange("--max-failures-in-a-row", settings.max_failures_in_a_row, 1, kMany));
  ExtractOptions options;
  options.settings = settings;
  ASSIGN_OR_RETURN(options.settings.output, ResolveOutput(settings.output));
  ASSIGN_OR_RETURN(options.store, CheckStoreSettings(settings.store));
  const std::optional<DType> dtype = StoredDTypeFromName(settings.dtype);
  if (!dtype) {
    return InvalidArgument("--dtype: expected bf16, f32, f16, fp8_e4m3 or int8, found '" +
                           settings.dtype + "'");
  }
  options.dtype = *dtype;
  ASSIGN_OR_RETURN(options.compute, ParseCompute(settings.compute));
  ASSIGN_OR_RETURN(options.cloud, ParsePreemptionNotice(settings.preemption_notice));
  if (settings.overlong != "truncate" && settings.overlong != "reject") {
    return InvalidArgument("--overlong: expected truncate or reject, found '" + settings.overlong +
                           "'");
  }
  options.overlong = settings.overlong == "reject" ? Overlong::kReject : Overlong::kTruncate;
  if (settings.engine != "cpu") {
    return InvalidArgument("--engine: this build has the engine cpu, not '" + settings.engine +
                           "'");
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
