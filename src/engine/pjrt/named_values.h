#ifndef THRESHER_ENGINE_PJRT_NAMED_VALUES_H_
#define THRESHER_ENGINE_PJRT_NAMED_VALUES_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/pjrt/pjrt_status.h"

namespace thresher {

// A setting of a client or topology, as the plug-in's documentation names it.
using PjrtOption = std::variant<std::string, int64_t, float, bool>;
using PjrtOptions = std::map<std::string, PjrtOption>;

// The options as the API takes them; borrows them, so that they must outlive it.
std::vector<PJRT_NamedValue> ToNamedValues(const PjrtOptions& options);

// The value for people; lists of integers as "1.13.0".
std::string FormatNamedValue(const PJRT_NamedValue& value);

// All of them by name.
std::map<std::string, std::string> FormatNamedValues(std::span<const PJRT_NamedValue> values);

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_NAMED_VALUES_H_
