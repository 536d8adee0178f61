#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/byte_size.h"
#include "cli/command.h"
#include "engine/create_engine.h"
#include "plugins/plugin_catalog.h"
#include "plugins/plugin_library.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher devices
  thresher devices --engine tpu
  thresher devices --engine pjrt:/opt/plugin.so --json

Opens each installed plug-in, or that of --engine, and lists the devices that it offers to this
process. Some plug-ins give their devices to one process at a time.

Exit status: 0 devices were found, 1 none, or an error, 2 wrong usage.)";

struct DevicesFlags {
  std::string engine;
  bool json = false;
};

Result<Json> DevicesOf(const std::string& engine) {
  ASSIGN_OR_RETURN(const PjrtPlugin* plugin, LoadEnginePlugin(engine));
  if (plugin == nullptr) return InvalidArgument("--engine: cpu has no plug-in that offers devices");
  ASSIGN_OR_RETURN(const std::unique_ptr<PjrtClient> client, PjrtClient::Create(*plugin));
  Json devices = Json::array();
  for (const PjrtDevice& device : client->devices()) {
    Json entry = {{"id", device.id}, {"kind", device.kind}, {"description", device.description}};
    const std::optional<DeviceMemory> memory = client->Memory(device);
    if (memory && memory->bytes_limit) entry["memory_bytes"] = *memory->bytes_limit;
    devices.push_back(std::move(entry));
  }
  return Json{{"engine", engine},
              {"plugin", plugin->path()},
              {"pjrt_version", plugin->api_version()},
              {"platform", client->platform()},
              {"platform_version", client->platform_version()},
              {"devices", std::move(devices)}};
}

void Print(const Json& found) {
  std::fputs(fmt::format(
                 "{}: platform {} ({}), PJRT {}, {}\n", found["engine"].get<std::string>(),
                 found["platform"].get<std::string>(), found["platform_version"].get<std::string>(),
                 found["pjrt_version"].get<std::string>(), found["plugin"].get<std::string>())
                 .c_str(),
             stdout);
  for (const Json& device : found["devices"]) {
    std::string memory;
    if (device.contains("memory_bytes")) {
      memory = ", " + FormatBytes(device["memory_bytes"].get<double>()) + " of memory";
    }
    std::fputs(fmt::format("  {:>3}  {}{}\n", device["id"].get<int>(),
                           device["kind"].get<std::string>(), memory)
                   .c_str(),
               stdout);
  }
}

int ListDevices(const DevicesFlags& flags) {
  std::vector<std::string> engines = {flags.engine};
  if (flags.engine.empty()) {
    engines.clear();
    for (const PluginSpec& plugin : PluginCatalog()) {
      if (FindPlugin(plugin.name).ok()) engines.push_back(plugin.name);
    }
    if (engines.empty()) {
      return ReportError(NotFound("no plug-in is installed; see thresher plugins list"));
    }
  }
  Json all = Json::array();
  int exit_status = kExitError;
  for (const std::string& engine : engines) {
    const Result<Json> found = DevicesOf(engine);
    if (!found.ok()) {
      const bool is_usage = found.status().code() == Code::kInvalidArgument;
      const int status = is_usage ? ReportUsageError(found.status()) : ReportError(found.status());
      if (!flags.engine.empty()) return status;
      continue;
    }
    exit_status = kExitComplete;
    if (!flags.json) Print(*found);
    all.push_back(*found);
  }
  if (flags.json) std::printf("%s\n", all.dump(1).c_str());
  return exit_status;
}

}  // namespace

void AddDevicesCommand(CLI::App& app, int& exit_status) {
  CLI::App* command =
      app.add_subcommand("devices", "List the devices that installed plug-ins offer");
  command->footer(kExamples);
  auto flags = std::make_shared<DevicesFlags>();
  command->add_option("--engine", flags->engine, "Of this engine only [every installed plug-in]");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &exit_status] { exit_status = ListDevices(*flags); });
}

}  // namespace thresher
