#include "engine/pjrt/pjrt_event.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace thresher {
namespace {

constexpr std::string_view kTimeoutMark = "the device did not answer within ";

// Filled in by the plug-in's thread; shared with it, for the waiter may leave first.
struct Outcome {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_known = false;
  Status status;
};

struct Callback {
  const PJRT_Api& api;
  std::string what;
  std::shared_ptr<Outcome> outcome;
};

void OnReady(PJRT_Error* error, void* argument) {
  const std::unique_ptr<Callback> callback(static_cast<Callback*>(argument));
  Status status = TakePjrtError(callback->api, error, callback->what);
  const std::lock_guard lock(callback->outcome->mutex);
  callback->outcome->status = std::move(status);
  callback->outcome->is_known = true;
  callback->outcome->changed.notify_all();
}

}  // namespace

Status AwaitPjrtEvent(PjrtEvent event, std::string_view what, std::optional<int64_t> limit_ms) {
  const PJRT_Api& api = event.api();
  if (!limit_ms) {
    PJRT_ARGS(PJRT_Event_Await, args);
    args.event = event.get();
    return PJRT_CALL(api, PJRT_Event_Await, args).WithContext(what);
  }
  auto outcome = std::make_shared<Outcome>();
  auto callback = std::make_unique<Callback>(Callback{api, std::string(what), outcome});
  PJRT_ARGS(PJRT_Event_OnReady, args);
  args.event = event.get();
  args.callback = OnReady;
  args.user_arg = callback.get();
  RETURN_IF_ERROR(PJRT_CALL(api, PJRT_Event_OnReady, args).WithContext(what));
  static_cast<void>(callback.release());  // it is the plug-in's now
  std::unique_lock lock(outcome->mutex);
  if (outcome->changed.wait_for(lock, std::chrono::milliseconds(*limit_ms),
                                [&] { return outcome->is_known; })) {
    return outcome->status;
  }
  return Unavailable(
      fmt::format("{}: {}{} s", what, kTimeoutMark, static_cast<double>(*limit_ms) / 1000));
}

bool IsTimeout(const Status& status) {
  return status.code() == Code::kUnavailable &&
         status.message().find(kTimeoutMark) != std::string::npos;
}

}  // namespace thresher
