#include "base/logger.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/scrub.h"

namespace thresher {
namespace {

constexpr std::array<std::string_view, 5> kLevelNames = {"debug", "info", "notice", "warning",
                                                         "error"};

std::string TimeText(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm time{};
  gmtime_r(&seconds, &time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", time.tm_year + 1900,
                     time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec,
                     unix_ms % 1000);
}

std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ValueText(const std::string& text) {
  const bool is_plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("._:/+-").find(c) != std::string_view::npos;
  });
  return is_plain ? text : Quoted(text);
}

}  // namespace

std::string_view LogLevelName(LogLevel level) { return kLevelNames[static_cast<size_t>(level)]; }

std::optional<LogLevel> LogLevelFromName(std::string_view name) {
  const auto found = std::find(kLevelNames.begin(), kLevelNames.end(), name);
  if (found == kLevelNames.end()) return std::nullopt;
  return static_cast<LogLevel>(found - kLevelNames.begin());
}

std::string LogLineText(const LogEvent& event) {
  std::string line =
      fmt::format("time={} level={}", TimeText(event.unix_ms), LogLevelName(event.level));
  for (const LogField& field : event.fields) {
    line += " " + field.key + "=";
    if (const auto* number = std::get_if<int64_t>(&field.value)) {
      line += std::to_string(*number);
    } else {
      line += ValueText(std::get<std::string>(field.value));
    }
  }
  return line + " msg=" + Quoted(event.message);
}

std::string LogLineJson(const LogEvent& event) {
  nlohmann::ordered_json json = {{"time", TimeText(event.unix_ms)},
                                 {"level", LogLevelName(event.level)}};
  for (const LogField& field : event.fields) {
    std::visit([&](const auto& value) { json[field.key] = value; }, field.value);
  }
  json["msg"] = event.message;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Logger::Logger(Clock& clock, LogLevel least, Sink sink, std::vector<LogField> fields)
    : clock_(clock), least_(least), sink_(std::move(sink)), fields_(std::move(fields)) {}

Logger Logger::With(std::vector<LogField> fields) const {
  Logger logger = *this;
  for (LogField& field : fields) logger.fields_.push_back(std::move(field));
  return logger;
}

void Logger::Log(LogLevel level, std::string_view message, std::vector<LogField> fields) const {
  if (level < least_) return;
  LogEvent event{.unix_ms = clock_.UnixMs(),
                 .level = level,
                 .message = ScrubSecrets(message),
                 .fields = fields_};
  for (LogField& field : fields) event.fields.push_back(std::move(field));
  for (LogField& field : event.fields) {
    if (auto* text = std::get_if<std::string>(&field.value)) *text = ScrubSecrets(*text);
  }
  sink_(event);
}

}  // namespace thresher
