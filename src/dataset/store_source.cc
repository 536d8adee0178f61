#include "dataset/store_source.h"

#include <algorithm>

#include "base/check.h"

namespace thresher {

Status StoreSource::Read(int64_t offset, std::span<std::byte> to) const {
  THRESHER_CHECK(offset >= 0);
  if (to.empty()) return OkStatus();
  return store_->GetRange(key_, offset, to).WithContext("reading " + name_);
}

bool CachingSource::FindCached(int64_t offset, std::span<std::byte> to) const {
  std::lock_guard lock(mutex_);
  const auto wanted = static_cast<int64_t>(to.size());
  const auto found = std::ranges::find_if(parts_, [&](const Part& part) {
    const auto bytes = static_cast<int64_t>(part.bytes.size());
    return part.offset <= offset && offset - part.offset <= bytes - wanted;
  });
  if (found == parts_.end()) return false;
  std::copy_n(found->bytes.begin() + (offset - found->offset), wanted, to.begin());
  parts_.splice(parts_.begin(), parts_, found);
  return true;
}

Status CachingSource::Read(int64_t offset, std::span<std::byte> to) const {
  if (FindCached(offset, to)) return OkStatus();
  RETURN_IF_ERROR(inner_->Read(offset, to));
  const auto bytes = static_cast<int64_t>(to.size());
  if (bytes > cache_bytes_) return OkStatus();
  std::lock_guard lock(mutex_);
  parts_.push_front({offset, std::vector<std::byte>(to.begin(), to.end())});
  held_bytes_ += bytes;
  while (held_bytes_ > cache_bytes_) {
    held_bytes_ -= static_cast<int64_t>(parts_.back().bytes.size());
    parts_.pop_back();
  }
  return OkStatus();
}

}  // namespace thresher
