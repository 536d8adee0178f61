#include "engine/pjrt/pjrt_status.h"

#include <fmt/format.h>

#include <string>

namespace thresher {
namespace {

Code CodeOf(PJRT_Error_Code code) {
  switch (code) {
    case PJRT_Error_Code_INVALID_ARGUMENT:
    case PJRT_Error_Code_OUT_OF_RANGE:
      return Code::kInvalidArgument;
    case PJRT_Error_Code_NOT_FOUND:
      return Code::kNotFound;
    case PJRT_Error_Code_PERMISSION_DENIED:
    case PJRT_Error_Code_UNAUTHENTICATED:
      return Code::kPermissionDenied;
    case PJRT_Error_Code_RESOURCE_EXHAUSTED:
      return Code::kResourceExhausted;
    case PJRT_Error_Code_FAILED_PRECONDITION:
    case PJRT_Error_Code_ALREADY_EXISTS:
    case PJRT_Error_Code_UNIMPLEMENTED:
      return Code::kFailedPrecondition;
    case PJRT_Error_Code_CANCELLED:
    case PJRT_Error_Code_DEADLINE_EXCEEDED:
    case PJRT_Error_Code_ABORTED:
    case PJRT_Error_Code_UNAVAILABLE:
      return Code::kUnavailable;
    case PJRT_Error_Code_DATA_LOSS:
      return Code::kDataLoss;
    default:
      return Code::kInternal;
  }
}

}  // namespace

Status TakePjrtError(const PJRT_Api& api, PJRT_Error* error, std::string_view what) {
  if (error == nullptr) return OkStatus();
  PJRT_ARGS(PJRT_Error_Message, message);
  message.error = error;
  api.PJRT_Error_Message(&message);
  PJRT_ARGS(PJRT_Error_GetCode, code);
  code.error = error;
  code.code = PJRT_Error_Code_UNKNOWN;
  // An error about an error would say nothing new.
  PJRT_Error* nested = api.PJRT_Error_GetCode(&code);
  std::string_view text = "the plug-in gave no message";
  if (message.message != nullptr) text = {message.message, message.message_size};
  Status status(CodeOf(code.code), fmt::format("{}: {}", what, text));
  for (PJRT_Error* destroyed : {nested, error}) {
    if (destroyed == nullptr) continue;
    PJRT_ARGS(PJRT_Error_Destroy, destroy);
    destroy.error = destroyed;
    api.PJRT_Error_Destroy(&destroy);
  }
  return status;
}

Status MissingPjrtFunction(std::string_view function) {
  return FailedPrecondition(
      fmt::format("this plug-in has no {}: install a newer version of it", function));
}

}  // namespace thresher
