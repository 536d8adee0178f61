#ifndef THRESHER_BASE_FINGERPRINT_H_
#define THRESHER_BASE_FINGERPRINT_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace thresher {

// Builds the identity of an input (weights, data set, prompt) as "xxh3-128:<32 hex digits>": equal
// for equal bytes, different for different ones but for a chance of 2^-128. Not for secrets. Not
// thread-safe.
class Fingerprinter {
 public:
  Fingerprinter();
  Fingerprinter(Fingerprinter&&) noexcept;
  ~Fingerprinter();

  // Adds bytes as they are: two calls equal one with the bytes joined.
  void Add(std::span<const std::byte> bytes);

  // Adds the length and then the bytes, so that neighbouring fields cannot run together.
  void AddField(std::string_view text);

  std::string Finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string FingerprintOf(std::span<const std::byte> bytes);

}  // namespace thresher

#endif  // THRESHER_BASE_FINGERPRINT_H_
