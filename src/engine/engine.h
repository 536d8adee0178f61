#ifndef THRESHER_ENGINE_ENGINE_H_
#define THRESHER_ENGINE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/dtype.h"
#include "base/result.h"

namespace thresher {

// Sequences side by side in one batch, with no padding: sequence s is rows sequence_offsets[s] to
// sequence_offsets[s + 1] - 1. Attention never crosses from one sequence to another, and positions
// count from 0 in each.
struct PackedBatch {
  std::span<const int32_t> token_ids;         // [tokens]; each in [0, vocabulary)
  std::span<const int64_t> sequence_offsets;  // [sequences + 1]; from 0 to tokens, rising strictly
  // Ascending indices into token_ids: the tokens whose rows are written. Nothing: all of them; a
  // list without entries: none.
  std::optional<std::span<const int32_t>> stored_tokens = std::nullopt;

  int64_t token_count() const { return static_cast<int64_t>(token_ids.size()); }
  int64_t row_count() const {
    return stored_tokens ? static_cast<int64_t>(stored_tokens->size()) : token_count();
  }
};

// Where one hook point's rows of this batch go: borrowed memory of the caller. Only tokens whose
// rows are written have a place in it: row r is that of the r-th of them.
struct HookOutput {
  std::byte* rows = nullptr;  // [PackedBatch::row_count(), width] in the stored dtype
  float* scales = nullptr;    // [PackedBatch::row_count()]; used only if HasScale(stored dtype)
};

struct EngineInfo {
  std::string name;          // "cpu"
  std::string compute;       // "f32" or "bf16"
  std::string device;        // for people: "2 threads, avx512-bf16"
  int64_t max_batch_tokens;  // a batch of several sequences has at most so many tokens; a single
                             // sequence may be longer
};

// A loaded model on its devices: token ids in, hook-point tensors out. It was created for a fixed
// list of hook points and one stored dtype. Not thread-safe: one thread at a time.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const EngineInfo& info() const = 0;

  // Runs the forward pass up to the deepest hook point and writes outputs[i] for the i-th hook
  // point of the list that the engine was created with. The same batch on the same machine type
  // gives the same bytes, in every process and for any number of threads; a row's bytes do not
  // depend on which other rows are written, but for rounding where devices share a batch.
  // kInvalidArgument if a token id is outside the vocabulary or the batch is not as described
  // above. On an error the outputs are garbage.
  virtual Status Forward(const PackedBatch& batch, std::span<const HookOutput> outputs) = 0;

  // How many batches may be submitted and not finished; more would gain nothing.
  virtual size_t queue_depth() const { return 1; }

  // Starts a batch. Its outputs' memory is borrowed until Finish has returned for it; the batch
  // itself is not used after the call. An error means that it was not started.
  virtual Status Submit(const PackedBatch& batch, std::span<const HookOutput> outputs) {
    return Forward(batch, outputs);
  }

  // Waits for the batch that was submitted first of those not finished, of which there must be one.
  // On an error its outputs are garbage; the batches behind it are not touched by that.
  virtual Status Finish() { return OkStatus(); }
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_ENGINE_H_
