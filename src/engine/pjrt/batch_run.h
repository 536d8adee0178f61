#ifndef THRESHER_ENGINE_PJRT_BATCH_RUN_H_
#define THRESHER_ENGINE_PJRT_BATCH_RUN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/pjrt/graph_program.h"
#include "engine/pjrt/hook_rows.h"
#include "engine/pjrt/host_array.h"
#include "engine/pjrt/pjrt_client.h"
#include "engine/pjrt/staging.h"

namespace thresher {

// Where and with what a program runs; borrowed, and must outlive the run.
struct BatchRunParts {
  const PjrtClient& client;
  StagingPool& staging;
  const GraphProgram& program;
  const PjrtExecutable& executable;
  std::span<const PjrtDevice> devices;               // of the group
  std::span<const std::vector<PjrtBuffer>> weights;  // [devices][weight arguments]
  std::optional<int64_t> timeout_ms;
  bool brings_results = true;  // to the host
};

// One execution of a program on one batch: inputs on their way to the devices, the execution, and
// results on their way back, all enqueued at once. Everything that the devices still use is waited
// for before it is freed.
class BatchRun {
 public:
  explicit BatchRun(const BatchRunParts& parts) : p_(parts) {}
  BatchRun(const BatchRun&) = delete;
  BatchRun& operator=(const BatchRun&) = delete;
  ~BatchRun();

  // Enqueues everything. `inputs`: MakeBatchInputs of the program.
  Status Start(std::vector<HostArray> inputs);

  // Waits for the results. With the time-out, a Status for which IsTimeout holds; then this object
  // can never be destroyed, for the devices may still write into its memory.
  Status Wait();

  // After Wait.
  const ResultParts& results() const { return results_; }

 private:
  Status StartInputs(std::vector<std::vector<PJRT_Buffer*>>& arguments);
  Status StartDownloads();

  const BatchRunParts p_;
  std::vector<HostArray> inputs_;
  std::vector<PjrtBuffer> buffers_;
  std::vector<PjrtEvent> uploads_;
  PjrtExecutable::Execution execution_;
  std::vector<std::byte*> staging_;
  std::vector<PjrtEvent> downloads_;
  ResultParts results_;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_BATCH_RUN_H_
