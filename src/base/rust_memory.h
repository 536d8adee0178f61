#ifndef THRESHER_BASE_RUST_MEMORY_H_
#define THRESHER_BASE_RUST_MEMORY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rust/thresher_rust.h"

namespace thresher {

// Bytes that the Rust library allocated: freed with this object.
class RustBytes {
 public:
  RustBytes() = default;
  RustBytes(const RustBytes&) = delete;
  RustBytes& operator=(const RustBytes&) = delete;
  ~RustBytes() { thresher_bytes_free(bytes_); }

  // Where a call writes its result; at most one call for each object.
  ThresherBytes* out() { return &bytes_; }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes_.data), bytes_.length};
  }

 private:
  ThresherBytes bytes_ = {nullptr, 0};
};

// As RustBytes, for token ids.
class RustIds {
 public:
  RustIds() = default;
  RustIds(const RustIds&) = delete;
  RustIds& operator=(const RustIds&) = delete;
  ~RustIds() { thresher_ids_free(ids_); }

  ThresherIds* out() { return &ids_; }
  const uint32_t* begin() const { return ids_.data; }
  const uint32_t* end() const { return ids_.data + ids_.length; }

 private:
  ThresherIds ids_ = {nullptr, 0};
};

inline const uint8_t* RustData(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

// What a call's outcome means here: a wrong input is the user's, a panic is ours.
inline Code RustCode(int32_t outcome) {
  switch (outcome) {
    case THRESHER_OK:
      return Code::kOk;
    case THRESHER_INVALID:
      return Code::kInvalidArgument;
    case THRESHER_NOT_FOUND:
      return Code::kNotFound;
    case THRESHER_DENIED:
    case THRESHER_NO_CREDENTIALS:
      return Code::kPermissionDenied;
    case THRESHER_UNAVAILABLE:
      return Code::kUnavailable;
    case THRESHER_TOO_SHORT:
    case THRESHER_TOO_LONG:
    case THRESHER_DAMAGED:
      return Code::kDataLoss;
    case THRESHER_REFUSED:
    case THRESHER_REJECTED:
      return Code::kFailedPrecondition;
    default:
      return Code::kInternal;
  }
}

inline Status RustStatus(int32_t outcome, const RustBytes& error) {
  if (outcome == THRESHER_OK) return OkStatus();
  std::string message(error.view());
  if (outcome == THRESHER_PANICKED) message = "panic in a library: " + message;
  return Status(RustCode(outcome), std::move(message));
}

}  // namespace thresher

#endif  // THRESHER_BASE_RUST_MEMORY_H_
