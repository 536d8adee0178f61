#include "dataset/record_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace thresher {
namespace {

RecordHash FromXxh(XXH128_hash_t hash) { return {.low = hash.low64, .high = hash.high64}; }

}  // namespace

struct RecordHasher::State {
  XXH3_state_t hash;
};

RecordHash HashOf(std::string_view bytes) {
  return FromXxh(XXH3_128bits(bytes.data(), bytes.size()));
}

RecordHasher::RecordHasher() : state_(std::make_unique<State>()) { Reset(); }
RecordHasher::~RecordHasher() = default;

void RecordHasher::Reset() { XXH3_128bits_reset(&state_->hash); }

void RecordHasher::Add(std::string_view bytes) {
  XXH3_128bits_update(&state_->hash, bytes.data(), bytes.size());
}

RecordHash RecordHasher::Finish() const { return FromXxh(XXH3_128bits_digest(&state_->hash)); }

}  // namespace thresher
