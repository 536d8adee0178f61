#ifndef THRESHER_BASE_DIGEST_H_
#define THRESHER_BASE_DIGEST_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace thresher {

// SHA-256, or SHA-1 for the ids of git's objects, of bytes that come in parts (FIPS 180-4). One
// thread at a time.
class Digest {
 public:
  enum class Kind { kSha1, kSha256 };

  explicit Digest(Kind kind);
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  ~Digest();

  void Update(std::span<const std::byte> bytes);

  // The digest of all bytes so far as lower-case hexadecimal digits: 40 or 64. The object begins
  // anew afterwards.
  std::string FinishHex();

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace thresher

#endif  // THRESHER_BASE_DIGEST_H_
