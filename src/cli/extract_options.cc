#include "cli/extract_options.h"

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

}  // namespace

void RegisterExtractSettings(Settings& settings, ExtractSettings& t) {
  settings.Add("--model", t.model,
               "Folder with config.json and *.safetensors (Hugging Face layout)", {"MODEL_PATH"});
  settings.Add("--dataset", t.dataset, "JSONL file, one sample a line");
  settings.Add("--output", t.output,
               "The run's folder: a path, file:///path or memory:", {"OUTPUT_DIR"});
  settings.Add("--hooks", t.hooks,
               "Hook points: all, or a list of embed, resid_pre, q, k, v, z, attn_out, resid_mid, "
               "mlp_post, mlp_out, resid_post, final_norm [resid_post]");
  settings.Add("--layers", t.layers, "Layers: all, 0-11, or 0,5,23 [all]");
  settings.Add("--dtype", t.dtype, "Stored as: bf16, f32, f16, fp8_e4m3 or int8 [bf16]");
  settings.Add("--compute", t.compute, "Arithmetic: f32, bf16 or auto [auto: bf16 if in hardware]");
  settings.Add("--engine", t.engine, "What computes: cpu [cpu]");
  settings.Add("--worker-id", t.worker_id, "Number of this worker; its folder is tpu_N [0]",
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
  settings.Add("--checkpoint-dir", t.checkpoint_dir,
               "Folder of the local mirror checkpoint_worker_N.json [checkpoints]",
               {"CHECKPOINT_DIR"});
  settings.AddFlag("--no-checkpointing", t.no_checkpointing, "Write no local mirror");
  settings.AddFlag("--quiet", t.quiet, "Print problems only");
  settings.AddFlag("--json", t.json, "Print progress as JSON lines on the standard output");
}

Result<ExtractOptions> CheckExtractSettings(const ExtractSettings& settings) {
  RETURN_IF_ERROR(CheckGiven("--model", settings.model, "the model's folder"));
  RETURN_IF_ERROR(CheckGiven("--dataset", settings.dataset, "a JSONL file"));
  RETURN_IF_ERROR(CheckGiven("--output", settings.output, "the run's folder"));
  constexpr int64_t kMany = 1'000'000'000;
  RETURN_IF_ERROR(CheckRange("--max-tokens", settings.max_tokens, 0, kMany));
  RETURN_IF_ERROR(CheckRange("--batch-tokens", settings.batch_tokens, 1, 10'000'000));
  RETURN_IF_ERROR(CheckRange("--arenas", settings.arenas, 1, 1000));
  RETURN_IF_ERROR(CheckRange("--worker-id", settings.worker_id, 0, kMany));
  RETURN_IF_ERROR(CheckRange("--num-workers", settings.num_workers, 0, kMany));
  RETURN_IF_ERROR(CheckRange("--max-samples", settings.max_samples, 0, 1000 * kMany));
  RETURN_IF_ERROR(CheckRange("--threads", settings.threads, 0, 4096));
  ExtractOptions options;
  options.settings = settings;
  const std::optional<DType> dtype = StoredDTypeFromName(settings.dtype);
  if (!dtype) {
    return InvalidArgument("--dtype: expected bf16, f32, f16, fp8_e4m3 or int8, found '" +
                           settings.dtype + "'");
  }
  options.dtype = *dtype;
  ASSIGN_OR_RETURN(options.compute, ParseCompute(settings.compute));
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
