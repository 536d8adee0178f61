#include "sim/store_state.h"

#include <utility>

namespace thresher::sim {

bool IsShardObject(std::string_view key) { return key.ends_with(".safetensors"); }

int64_t StoreState::NowMs() const {
  const int64_t now_us = scheduler_.now_us();
  int64_t ms = profile_.clock_base_ms +
               static_cast<int64_t>(profile_.clock_rate * static_cast<double>(now_us) / 1000.0);
  for (const StoreClockJump& jump : profile_.clock_jumps) {
    if (now_us >= jump.at_us) ms += jump.by_ms;
  }
  return ms - ms % profile_.clock_resolution_ms;
}

void StoreState::Put(std::string_view key, std::string text, int64_t bytes, uint32_t crc) {
  StoredObject written{.text = std::move(text),
                       .bytes = bytes,
                       .crc = crc,
                       .modified_ms = NowMs(),
                       .created_us = scheduler_.now_us(),
                       .modified_us = scheduler_.now_us(),
                       .deleted_us = -1,
                       .modified_before_ms = 0};
  const auto found = objects_.find(key);
  const bool exists = found != objects_.end() && found->second.deleted_us < 0;
  if (observer_ != nullptr) observer_->OnWrite(key, exists ? &found->second : nullptr, written);
  if (exists) {
    written.created_us = found->second.created_us;
    written.modified_before_ms = found->second.modified_ms;
  }
  if (found != objects_.end()) {
    found->second = std::move(written);
  } else {
    objects_.emplace(key, std::move(written));
  }
}

bool StoreState::CreateIfAbsent(std::string_view key, std::string text) {
  if (Find(key) != nullptr) return false;
  const auto bytes = static_cast<int64_t>(text.size());
  Put(key, std::move(text), bytes, 0);
  return true;
}

const StoredObject* StoreState::Find(std::string_view key) const {
  const auto found = objects_.find(key);
  return found == objects_.end() || found->second.deleted_us >= 0 ? nullptr : &found->second;
}

void StoreState::Delete(std::string_view key) {
  const auto found = objects_.find(key);
  if (found == objects_.end() || found->second.deleted_us >= 0) return;
  if (observer_ != nullptr) observer_->OnDelete(key, found->second);
  if (profile_.faults.max_list_lag_us == 0) {
    objects_.erase(found);
    return;
  }
  found->second.text.clear();
  found->second.deleted_us = scheduler_.now_us();
}

ObjectInfo StoreState::Describe(std::string_view key, const StoredObject& object) const {
  return {.key = std::string(key),
          .bytes = object.bytes,
          .modified_ms = object.modified_ms,
          .checksum = ""};
}

// Where the keys that begin with `prefix` end.
StoreState::Objects::const_iterator StoreState::FirstAfter(std::string_view prefix) const {
  if (prefix.empty()) return objects_.end();
  std::string successor(prefix);
  ++successor.back();  // keys are ASCII
  return objects_.lower_bound(successor);
}

ListPage StoreState::List(std::string_view prefix, std::string_view start_after, int64_t limit,
                          int64_t lag_us) const {
  const int64_t view_us = scheduler_.now_us() - lag_us;
  ListPage page;
  if (start_after > prefix && !start_after.starts_with(prefix)) return page;
  auto next =
      start_after < prefix ? objects_.lower_bound(prefix) : objects_.upper_bound(start_after);
  const auto end = FirstAfter(prefix);
  for (; next != end; ++next) {
    const StoredObject& object = next->second;
    const bool deleted = object.deleted_us >= 0 && object.deleted_us <= view_us;
    if (deleted || object.created_us > view_us) continue;
    if (static_cast<int64_t>(page.objects.size()) == limit) {
      page.more = true;
      break;
    }
    page.objects.push_back(Describe(next->first, object));
    const bool overwritten_since = object.modified_us > view_us && object.modified_before_ms > 0;
    if (overwritten_since) page.objects.back().modified_ms = object.modified_before_ms;
  }
  return page;
}

}  // namespace thresher::sim
