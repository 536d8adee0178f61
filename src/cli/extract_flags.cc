#include "cli/extract_flags.h"

#include <cstdio>
#include <memory>
#include <utility>

#include "cli/command.h"

namespace thresher {

ExtractFlags::ExtractFlags(CLI::App& command) : sources_(command) {
  RegisterExtractSettings(sources_, settings_);
  sources_.AddConfigFlag();
}

Result<ExtractOptions> ExtractFlags::Options(const NeededSettings& needed) {
  for (const std::string& message : sources_.UnknownVariables()) {
    std::fprintf(stderr, "thresher: warning: %s\n", message.c_str());
  }
  RETURN_IF_ERROR(sources_.Fill());
  Result<ExtractOptions> options = CheckExtractSettings(settings_, needed);
  if (!options.ok()) return sources_.WithSource(options.status());
  return options;
}

int ExtractFlags::Report(const Status& status) const {
  const bool is_about_setting =
      status.code() == Code::kInvalidArgument && status.message().starts_with("--");
  return is_about_setting ? ReportUsageError(sources_.WithSource(status)) : ReportError(status);
}

void OnExtractSettings(CLI::App& command, int& exit_status, const NeededSettings& needed,
                       std::function<Result<int>(const ExtractOptions&)> body) {
  auto flags = std::make_shared<ExtractFlags>(command);
  command.callback([flags, needed, body = std::move(body), &exit_status] {
    const Result<ExtractOptions> options = flags->Options(needed);
    if (!options.ok()) {
      exit_status = ReportUsageError(options.status());
      return;
    }
    const Result<int> status = body(*options);
    exit_status = status.ok() ? *status : flags->Report(status.status());
  });
}

}  // namespace thresher
