#ifndef THRESHER_ENGINE_PJRT_PJRT_EVENT_H_
#define THRESHER_ENGINE_PJRT_PJRT_EVENT_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/pjrt/pjrt_handles.h"

namespace thresher {

// Waits until what the event stands for has happened, and returns how it went. With a limit:
// kUnavailable, saying so, if it has not happened by then; the event is then left to go on.
Status AwaitPjrtEvent(PjrtEvent event, std::string_view what,
                      std::optional<int64_t> limit_ms = std::nullopt);

// True for the Status of a wait that reached its limit, and for nothing else.
bool IsTimeout(const Status& status);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_PJRT_EVENT_H_
