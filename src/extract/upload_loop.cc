#include "extract/upload_loop.h"

#include <utility>

#include "work/keys.h"

namespace thresher {

void SealUnits(const WorkerContext& context, BoundedQueue<SealRequest>& filled,
               BoundedQueue<UploadRequest>& sealed) {
  context.NameThread("sealer");
  while (std::optional<SealRequest> request = context.Wait([&] { return filled.Pop(); })) {
    UnitInFlight& unit = *request->unit;
    switch (request->step) {
      case SealStep::kRows: {
        const TraceSpan span(context.parts.trace, "checksum", unit.job.unit);
        unit.builder->Absorb(request->end_row);
        break;
      }
      case SealStep::kComplete: {
        {
          const TraceSpan span(context.parts.trace, "write", unit.job.unit);
          unit.builder->Finish();
        }
        sealed.Push({std::move(request->unit), std::nullopt});
        break;
      }
      case SealStep::kHandOver:
        sealed.Push({std::move(request->unit), request->end_sequence});
        break;
    }
  }
}

UploadLoop::UploadLoop(WorkerContext& context, BoundedQueue<UploadRequest>& sealed)
    : context_(context),
      sealed_(sealed),
      uploader_({.store = context.parts.store,
                 .clock = context.parts.clock,
                 .ledger = context.parts.ledger,
                 .format = context.parts.format,
                 .progress = context.parts.progress,
                 .spool = context.parts.spool,
                 .log = context.parts.log},
                {.trace = context.parts.trace}) {}

void UploadLoop::Run() {
  context_.NameThread("uploader");
  while (const std::optional<UploadRequest> request =
             context_.Wait([&] { return sealed_.Pop(); })) {
    UnitInFlight& unit = *request->unit;
    const TraceSpan span(context_.parts.trace, "unit", unit.job.unit);
    EndUpload(*request, request->hand_over_sequences
                            ? uploader_.HandOver(unit, *request->hand_over_sequences)
                            : uploader_.Finish(unit));
  }
}

void UploadLoop::EndUpload(const UploadRequest& request, const Status& status) {
  const bool is_whole = !request.hand_over_sequences;
  const UnitInFlight& unit = *request.unit;
  if (is_whole) bytes_expected_ -= unit.builder->file_bytes();
  Progress& progress = context_.parts.progress;
  progress.progressed_unix_ms = context_.parts.clock.UnixMs();
  if (status.ok()) return context_.EndUnit(/*is_committed=*/is_whole);
  ++progress.uploads_failed;
  progress.upload_failed_unix_ms = context_.parts.clock.UnixMs();
  // The store's fault, not the unit's: it stays open for others and does not count as poison.
  context_.FailUnit(unit, LeaseEnd::kReleased, status);
  context_.parts.log.Warning(
      UnitName(unit.job.unit) +
          " stays open, for this worker and others. If uploads go on failing, ask \"thresher "
          "doctor " +
          context_.parts.store.url() + "\" what is wrong with the store",
      {UnitField(unit.job.unit)});
}

}  // namespace thresher
