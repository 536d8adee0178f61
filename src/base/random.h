#ifndef THRESHER_BASE_RANDOM_H_
#define THRESHER_BASE_RANDOM_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace thresher {

// SplitMix64 (Steele, Lea, Flood 2014): a small generator whose whole state is its seed, so that a
// seed in a log replays a decision. Not for secrets. Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next();

  // Uniform in [0, bound); bound > 0.
  uint64_t Below(uint64_t bound);

  // Uniform in [0, 1).
  double Uniform();

 private:
  uint64_t state_;
};

// A seed from a text, the same on every machine: FNV-1a of its bytes, 64 bits wide (Fowler, Noll,
// Vo 1991; RFC 9923). Nearby texts have seeds that are alike: draw from Random, not from the seed.
uint64_t SeedOf(std::string_view text);

// 16 lower-case hexadecimal digits from the operating system's generator: a session id.
std::string RandomSessionId();

}  // namespace thresher

#endif  // THRESHER_BASE_RANDOM_H_
