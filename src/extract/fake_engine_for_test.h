#ifndef THRESHER_EXTRACT_FAKE_ENGINE_FOR_TEST_H_
#define THRESHER_EXTRACT_FAKE_ENGINE_FOR_TEST_H_

#include <atomic>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/stored_rows_for_test.h"
#include "extract/shard_builder.h"
#include "shard/convert.h"

namespace thresher {

// Stands in for a model: every value is a plain function of token id, position, hook point and
// channel, so that a test knows what belongs into a shard.
class FakeEngine : public Engine {
 public:
  FakeEngine(ShardFormat format, int64_t max_batch_tokens)
      : format_(std::move(format)), info_{"fake", "f32", "no device", max_batch_tokens} {}

  static float Value(int32_t token_id, int64_t position, size_t hook, int64_t channel) {
    return static_cast<float>(token_id) + 0.5f * static_cast<float>(position) -
           static_cast<float>(hook * 10) + 0.125f * static_cast<float>(channel % 8);
  }

  const EngineInfo& info() const override { return info_; }

  Status Forward(const PackedBatch& batch, std::span<const HookOutput> outputs) override {
    if (before_forward) {
      const Status status = before_forward(batch);
      if (!status.ok()) return status;
    }
    for (size_t hook = 0; hook < outputs.size(); ++hook) {
      std::vector<float> rows;
      const int64_t width = format_.hooks[hook].width;
      for (size_t s = 0; s + 1 < batch.sequence_offsets.size(); ++s) {
        for (int64_t t = batch.sequence_offsets[s]; t < batch.sequence_offsets[s + 1]; ++t) {
          for (int64_t channel = 0; channel < width; ++channel) {
            rows.push_back(Value(batch.token_ids[static_cast<size_t>(t)],
                                 t - batch.sequence_offsets[s], hook, channel));
          }
        }
      }
      rows = StoredRowsOf(batch, rows, width);
      EncodeRows(rows.data(), batch.row_count(), width, width, format_.dtype, outputs[hook].rows,
                 outputs[hook].scales);
    }
    tokens_computed += batch.token_count();
    ++batches_computed;
    return OkStatus();
  }

  // Called at the begin of each forward pass; an error fails the pass.
  std::function<Status(const PackedBatch&)> before_forward;
  std::atomic<int64_t> tokens_computed{0};
  std::atomic<int64_t> batches_computed{0};

 private:
  ShardFormat format_;
  EngineInfo info_;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_FAKE_ENGINE_FOR_TEST_H_
