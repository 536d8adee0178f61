#ifndef THRESHER_EXTRACT_UPLOAD_LOOP_H_
#define THRESHER_EXTRACT_UPLOAD_LOOP_H_

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/bounded_queue.h"
#include "extract/unit_in_flight.h"
#include "extract/uploader.h"
#include "extract/worker_context.h"

namespace thresher {

enum class SealStep { kRows, kComplete, kHandOver };

// From the engine to the sealer: rows up to `end_row` are in place, and what to do after them.
struct SealRequest {
  UnitPointer unit;
  SealStep step = SealStep::kRows;
  int64_t end_row = 0;
  int64_t end_sequence = 0;
};

// From the sealer to the uploader.
struct UploadRequest {
  UnitPointer unit;
  std::optional<int64_t> hand_over_sequences;  // nothing: the whole unit
};

// The sealer: checksums and statistics over the rows as they come, the small tensors and the header
// at the end. Until `filled` is closed and empty; a thread of its own.
void SealUnits(const WorkerContext& context, BoundedQueue<SealRequest>& filled,
               BoundedQueue<UploadRequest>& sealed);

// The uploader: uploads, compares and commits units, or hands over what is done of them.
class UploadLoop {
 public:
  // Everything is borrowed.
  UploadLoop(WorkerContext& context, BoundedQueue<UploadRequest>& sealed);

  // Until `sealed` is closed and empty. A thread of its own.
  void Run();

  // The engine has computed a unit of so many bytes: it will have to be uploaded. Any thread.
  void Expect(int64_t bytes) { bytes_expected_ += bytes; }
  // How long it takes to upload what is expected and so many bytes more. Any thread.
  int64_t EstimatedMs(int64_t more_bytes) const {
    return uploader_.EstimatedUploadMs(bytes_expected_ + more_bytes);
  }

 private:
  void EndUpload(const UploadRequest& request, const Status& status);

  WorkerContext& context_;
  BoundedQueue<UploadRequest>& sealed_;
  Uploader uploader_;
  std::atomic<int64_t> bytes_expected_{0};
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_UPLOAD_LOOP_H_
