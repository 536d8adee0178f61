#include "engine/pjrt/hook_rows.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "shard/convert.h"

namespace thresher {
namespace {

// Below this many bytes a thread costs more than it saves.
constexpr int64_t kBytesPerThread = 8 << 20;
constexpr int64_t kMostThreads = 4;

// The rows of one hook point on their way from the results to its output.
class HookRows {
 public:
  HookRows(const GraphProgram& program, const ResultParts& parts, size_t hook, DType stored,
           const HookOutput& output)
      : type_(program.results[program.hooks[hook].result]),
        parts_(parts[program.hooks[hook].result]),
        element_(std::max<int64_t>(0, program.hooks[hook].element)),
        stored_(stored),
        output_(output) {
    const size_t rank = type_.shape.size();
    width_ = type_.shape[rank - 1];
    // Without a split, every device has all rows, and the first one's are taken.
    devices_ = program.results_are_split ? static_cast<int64_t>(parts_.size()) : 1;
    rows_per_device_ = type_.shape[rank - 2] / devices_;
  }

  // Rows [first, first + count) of the result to output rows from `row` on.
  void Copy(int64_t first, int64_t count, int64_t row) const {
    while (count > 0) {
      const int64_t device = first / rows_per_device_;
      const int64_t there = first % rows_per_device_;
      const int64_t run = std::min(count, rows_per_device_ - there);
      const int64_t in_bytes = width_ * DTypeBytes(type_.dtype);
      const std::byte* in =
          parts_[static_cast<size_t>(device)] + (element_ * rows_per_device_ + there) * in_bytes;
      std::byte* out = output_.rows + row * width_ * DTypeBytes(stored_);
      if (type_.dtype == stored_) {
        std::memcpy(out, in, static_cast<size_t>(run * in_bytes));
      } else {
        float* scales = output_.scales == nullptr ? nullptr : output_.scales + row;
        EncodeRows(reinterpret_cast<const float*>(in), run, width_, width_, stored_, out, scales);
      }
      first += run;
      row += run;
      count -= run;
    }
  }

 private:
  const TensorType& type_;
  const std::vector<const std::byte*>& parts_;
  int64_t element_;
  DType stored_;
  const HookOutput& output_;
  int64_t width_;
  int64_t devices_;
  int64_t rows_per_device_;
};

}  // namespace

void WriteHookRows(const GraphProgram& program, const ResultParts& parts, const PackedBatch& batch,
                   DType stored, std::span<const HookOutput> outputs) {
  // The device has picked them, or there is nothing to pick.
  const bool all_in_order = program.picks_rows || !batch.stored_tokens;
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t hook = next++; hook < outputs.size(); hook = next++) {
      const HookRows rows(program, parts, hook, stored, outputs[hook]);
      if (all_in_order) {
        rows.Copy(0, batch.row_count(), 0);
        continue;
      }
      for (size_t r = 0; r < batch.stored_tokens->size(); ++r) {
        rows.Copy((*batch.stored_tokens)[r], 1, static_cast<int64_t>(r));
      }
    }
  };
  int64_t bytes = 0;
  for (const TensorType& type : program.results) bytes += type.bytes();
  const auto most = std::min<int64_t>(kMostThreads, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (int64_t t = 1; t < std::min(most, bytes / kBytesPerThread); ++t) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace thresher
