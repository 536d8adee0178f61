#include "extract/worker.h"

#include <thread>

#include "base/bounded_queue.h"
#include "extract/beat_loop.h"
#include "extract/engine_loop.h"
#include "extract/feeder.h"
#include "extract/retry.h"
#include "extract/upload_loop.h"
#include "extract/worker_context.h"

namespace thresher {

// Each queue is closed by whoever is before it, once nothing more comes, so that the threads end in
// the pipeline's order.
Result<Worker::Outcome> Worker::Run() {
  WorkerContext context(parts_, options_);
  EnginePace pace;
  BoundedQueue<UnitPointer> fed(1);
  BoundedQueue<SealRequest> filled(64);
  BoundedQueue<UploadRequest> sealed(8);
  BeatLoop beats(context);
  Feeder feeder(context, pace, fed);
  UploadLoop uploads(context, sealed);
  EngineLoop engine({context, pace, fed, filled, uploads});

  RETURN_IF_ERROR(WithRetries(parts_.clock, RetryPolicy(), [&] {
                    return beats.Beat("running");
                  }).WithContext("writing the first heartbeat"));
  std::thread beat_thread([&] { beats.Run(); });
  std::thread feeder_thread([&] { feeder.Run(); });
  std::thread sealer_thread([&] { SealUnits(context, filled, sealed); });
  std::thread uploader_thread([&] { uploads.Run(); });
  engine.Run();
  feeder_thread.join();
  filled.Close();
  sealer_thread.join();
  sealed.Close();
  uploader_thread.join();
  beats.End();
  beat_thread.join();

  const Status last_beat = beats.Beat("stopped");
  if (!last_beat.ok()) parts_.log.Warning("last heartbeat: " + last_beat.message());
  parts_.report();
  if (context.gave_up()) return context.error();
  return feeder.found_run_complete() ? Outcome::kComplete : Outcome::kStopped;
}

}  // namespace thresher
