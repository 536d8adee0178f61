#ifndef THRESHER_CLI_METRICS_SERVER_H_
#define THRESHER_CLI_METRICS_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/extract_options.h"
#include "web/http_server.h"

namespace thresher {

// Serves what `metrics` gives at /metrics, as --metrics-port asks; null if it asks for nothing.
// `metrics` is called on several threads. kInvalidArgument, naming the flag, for an address that
// other machines reach and no token.
Result<std::unique_ptr<HttpServer>> ServeMetrics(const ExtractSettings& settings,
                                                 std::function<std::string()> metrics);

}  // namespace thresher

#endif  // THRESHER_CLI_METRICS_SERVER_H_
