#ifndef THRESHER_BASE_RESULT_H_
#define THRESHER_BASE_RESULT_H_

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace thresher {

// What kind of failure it is; decides what a caller may do about it, never what a person reads.
enum class Code {
  kOk,
  kInvalidArgument,     // the user's input is wrong; the message says where and how to mend it
  kNotFound,            // the named thing does not exist
  kFailedPrecondition,  // the input is fine by itself but disagrees with what is there already
  kDataLoss,            // stored bytes are not what they should be
  kResourceExhausted,   // disk or memory is full
  kPermissionDenied,
  kUnavailable,  // may succeed when tried again
  kCancelled,    // stopped on request
  kInternal,     // a mistake in this program
};

std::string_view CodeName(Code code);

// Success, or a code with a message for people. Context is added on the way up:
//   return status.WithContext("while uploading unit 17")  ->  "while uploading unit 17: disk full"
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  Status WithContext(std::string_view context) const {
    if (ok()) return *this;
    return Status(code_, std::string(context) + ": " + message_);
  }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status OkStatus() { return Status(); }
inline Status InvalidArgument(std::string m) { return {Code::kInvalidArgument, std::move(m)}; }
inline Status NotFound(std::string m) { return {Code::kNotFound, std::move(m)}; }
inline Status FailedPrecondition(std::string m) {
  return {Code::kFailedPrecondition, std::move(m)};
}
inline Status DataLoss(std::string m) { return {Code::kDataLoss, std::move(m)}; }
inline Status ResourceExhausted(std::string m) { return {Code::kResourceExhausted, std::move(m)}; }
inline Status PermissionDenied(std::string m) { return {Code::kPermissionDenied, std::move(m)}; }
inline Status Unavailable(std::string m) { return {Code::kUnavailable, std::move(m)}; }
inline Status Cancelled(std::string m) { return {Code::kCancelled, std::move(m)}; }
inline Status Internal(std::string m) { return {Code::kInternal, std::move(m)}; }

// The Status of the calling thread's last failed system call: the code that fits `error_number`
// (errno) and "what: No space left on device".
Status ErrnoStatus(int error_number, std::string_view what);

// A value or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}        // NOLINT: implicit by design
  Result(Status status) : state_(std::move(status)) {  // NOLINT: implicit by design
    THRESHER_CHECK(!std::get<Status>(state_).ok());
  }

  bool ok() const { return std::holds_alternative<T>(state_); }
  Status status() const { return ok() ? Status() : std::get<Status>(state_); }

  T& value() & {
    THRESHER_CHECK(ok());
    return std::get<T>(state_);
  }
  const T& value() const& {
    THRESHER_CHECK(ok());
    return std::get<T>(state_);
  }
  T&& value() && {
    THRESHER_CHECK(ok());
    return std::get<T>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

// Leaves the function with the Status of `expression` unless it is ok. Works for Status and,
// through .status(), for nothing else: use ASSIGN_OR_RETURN for Result.
#define RETURN_IF_ERROR(expression)                                 \
  do {                                                              \
    if (::thresher::Status status_ = (expression); !status_.ok()) { \
      return status_;                                               \
    }                                                               \
  } while (false)

#define THRESHER_CONCAT_INNER(a, b) a##b
#define THRESHER_CONCAT(a, b) THRESHER_CONCAT_INNER(a, b)

// ASSIGN_OR_RETURN(auto x, F()); takes the value out of the Result or leaves with its Status.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_INNER(THRESHER_CONCAT(result_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return result.status();                     \
  declaration = std::move(result).value()

}  // namespace thresher

#endif  // THRESHER_BASE_RESULT_H_
