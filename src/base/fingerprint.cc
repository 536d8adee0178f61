#include "base/fingerprint.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <cstdio>

namespace thresher {

struct Fingerprinter::State {
  XXH3_state_t hash;
};

Fingerprinter::Fingerprinter() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->hash);
}
Fingerprinter::Fingerprinter(Fingerprinter&&) noexcept = default;
Fingerprinter::~Fingerprinter() = default;

void Fingerprinter::Add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->hash, bytes.data(), bytes.size());
}

void Fingerprinter::AddField(std::string_view text) {
  const uint64_t length = text.size();
  Add(std::as_bytes(std::span(&length, 1)));
  Add(std::as_bytes(std::span(text.data(), text.size())));
}

std::string Fingerprinter::Finish() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->hash);
  char text[48];
  std::snprintf(text, sizeof(text), "xxh3-128:%016llx%016llx",
                static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

std::string FingerprintOf(std::span<const std::byte> bytes) {
  Fingerprinter fingerprinter;
  fingerprinter.Add(bytes);
  return fingerprinter.Finish();
}

}  // namespace thresher
