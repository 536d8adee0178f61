#ifndef THRESHER_ENGINE_PJRT_PJRT_HANDLES_H_
#define THRESHER_ENGINE_PJRT_PJRT_HANDLES_H_

#include <utility>

#include "engine/pjrt/pjrt_status.h"

namespace thresher {

// How objects of a type are destroyed: specialised below for each.
template <typename Object>
void DestroyPjrtObject(const PJRT_Api& api, Object* object);

// Owns an object that a plug-in made, and destroys it. Move-only; empty after a move. The plug-in,
// and the client for what it made, must outlive it.
template <typename Object>
class PjrtHandle {
 public:
  PjrtHandle() = default;
  PjrtHandle(const PJRT_Api& api, Object* object) : api_(&api), object_(object) {}
  PjrtHandle(PjrtHandle&& other) noexcept
      : api_(other.api_), object_(std::exchange(other.object_, nullptr)) {}
  PjrtHandle& operator=(PjrtHandle&& other) noexcept {
    std::swap(api_, other.api_);
    std::swap(object_, other.object_);
    return *this;
  }
  ~PjrtHandle() {
    if (object_ != nullptr) DestroyPjrtObject(*api_, object_);
  }

  Object* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  const PJRT_Api& api() const { return *api_; }

 private:
  const PJRT_Api* api_ = nullptr;
  Object* object_ = nullptr;
};

// What fails to be destroyed is lost: there is nothing that a caller could do.
#define THRESHER_DEFINE_PJRT_DESTROY(object_type, function, field)                       \
  template <>                                                                            \
  inline void DestroyPjrtObject<object_type>(const PJRT_Api& api, object_type* object) { \
    PJRT_ARGS(function, args);                                                           \
    args.field = object;                                                                 \
    static_cast<void>(PJRT_CALL(api, function, args));                                   \
  }

THRESHER_DEFINE_PJRT_DESTROY(PJRT_Client, PJRT_Client_Destroy, client)
THRESHER_DEFINE_PJRT_DESTROY(PJRT_Buffer, PJRT_Buffer_Destroy, buffer)
THRESHER_DEFINE_PJRT_DESTROY(PJRT_Event, PJRT_Event_Destroy, event)
THRESHER_DEFINE_PJRT_DESTROY(PJRT_Executable, PJRT_Executable_Destroy, executable)
THRESHER_DEFINE_PJRT_DESTROY(PJRT_LoadedExecutable, PJRT_LoadedExecutable_Destroy, executable)
THRESHER_DEFINE_PJRT_DESTROY(PJRT_TopologyDescription, PJRT_TopologyDescription_Destroy, topology)

#undef THRESHER_DEFINE_PJRT_DESTROY

using PjrtBuffer = PjrtHandle<PJRT_Buffer>;
using PjrtEvent = PjrtHandle<PJRT_Event>;

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_PJRT_HANDLES_H_
