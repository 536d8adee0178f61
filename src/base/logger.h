#ifndef THRESHER_BASE_LOGGER_H_
#define THRESHER_BASE_LOGGER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace thresher {

enum class LogLevel : uint8_t {
  kDebug,    // for whoever looks for a mistake in the program
  kInfo,     // every step of a unit's way
  kNotice,   // what somebody who watches wants to read: what began, what ended
  kWarning,  // something did not work, and the worker goes on
  kError,    // the worker cannot go on
};

std::string_view LogLevelName(LogLevel level);  // "warning"
std::optional<LogLevel> LogLevelFromName(std::string_view name);

struct LogField {
  std::string key;  // lower_snake
  std::variant<std::string, int64_t> value;
};

// Something that happened. Holds no secrets: the logger has removed them.
struct LogEvent {
  int64_t unix_ms = 0;
  LogLevel level = LogLevel::kInfo;
  std::string message;  // one line
  std::vector<LogField> fields;
};

// time=2026-11-26T08:00:00.123Z level=info run=... worker=3 unit=17 msg="..."
// Values in quotes, as in JSON, where they hold anything but letters, digits and ._:/+-
std::string LogLineText(const LogEvent& event);

// {"time":"2026-11-26T08:00:00.123Z","level":"info","run":"...","worker":3,"unit":17,"msg":"..."}
std::string LogLineJson(const LogEvent& event);

// Where a part of the program tells what happens; passed in, never global. Events of a lower level
// than `least` are dropped. Removes what may be a secret (base/scrub.h) from messages and values.
// Thread-safe if the sink is.
class Logger {
 public:
  using Sink = std::function<void(const LogEvent& event)>;

  // `clock` is borrowed.
  Logger(Clock& clock, LogLevel least, Sink sink, std::vector<LogField> fields = {});

  // One that writes these fields, too, in front of those of each event.
  Logger With(std::vector<LogField> fields) const;

  void Log(LogLevel level, std::string_view message, std::vector<LogField> fields = {}) const;
  void Info(std::string_view message, std::vector<LogField> fields = {}) const {
    Log(LogLevel::kInfo, message, std::move(fields));
  }
  void Notice(std::string_view message, std::vector<LogField> fields = {}) const {
    Log(LogLevel::kNotice, message, std::move(fields));
  }
  void Warning(std::string_view message, std::vector<LogField> fields = {}) const {
    Log(LogLevel::kWarning, message, std::move(fields));
  }
  void Error(std::string_view message, std::vector<LogField> fields = {}) const {
    Log(LogLevel::kError, message, std::move(fields));
  }

 private:
  Clock& clock_;
  LogLevel least_;
  Sink sink_;
  std::vector<LogField> fields_;
};

// "unit" as events name it.
inline LogField UnitField(int64_t unit) { return {"unit", unit}; }

}  // namespace thresher

#endif  // THRESHER_BASE_LOGGER_H_
