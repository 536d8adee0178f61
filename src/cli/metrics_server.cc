#include "cli/metrics_server.h"

#include <fstream>
#include <utility>

#include "monitor/prometheus_text.h"

namespace thresher {
namespace {

Result<std::string> FirstLineOf(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line) || line.empty()) {
    return InvalidArgument("--metrics-token-file: " + path + " has no first line, or is not there");
  }
  return line;
}

}  // namespace

Result<std::unique_ptr<HttpServer>> ServeMetrics(const ExtractSettings& settings,
                                                 std::function<std::string()> metrics) {
  if (settings.metrics_port.empty()) return std::unique_ptr<HttpServer>();
  HttpServer::Options options;
  options.threads = 4;
  Result<ListenAddress> address = ParseListenAddress(settings.metrics_port);
  if (!address.ok()) return address.status().WithContext("--metrics-port");
  options.address = *std::move(address);
  if (!settings.metrics_token_file.empty()) {
    ASSIGN_OR_RETURN(options.token, FirstLineOf(settings.metrics_token_file));
  } else if (!options.address.IsLoopback()) {
    return InvalidArgument("--metrics-port: " + settings.metrics_port +
                           " can be reached from other machines; give --metrics-token-file, too");
  }
  const auto answer = [metrics = std::move(metrics)](const WebRequest& request) {
    if (request.path != "/metrics") return WebAnswer{.status = 404, .body = "see /metrics\n"};
    return WebAnswer{.content_type = std::string(kPrometheusContentType), .body = metrics()};
  };
  Result<std::unique_ptr<HttpServer>> server = HttpServer::Start(options, answer);
  if (!server.ok()) return server.status().WithContext("--metrics-port");
  return server;
}

}  // namespace thresher
