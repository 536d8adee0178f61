#include "base/digest.h"

#include <string_view>

#include "base/rust_memory.h"

namespace thresher {

struct Digest::Handle {
  explicit Handle(ThresherDigest* made) : rust(made) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { thresher_digest_free(rust); }

  ThresherDigest* const rust;
};

Digest::Digest(Kind kind)
    : handle_(std::make_unique<Handle>(thresher_digest_new(kind == Kind::kSha256))) {}
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;
Digest::~Digest() = default;

void Digest::Update(std::span<const std::byte> bytes) {
  thresher_digest_update(handle_->rust, reinterpret_cast<const uint8_t*>(bytes.data()),
                         bytes.size());
}

std::string Digest::FinishHex() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  RustBytes digest;
  *digest.out() = thresher_digest_finish(handle_->rust);
  std::string hex;
  for (const char character : digest.view()) {
    const auto byte = static_cast<unsigned char>(character);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 0xf];
  }
  return hex;
}

}  // namespace thresher
