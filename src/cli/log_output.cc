#include "cli/log_output.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

namespace thresher {
namespace {

void PrintToStdout(const LogEvent& event, int64_t worker_id) {
  const nlohmann::ordered_json line = {{"event", "message"},
                                       {"level", LogLevelName(event.level)},
                                       {"worker", worker_id},
                                       {"text", event.message}};
  std::printf("%s\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  std::fflush(stdout);
}

}  // namespace

Result<LogOptions> CheckLogSettings(const std::string& format, const std::string& level, bool quiet,
                                    bool json) {
  LogOptions options;
  if (format == "text") {
    options.format = LogFormat::kText;
  } else if (format == "json") {
    options.format = LogFormat::kJson;
  } else if (format != "plain") {
    return InvalidArgument("--log-format: expected plain, text or json, found '" + format + "'");
  }
  options.plain_to_stdout = json && options.format == LogFormat::kPlain;
  if (level.empty()) {
    options.least = options.format == LogFormat::kPlain ? LogLevel::kNotice : LogLevel::kInfo;
    if (quiet) options.least = LogLevel::kWarning;
    return options;
  }
  const std::optional<LogLevel> least = LogLevelFromName(level);
  if (!least) {
    return InvalidArgument("--log-level: expected debug, info, notice, warning or error, found '" +
                           level + "'");
  }
  options.least = *least;
  return options;
}

Logger MakeLogger(const LogOptions& options, Clock& clock, StderrLines& lines, int64_t worker_id) {
  const auto sink = [options, &lines, worker_id](const LogEvent& event) {
    if (options.plain_to_stdout) return PrintToStdout(event, worker_id);
    switch (options.format) {
      case LogFormat::kPlain:
        return lines.Print("worker " + std::to_string(worker_id) + ": " + event.message);
      case LogFormat::kText:
        return lines.Print(LogLineText(event));
      case LogFormat::kJson:
        return lines.Print(LogLineJson(event));
    }
  };
  return {clock, options.least, sink};
}

std::function<void(const std::string& line)> LinesToPeople(const LogOptions& options) {
  if (options.least > LogLevel::kNotice) return {};
  if (options.format == LogFormat::kPlain) {
    return [](const std::string& line) { std::fprintf(stderr, "thresher: %s\n", line.c_str()); };
  }
  return [options](const std::string& line) {
    StderrLines lines;
    MakeLogger(options, Clock::Real(), lines, 0).Notice(line);
  };
}

}  // namespace thresher
