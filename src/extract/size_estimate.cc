#include "extract/size_estimate.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"

namespace thresher {
namespace {

constexpr size_t kGroups = 32;
constexpr size_t kLeastGroup = 8;        // examined samples
constexpr size_t kSamplesOfBlock = 128;  // examined samples whose mean is worth a correction
constexpr size_t kMaxBlocks = 64;

// Ends of the groups of `count` ordered samples: equal ones, and the last one halved again and
// again.
std::vector<size_t> GroupEnds(size_t count) {
  const size_t groups = std::clamp<size_t>(count / (4 * kLeastGroup), 1, kGroups);
  std::vector<size_t> ends;
  for (size_t group = 1; group < groups; ++group) ends.push_back(count * group / groups);
  size_t begin = ends.empty() ? 0 : ends.back();
  while (count - begin >= 2 * kLeastGroup) {
    begin += (count - begin) / 2;
    ends.push_back(begin);
  }
  ends.push_back(count);
  return ends;
}

}  // namespace

SizeEstimate SizeEstimate::Learn(std::span<const ExaminedSample> examined) {
  THRESHER_CHECK(!examined.empty());
  SizeEstimate estimate;
  estimate.knots_ = Knots(examined);
  estimate.corrections_ = estimate.Corrections(examined);
  double squares = 0;
  double sum = 0;
  for (const ExaminedSample& sample : examined) {
    const auto found = static_cast<double>(sample.shard_bytes);
    const double residual =
        found - static_cast<double>(estimate.Of(sample.index, sample.record_bytes));
    squares += residual * residual;
    sum += found;
  }
  const auto count = static_cast<double>(examined.size());
  if (sum > 0) estimate.relative_error_ = std::sqrt(squares / count) / (sum / count);
  return estimate;
}

std::vector<SizeEstimate::Point> SizeEstimate::Knots(std::span<const ExaminedSample> examined) {
  std::vector<ExaminedSample> ordered(examined.begin(), examined.end());
  std::sort(ordered.begin(), ordered.end(), [](const ExaminedSample& a, const ExaminedSample& b) {
    return a.record_bytes != b.record_bytes ? a.record_bytes < b.record_bytes : a.index < b.index;
  });
  std::vector<Point> knots;
  std::vector<double> counts;
  size_t begin = 0;
  for (const size_t end : GroupEnds(ordered.size())) {
    Point knot;
    for (size_t i = begin; i < end; ++i) {
      knot.x += static_cast<double>(ordered[i].record_bytes);
      knot.y += static_cast<double>(ordered[i].shard_bytes);
    }
    const auto count = static_cast<double>(end - begin);
    knot.x /= count;
    knot.y /= count;
    begin = end;
    // Many records of one length are one knot.
    if (!knots.empty() && knot.x <= knots.back().x) {
      const double all = counts.back() + count;
      knots.back().y = (knots.back().y * counts.back() + knot.y * count) / all;
      counts.back() = all;
    } else {
      knots.push_back(knot);
      counts.push_back(count);
    }
  }
  return knots;
}

std::vector<SizeEstimate::Point> SizeEstimate::Corrections(
    std::span<const ExaminedSample> examined) const {
  struct Block {
    double center = 0;
    double factor = 1;
    double variance = 0;  // of the factor, by chance
  };
  const size_t block_count = std::clamp<size_t>(examined.size() / kSamplesOfBlock, 1, kMaxBlocks);
  std::vector<Block> blocks;
  for (size_t b = 0; b < block_count; ++b) {
    const size_t begin = examined.size() * b / block_count;
    const size_t end = examined.size() * (b + 1) / block_count;
    double found = 0;
    double expected = 0;
    Block block;
    for (size_t i = begin; i < end; ++i) {
      found += static_cast<double>(examined[i].shard_bytes);
      expected += ByLength(examined[i].record_bytes);
      block.center += static_cast<double>(examined[i].index);
    }
    block.center /= static_cast<double>(end - begin);
    if (expected > 0) {
      block.factor = found / expected;
      double squares = 0;
      for (size_t i = begin; i < end; ++i) {
        const double residual = static_cast<double>(examined[i].shard_bytes) -
                                block.factor * ByLength(examined[i].record_bytes);
        squares += residual * residual;
      }
      block.variance = squares / (expected * expected);
    }
    blocks.push_back(block);
  }
  // What the factors vary by beyond chance; each is believed as far as that explains it.
  double variance = 0;
  for (const Block& block : blocks) {
    variance += (block.factor - 1) * (block.factor - 1) - block.variance;
  }
  variance = std::max(0.0, variance / static_cast<double>(blocks.size()));
  std::vector<Point> corrections;
  for (const Block& block : blocks) {
    const double all = variance + block.variance;
    const double belief = all > 0 ? variance / all : 0;
    corrections.push_back({block.center, 1 + belief * (block.factor - 1)});
  }
  return corrections;
}

double SizeEstimate::ByLength(int64_t record_bytes) const {
  const auto x = static_cast<double>(record_bytes);
  if (knots_.size() == 1) {
    // All examined records have about the same length, or there are few: in proportion.
    return knots_[0].x > 0 ? knots_[0].y * x / knots_[0].x : knots_[0].y;
  }
  const auto above =
      std::upper_bound(knots_.begin(), knots_.end(), x,
                       [](double value, const Point& knot) { return value < knot.x; });
  // The two nearest knots; beyond the ends their line goes on.
  const auto right = std::clamp(above, knots_.begin() + 1, knots_.end() - 1);
  const Point& a = *(right - 1);
  const Point& b = *right;
  return std::max(0.0, a.y + (b.y - a.y) * (x - a.x) / (b.x - a.x));
}

double SizeEstimate::Correction(int64_t index) const {
  const auto x = static_cast<double>(index);
  const auto right =
      std::upper_bound(corrections_.begin(), corrections_.end(), x,
                       [](double value, const Point& correction) { return value < correction.x; });
  if (right == corrections_.begin()) return right->y;
  const Point& a = *(right - 1);
  if (right == corrections_.end()) return a.y;
  return a.y + (right->y - a.y) * (x - a.x) / (right->x - a.x);
}

int64_t SizeEstimate::Of(int64_t index, int64_t record_bytes) const {
  return std::llround(std::max(0.0, ByLength(record_bytes) * Correction(index)));
}

}  // namespace thresher
