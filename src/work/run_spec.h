#ifndef THRESHER_WORK_RUN_SPEC_H_
#define THRESHER_WORK_RUN_SPEC_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace thresher {

inline constexpr int64_t kFormatVersion = 1;

// What a run computes and how it is stored: the content of run.json, written once by the worker
// that comes first and never changed. Two workers may work on the same run exactly when everything
// but the informational fields (paths, program version) agrees.
struct RunSpec {
  struct ModelSpec {
    std::string path;  // informational
    std::string architecture;
    int64_t layer_count = 0;
    int64_t hidden_size = 0;
    std::string config_fingerprint;
    std::string weights_fingerprint;
  } model;

  struct DatasetSpec {
    std::string path;  // informational
    std::string fingerprint;
    int64_t sample_count = 0;
  } dataset;

  struct PromptSpec {
    std::string fingerprint;  // of tokenizer, chat template, prompt and settings
    std::map<std::string, std::string> settings;  // SampleSettings by name
  } prompts;

  struct CaptureSpec {
    std::vector<std::string> hooks;  // names, in the order of the shards
    std::string dtype;               // stored dtype: "bf16"
    std::string compute;             // "f32" or "bf16"
    std::string engine;              // "cpu", "tpu", ...
    std::string plugin = {};         // what the engine runs through; empty: nothing
    int64_t batch_tokens = 0;        // the engine's packing: part of what decides the last bits
  } capture;

  int64_t shard_bytes = 0;
  std::string program_version;  // informational

  // Of everything but the informational fields: the identity of the run.
  std::string Fingerprint() const;

  // The content of run.json; the fingerprint is stored with it.
  std::string ToText() const;

  // kDataLoss if the stored fingerprint does not fit the other fields: run.json was edited.
  static Result<RunSpec> FromText(std::string_view text, std::string_view name);
};

// One line for each field that differs: "model.weights_fingerprint: the run has A, this worker B".
// Empty if both may work on the same run.
std::vector<std::string> DifferingFields(const RunSpec& run, const RunSpec& worker);

// True if they differ in the engine, or in what it runs through, and in nothing else.
bool DifferInEngineOnly(const RunSpec& run, const RunSpec& worker);

}  // namespace thresher

#endif  // THRESHER_WORK_RUN_SPEC_H_
