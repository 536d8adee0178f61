#ifndef THRESHER_ENGINE_PJRT_PJRT_STATUS_H_
#define THRESHER_ENGINE_PJRT_PJRT_STATUS_H_

#include <pjrt_c_api.h>

#include <cstddef>
#include <string_view>

#include "base/result.h"

namespace thresher {

// The Status of an error that a call of the plug-in returned (null: ok), with the plug-in's own
// message behind "what: ". Destroys the error.
Status TakePjrtError(const PJRT_Api& api, PJRT_Error* error, std::string_view what);

// True if the plug-in's function table has the entry, which lies `offset` bytes into it: tables of
// older plug-ins are shorter.
inline bool TableReaches(const PJRT_Api& api, size_t offset) {
  return api.struct_size >= offset + sizeof(void*);
}

// kFailedPrecondition: the plug-in has no function of that name.
Status MissingPjrtFunction(std::string_view function);

// Calls an entry of the plug-in's function table, if it is there: CallPjrt(api,
// &PJRT_Api::PJRT_Client_Devices, "PJRT_Client_Devices", args). See PJRT_CALL.
template <typename Function, typename Args>
Status CallPjrt(const PJRT_Api& api, Function* PJRT_Api::*entry, std::string_view name,
                Args& args) {
  const auto offset = static_cast<size_t>(reinterpret_cast<const char*>(&(api.*entry)) -
                                          reinterpret_cast<const char*>(&api));
  if (!TableReaches(api, offset) || api.*entry == nullptr) return MissingPjrtFunction(name);
  return TakePjrtError(api, (api.*entry)(&args), name);
}

// Declares the argument structure of an API function, zeroed, with its size as the header has it.
#define PJRT_ARGS(function, args) \
  function##_Args args = {};      \
  args.struct_size = function##_Args_STRUCT_SIZE

// The Status of calling an API function with arguments that PJRT_ARGS declared.
#define PJRT_CALL(api, function, args) \
  ::thresher::CallPjrt(api, &PJRT_Api::function, #function, args)

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_PJRT_STATUS_H_
