#ifndef THRESHER_EXTRACT_HANDOVER_H_
#define THRESHER_EXTRACT_HANDOVER_H_

#include <cstdint>
#include <string>

#include "base/result.h"
#include "extract/shard_builder.h"
#include "extract/unit_job.h"
#include "store/store.h"

namespace thresher {

// What a worker leaves behind when it has to stop in the middle of a unit, so that whoever claims
// the unit next loses no more than the batch in hand: the rows that are done, stored as a shard of
// the unit's first sequences under handovers/, with a record of its checksums beside it. It is part
// of nothing until then, and is deleted after the unit's commit. Since batches are a pure function
// of the unit, the finished shard is the same byte for byte, handed over or not.

// Stores the first `sequence_count` sequences of `builder`'s rows, all of them absorbed.
Status SaveHandover(Store& store, const ShardFormat& format, const UnitJob& job,
                    const ShardBuilder& builder, int64_t sequence_count);

// Looks for the newest handover of the unit and copies its rows into `builder`. The number of
// sequences that are now there; 0 if there is no handover, or none that is whole and fits.
Result<int64_t> LoadHandover(Store& store, const ShardFormat& format, const UnitJob& job,
                             ShardBuilder& builder);

// Copies the rows of one stored shard into `builder`: the first sequences of the job's unit, or all
// of them, described by the record (a Commit) of that name. The number of sequences that are now
// there; 0 if the shard is of another run or unit, or its bytes are not those that the record and
// the job say. Takes the shard's size of memory until it returns. Errors: those of the store.
Result<int64_t> LoadRows(Store& store, const std::string& record_key, const ShardFormat& format,
                         const UnitJob& job, ShardBuilder& builder);

// Deletes every handover of the unit.
Status DeleteHandovers(Store& store, int64_t unit);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_HANDOVER_H_
