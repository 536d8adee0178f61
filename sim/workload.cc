#include "sim/workload.h"

#include <vector>

#include "base/crc32c.h"
#include "base/random.h"
#include "store/store.h"
#include "work/keys.h"

namespace thresher::sim {

RunSpec SpecOf(const Workload& workload) {
  RunSpec spec;
  spec.model = {.path = "model",
                .architecture = "llama",
                .layer_count = 1,
                .hidden_size = 1,
                .config_fingerprint = "fnv:1",
                .weights_fingerprint = "fnv:2"};
  spec.dataset = {.path = "data", .fingerprint = "fnv:3", .sample_count = workload.sample_count};
  spec.prompts.fingerprint = "fnv:4";
  spec.capture = {.hooks = {"resid_post.0"},
                  .dtype = "bf16",
                  .compute = "f32",
                  .engine = "cpu",
                  .batch_tokens = 16};
  spec.shard_bytes = 1;
  spec.program_version = "sim";
  return spec;
}

Plan PlanOf(const Workload& workload) {
  const std::vector<int64_t> tokens(static_cast<size_t>(workload.sample_count), 1);
  return Plan::Balanced(tokens, workload.samples_per_unit);
}

std::string ShardContent(int64_t unit) {
  Random random(static_cast<uint64_t>(unit));
  std::string content(static_cast<size_t>(32 + unit % 17), '\0');
  for (char& byte : content) byte = static_cast<char>(random.Next());
  return content;
}

Commit CommitFor(const Run& run, int64_t unit, int64_t epoch, int64_t worker_id,
                 const std::string& session) {
  const SampleRange samples = run.plan.Samples(unit);
  const std::string content = ShardContent(unit);
  Commit commit;
  commit.run_fingerprint = run.fingerprint;
  commit.unit = unit;
  commit.epoch = epoch;
  commit.worker_id = worker_id;
  commit.session = session;
  commit.first_sample = samples.first;
  commit.sample_count = samples.count;
  commit.sequence_count = samples.count;
  commit.token_count = samples.count;
  commit.shard = ShardKey(worker_id, unit, epoch, session);
  commit.bytes = static_cast<int64_t>(content.size());
  commit.checksum = FormatCrc32c(ExtendCrc32c(0, AsBytes(content)));
  commit.header_checksum = commit.checksum;
  return commit;
}

}  // namespace thresher::sim
