#include "extract/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "base/check.h"
#include "extract/size_estimate.h"
#include "shard/layout.h"

namespace thresher {
namespace {

// Units that differ from the wished size by less are as good as units of that size.
constexpr double kTolerance = 0.05;
// Of larger records at least so many are read, whatever their length.
constexpr int64_t kLeastExamined = 32;
// Samples that are held in memory at once.
constexpr int64_t kSamplesAtOnce = 256;

// The header's metadata without keys, as long as they usually are.
const std::map<std::string, std::string> kUsualMetadata = {
    {"format", "thresher"}, {"format_version", "1"},      {"run", std::string(41, 'x')},
    {"unit", "123456"},     {"first_sample", "12345678"}, {"sample_count", "1234"},
    {"sample_keys", "[]"}};

// The lengths of the records of `range`, one for each sample.
std::vector<int64_t> RecordLengths(const SampleSet& samples, SampleRange range) {
  const int64_t variants = samples.reader().settings().variants;
  std::vector<int64_t> lengths(static_cast<size_t>(range.count));
  for (int64_t i = 0; i < range.count; ++i) {
    const bool is_same_record = i > 0 && (range.first + i) % variants != 0;
    const auto at = static_cast<size_t>(i);
    lengths[at] = is_same_record ? lengths[at - 1] : samples.RecordBytes(range.first + i);
  }
  return lengths;
}

// Which samples are read: all of a small range, else evenly spread ones.
std::vector<int64_t> IndicesToExamine(SampleRange range, std::span<const int64_t> record_lengths) {
  const int64_t bytes = std::accumulate(record_lengths.begin(), record_lengths.end(), int64_t{0});
  int64_t count = range.count;
  if (range.count > kMaxSamplesReadWholly || bytes > kMaxBytesExamined) {
    const double affordable = static_cast<double>(kMaxBytesExamined) / static_cast<double>(bytes) *
                              static_cast<double>(range.count);
    count = std::min({static_cast<int64_t>(affordable), kMaxSamplesExamined, range.count});
    count = std::max(count, std::min(kLeastExamined, range.count));
  }
  std::vector<int64_t> indices(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    // The middle one of each of `count` equal parts.
    indices[static_cast<size_t>(i)] =
        range.first +
        static_cast<int64_t>((static_cast<double>(i) + 0.5) * static_cast<double>(range.count) /
                             static_cast<double>(count));
  }
  return indices;
}

// The samples of ascending indices.
Result<std::vector<SampleOrRejection>> ReadEach(const SampleSet& samples,
                                                std::span<const int64_t> indices) {
  const auto count = static_cast<int64_t>(indices.size());
  if (indices.back() - indices.front() == count - 1) return samples.Read(indices.front(), count);
  std::vector<SampleOrRejection> read(indices.size());
  std::vector<Status> failures(indices.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < indices.size(); i = next++) {
      Result<std::vector<SampleOrRejection>> one = samples.Read(indices[i], 1);
      if (one.ok()) {
        read[i] = std::move(one->front());
      } else {
        failures[i] = one.status();
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) helpers.emplace_back(work);
    work();
  }
  for (const Status& failure : failures) RETURN_IF_ERROR(failure);
  return read;
}

struct ExaminedTotals {
  int64_t shard_bytes = 0;
  int64_t tokens = 0;  // that the model reads
};

// How large units become: as wished, unless so few rows are stored that the model would read more
// than MostTokens for one.
int64_t UnitBytes(const UnitSize& size, const ExaminedTotals& totals) {
  const int64_t wished = std::max<int64_t>(1, size.shard_bytes - size.bytes_per_shard);
  const double bytes_per_token =
      static_cast<double>(totals.shard_bytes) / static_cast<double>(totals.tokens);
  const double most = bytes_per_token * static_cast<double>(size.MostTokens());
  return most < static_cast<double>(wished) ? std::max<int64_t>(1, std::llround(most)) : wished;
}

// The ends of the units of samples [begin, end), none of which fills a unit alone.
void AppendEnds(std::span<const int64_t> sample_bytes, size_t begin, size_t end, double unit_bytes,
                std::vector<int64_t>& ends) {
  const auto total = static_cast<double>(
      std::accumulate(sample_bytes.begin() + static_cast<ptrdiff_t>(begin),
                      sample_bytes.begin() + static_cast<ptrdiff_t>(end), int64_t{0}));
  double unit_count = std::max(1.0, std::round(total / unit_bytes));
  double step = total / unit_count;
  if (std::abs(step / unit_bytes - 1) > kTolerance) {
    unit_count = std::ceil(total / unit_bytes);
    step = unit_bytes;
  }
  double boundary = 1;  // the next one falls where `boundary` steps are full
  double done = 0;
  size_t first_of_unit = begin;
  for (size_t s = begin; s < end; ++s) {
    const auto bytes = static_cast<double>(sample_bytes[s]);
    if (boundary < unit_count && s > first_of_unit && done + bytes / 2 > boundary * step) {
      ends.push_back(static_cast<int64_t>(s));
      first_of_unit = s;
      boundary += 1;
    }
    done += bytes;
  }
  ends.push_back(static_cast<int64_t>(end));
}

}  // namespace

int64_t StoredRows(const Sample& sample) {
  return static_cast<int64_t>(sample.stored_tokens ? sample.stored_tokens->size()
                                                   : sample.token_ids.size());
}

UnitSize UnitSize::Of(const ShardFormat& format, int64_t shard_bytes) {
  UnitSize size;
  size.shard_bytes = shard_bytes;
  size.bytes_per_row = 2 * DTypeBytes(DType::kI32);  // token id, position
  for (const ShardHook& hook : format.hooks) {
    size.bytes_per_row += hook.width * DTypeBytes(format.dtype);
    if (HasScale(format.dtype)) size.bytes_per_row += DTypeBytes(DType::kF32);
  }
  // Sample index, offset, and around the key two escaped quotes and a comma.
  size.bytes_per_sequence = 2 * DTypeBytes(DType::kI64) + 5;
  const ShardLayout layout = LayOutShard({.hooks = format.hooks,
                                          .dtype = format.dtype,
                                          .token_count = shard_bytes / size.bytes_per_row,
                                          .sequence_count = 0,
                                          .metadata = kUsualMetadata});
  size.bytes_per_shard = static_cast<int64_t>(layout.header.size()) + DTypeBytes(DType::kI64);
  return size;
}

int64_t UnitSize::MostTokens() const {
  constexpr int64_t kAlwaysAllowed = 1'000'000;
  constexpr int64_t kTimesOfWholeSequences = 8;
  return std::max(kAlwaysAllowed, kTimesOfWholeSequences * (shard_bytes / bytes_per_row));
}

int64_t UnitSize::BytesOf(const Sample& sample) const {
  const auto sequences = static_cast<int64_t>(sample.sequence_offsets.size()) - 1;
  return StoredRows(sample) * bytes_per_row +
         sequences * (bytes_per_sequence + static_cast<int64_t>(sample.key.size()));
}

std::vector<int64_t> UnitEnds(std::span<const int64_t> sample_bytes, int64_t unit_bytes) {
  THRESHER_CHECK(!sample_bytes.empty() && unit_bytes > 0);
  const auto unit = static_cast<double>(unit_bytes);
  std::vector<int64_t> ends;
  const size_t count = sample_bytes.size();
  for (size_t begin = 0; begin < count;) {
    if (sample_bytes[begin] >= unit_bytes) {
      ends.push_back(static_cast<int64_t>(++begin));
      continue;
    }
    size_t end = begin;
    int64_t bytes = 0;
    for (; end < count && sample_bytes[end] < unit_bytes; ++end) bytes += sample_bytes[end];
    const bool is_little = static_cast<double>(bytes) < kTolerance * unit;
    if (!is_little || (ends.empty() && end == count)) {
      AppendEnds(sample_bytes, begin, end, unit, ends);
    } else if (!ends.empty()) {
      ends.back() = static_cast<int64_t>(end);
    }  // else they begin the unit of the large sample that follows
    begin = end;
  }
  return ends;
}

Result<Plan> PlanUnits(const SampleSet& samples, SampleRange range, const UnitSize& size,
                       const SampleObserver& observe) {
  THRESHER_CHECK(range.count > 0 && range.end() <= samples.sample_count());
  std::vector<int64_t> bytes = RecordLengths(samples, range);
  const std::vector<int64_t> indices = IndicesToExamine(range, bytes);
  std::vector<ExaminedSample> examined;
  std::string first_reason;
  int64_t usable = 0;
  ExaminedTotals totals;
  for (size_t first = 0; first < indices.size(); first += kSamplesAtOnce) {
    const auto some =
        std::span(indices).subspan(first, std::min<size_t>(kSamplesAtOnce, indices.size() - first));
    ASSIGN_OR_RETURN(const std::vector<SampleOrRejection> read, ReadEach(samples, some));
    for (size_t i = 0; i < some.size(); ++i) {
      ExaminedSample found{.index = some[i],
                           .record_bytes = bytes[static_cast<size_t>(some[i] - range.first)]};
      if (const auto* sample = std::get_if<Sample>(&read[i])) {
        found.shard_bytes = size.BytesOf(*sample);
        totals.shard_bytes += found.shard_bytes;
        totals.tokens += static_cast<int64_t>(sample->token_ids.size());
        ++usable;
      } else if (first_reason.empty()) {
        first_reason = std::get<Rejection>(read[i]).reason;
      }
      examined.push_back(found);
      if (observe) observe(some[i], read[i]);
    }
  }
  if (usable == 0) {
    return InvalidArgument(
        fmt::format("none of the {} samples that were looked at can be used; the first one: {}",
                    indices.size(), first_reason));
  }
  const int64_t unit_bytes = UnitBytes(size, totals);
  const SizeEstimate estimate = SizeEstimate::Learn(examined);
  size_t next = 0;  // of the examined ones
  for (int64_t i = 0; i < range.count; ++i) {
    int64_t& sample_bytes = bytes[static_cast<size_t>(i)];
    if (next < examined.size() && examined[next].index == range.first + i) {
      sample_bytes = examined[next++].shard_bytes;
    } else {
      sample_bytes = estimate.Of(range.first + i, sample_bytes);
    }
  }
  std::vector<int64_t> boundaries = {0};
  for (const int64_t end : UnitEnds(bytes, unit_bytes)) boundaries.push_back(end);
  return Plan::FromBoundaries(std::move(boundaries), "plan");
}

}  // namespace thresher
