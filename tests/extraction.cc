#include "extraction.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "base/random.h"
#include "files.h"

extern char** environ;

namespace thresher {

std::string ThresherPath() { return THRESHER_BINARY; }

Command Thresher(const std::vector<std::string>& arguments) {
  Command command;
  command.arguments = {ThresherPath()};
  command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
  for (const char* name :
       {"TPU_WORKER_ID", "WORKER_ID", "JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID",
        "MODEL_PATH", "OUTPUT_DIR", "DATASET_DIR", "CHECKPOINT_DIR", "BATCH_SIZE", "SHARD_SIZE_GB",
        "MAX_SEQ_LENGTH", "GCS_BUCKET", "UPLOAD_TO_GCS"}) {
    command.environment[name] = "";
  }
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (text.starts_with("THRESHER_")) command.environment[text.substr(0, text.find('='))] = "";
  }
  return command;
}

Command Extraction::ToCommand() const {
  std::vector<std::string> arguments = {"extract", "--model",  model,  "--dataset",
                                        dataset,   "--output", output, "--no-checkpointing"};
  const std::vector<std::pair<std::string, std::string>> defaults = {
      {"--compute", "f32"}, {"--dtype", "f32"}, {"--threads", "1"}};
  for (const auto& [flag, value] : defaults) {
    if (std::find(flags.begin(), flags.end(), flag) == flags.end()) {
      arguments.insert(arguments.end(), {flag, value});
    }
  }
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return Thresher(arguments);
}

std::string TokenIdsLine(const std::vector<int32_t>& token_ids) {
  return fmt::format("{{\"token_ids\": [{}]}}\n", fmt::join(token_ids, ", "));
}

void WriteSamples(const std::string& path, const MadeUpSamples& samples) {
  Random random(samples.seed);
  std::string text;
  for (int64_t i = 0; i < samples.count; ++i) {
    const auto spread = static_cast<uint64_t>(samples.longest - samples.shortest + 1);
    const int64_t length = samples.shortest + static_cast<int64_t>(random.Below(spread));
    std::vector<int32_t> ids;
    for (int64_t t = 0; t < length; ++t) ids.push_back(static_cast<int32_t>(random.Below(512)));
    text += TokenIdsLine(ids);
  }
  WriteFile(path, text);
}

}  // namespace thresher
