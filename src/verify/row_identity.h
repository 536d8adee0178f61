#ifndef THRESHER_VERIFY_ROW_IDENTITY_H_
#define THRESHER_VERIFY_ROW_IDENTITY_H_

#include <optional>
#include <string>
#include <vector>

#include "verify/expected_shard.h"
#include "verify/finding.h"
#include "verify/run_samples.h"
#include "work/records.h"

namespace thresher {

// Reads the samples of a unit again and compares them with what its shard holds: the number of
// sequences of every stored sample, positions and token ids of their rows, its key, the number of
// truncated ones, and that the rejected ones are really rejected. `sample_keys` may be unknown.
// Thread-safe.
void CheckRowIdentity(const RunSamples& samples, const Commit& commit, const ShardIndex& index,
                      const std::optional<std::vector<std::string>>& sample_keys, FindingLog& log);

}  // namespace thresher

#endif  // THRESHER_VERIFY_ROW_IDENTITY_H_
