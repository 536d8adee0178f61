#include "cli/store_command.h"

#include <memory>
#include <utility>

#include "cli/command.h"
#include "cli/store_settings.h"

namespace thresher {

void FinishStoreCommand(CLI::App& command, const std::string& examples, int& exit_status,
                        std::function<Result<int>(const StoreOptions& options)> run) {
  auto flags = std::make_shared<StoreFlags>(command);
  command.footer(examples + "\n\n" + kStoreAddresses);
  command.callback([flags, run = std::move(run), &exit_status] {
    const Result<StoreOptions> options = flags->Options();
    if (!options.ok()) {
      exit_status = ReportUsageError(options.status());
      return;
    }
    const Result<int> status = run(*options);
    exit_status = status.ok() ? *status : ReportError(status.status());
  });
}

CLI::Validator StoreAddress() {
  return {[](const std::string& url) { return CheckStoreUrl(url).message(); }, ""};
}

std::string StoreArguments(const std::string& url, const StoreOptions& options) {
  std::string text = url;
  if (!options.endpoint.empty()) text += " --store-endpoint " + options.endpoint;
  if (options.anonymous) text += " --store-anonymous";
  return text;
}

}  // namespace thresher
