#include "store/memory_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace thresher {
namespace {

Status NoSuchObject(std::string_view key) {
  return NotFound(fmt::format("memory: has no object \"{}\"", key));
}

}  // namespace

MemoryStore::Object MemoryStore::NewObject(std::span<const std::byte> bytes) const {
  return {.bytes = {bytes.begin(), bytes.end()}, .modified_ms = clock_.MonotonicMs()};
}

Status MemoryStore::Put(std::string_view key, std::span<const std::byte> bytes) {
  RETURN_IF_ERROR(CheckKey(key));
  std::lock_guard lock(mutex_);
  objects_.insert_or_assign(std::string(key), NewObject(bytes));
  return OkStatus();
}

CreateResult MemoryStore::CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) {
  if (Status status = CheckKey(key); !status.ok()) return {CreateOutcome::kUnknown, status};
  std::lock_guard lock(mutex_);
  if (objects_.contains(key)) return {CreateOutcome::kConflict, OkStatus()};
  objects_.emplace(key, NewObject(bytes));
  return {CreateOutcome::kWritten, OkStatus()};
}

Result<std::string> MemoryStore::GetText(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return NoSuchObject(key);
  const std::vector<std::byte>& bytes = found->second.bytes;
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Status MemoryStore::GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) {
  THRESHER_CHECK(offset >= 0);
  RETURN_IF_ERROR(CheckKey(key));
  std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return NoSuchObject(key);
  const std::vector<std::byte>& bytes = found->second.bytes;
  const size_t begin = std::min(static_cast<size_t>(offset), bytes.size());
  if (bytes.size() - begin < out.size() || begin != static_cast<size_t>(offset)) {
    return DataLoss(fmt::format("\"{}\" has {} bytes; {} from offset {} were asked for", key,
                                bytes.size(), out.size(), offset));
  }
  std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(begin), out.size(), out.begin());
  return OkStatus();
}

Result<ObjectInfo> MemoryStore::Stat(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return NoSuchObject(key);
  return ObjectInfo{.key = found->first,
                    .bytes = static_cast<int64_t>(found->second.bytes.size()),
                    .modified_ms = found->second.modified_ms};
}

Result<ListPage> MemoryStore::List(std::string_view prefix, std::string_view start_after,
                                   int64_t limit) {
  THRESHER_CHECK(limit > 0);
  std::lock_guard lock(mutex_);
  ListPage page;
  auto next =
      start_after < prefix ? objects_.lower_bound(prefix) : objects_.upper_bound(start_after);
  for (; next != objects_.end() && next->first.starts_with(prefix); ++next) {
    if (static_cast<int64_t>(page.objects.size()) == limit) {
      page.more = true;
      break;
    }
    page.objects.push_back({.key = next->first,
                            .bytes = static_cast<int64_t>(next->second.bytes.size()),
                            .modified_ms = next->second.modified_ms});
  }
  return page;
}

Status MemoryStore::Delete(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  std::lock_guard lock(mutex_);
  if (const auto found = objects_.find(key); found != objects_.end()) objects_.erase(found);
  return OkStatus();
}

}  // namespace thresher
