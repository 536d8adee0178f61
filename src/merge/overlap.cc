#include "merge/overlap.h"

#include <algorithm>
#include <mutex>
#include <span>
#include <tuple>
#include <utility>

#include "base/fingerprint.h"
#include "store/contract.h"

namespace thresher {
namespace {

struct HashedSample {
  uint64_t hash = 0;
  int64_t sample = 0;
  size_t part = 0;

  bool operator<(const HashedSample& other) const {
    return std::tie(hash, part, sample) < std::tie(other.hash, other.part, other.sample);
  }
};

// 64 bits are enough: of 10 million samples two that differ look alike with a chance of 3 in a
// million.
uint64_t HashOf(const PartShardIndex& index, size_t first_sequence, size_t end_sequence) {
  const auto begin = static_cast<size_t>(index.sequence_offsets[first_sequence]);
  const auto rows = static_cast<size_t>(index.sequence_offsets[end_sequence]) - begin;
  Fingerprinter fingerprinter;
  fingerprinter.AddField(index.sample_keys[first_sequence]);
  fingerprinter.Add(std::as_bytes(std::span(index.token_ids).subspan(begin, rows)));
  fingerprinter.Add(std::as_bytes(std::span(index.positions).subspan(begin, rows)));
  const std::string text = fingerprinter.Finish();
  return std::stoull(text.substr(text.size() - 16), nullptr, 16);
}

void AppendSamples(const PartShardIndex& index, size_t part, std::vector<HashedSample>& samples) {
  const size_t sequences = index.sample_index.size();
  for (size_t first = 0; first < sequences;) {
    size_t end = first + 1;
    while (end < sequences && index.sample_index[end] == index.sample_index[first]) ++end;
    samples.push_back({HashOf(index, first, end), index.sample_index[first], part});
    first = end;
  }
}

}  // namespace

Result<Overlap> FindOverlap(const std::vector<MergePart>& parts, int64_t connections,
                            const std::function<void()>& on_shard) {
  std::mutex mutex;
  std::vector<HashedSample> samples;
  for (size_t number = 0; number < parts.size(); ++number) {
    const MergePart& part = parts[number];
    RETURN_IF_ERROR(
        ForEach(connections, static_cast<int64_t>(part.committed.size()), [&](int64_t i) -> Status {
          ASSIGN_OR_RETURN(const PartShard shard,
                           OpenPartShard(part, part.committed[static_cast<size_t>(i)]));
          ASSIGN_OR_RETURN(const PartShardIndex index, ReadPartShardIndex(part, shard));
          std::vector<HashedSample> of_shard;
          AppendSamples(index, number, of_shard);
          const std::lock_guard lock(mutex);
          samples.insert(samples.end(), of_shard.begin(), of_shard.end());
          on_shard();
          return OkStatus();
        }));
  }
  std::sort(samples.begin(), samples.end());
  Overlap overlap;
  for (size_t first = 0; first < samples.size();) {
    size_t end = first;
    for (; end < samples.size() && samples[end].hash == samples[first].hash; ++end) {
      if (samples[end].part == samples[first].part) continue;
      const OverlappingSample found{samples[end].part, samples[end].sample, samples[first].part,
                                    samples[first].sample};
      const bool is_earlier =
          std::tie(found.part, found.sample) < std::tie(overlap.first.part, overlap.first.sample);
      if (overlap.count == 0 || is_earlier) overlap.first = found;
      ++overlap.count;
    }
    first = end;
  }
  return overlap;
}

}  // namespace thresher
