#include "engine/create_engine.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "base/check.h"
#include "engine/cpu/cpu_engine.h"
#include "plugins/plugin_catalog.h"
#include "plugins/plugin_library.h"

namespace thresher {
namespace {

constexpr std::string_view kCpu = "cpu";
constexpr std::string_view kPluginPrefix = "pjrt:";

}  // namespace

Status CheckEngineName(std::string_view engine) {
  if (engine == kCpu) return OkStatus();
  if (engine.starts_with(kPluginPrefix) && engine.size() > kPluginPrefix.size()) return OkStatus();
  std::string names;
  for (const PluginSpec& plugin : PluginCatalog()) {
    if (plugin.name == engine) return OkStatus();
    names += plugin.name + ", ";
  }
  return InvalidArgument(
      fmt::format("expected cpu, {}or pjrt:/path/to/plugin.so, found '{}'", names, engine));
}

Result<const PjrtPlugin*> LoadEnginePlugin(std::string_view engine) {
  RETURN_IF_ERROR(CheckEngineName(engine));
  if (engine == kCpu) return static_cast<const PjrtPlugin*>(nullptr);
  if (engine.starts_with(kPluginPrefix)) {
    return PjrtPlugin::Load(std::string(engine.substr(kPluginPrefix.size())));
  }
  ASSIGN_OR_RETURN(const std::string path, FindPlugin(engine));
  return PjrtPlugin::Load(path);
}

Result<std::string> EnginePluginText(std::string_view engine, bool cudnn_attention) {
  ASSIGN_OR_RETURN(const PjrtPlugin* plugin, LoadEnginePlugin(engine));
  if (plugin == nullptr) return std::string();
  std::string text =
      fmt::format("{}, PJRT {}", std::filesystem::path(plugin->path()).filename().string(),
                  plugin->api_version());
  const auto version = plugin->attributes().find("stablehlo_current_version");
  if (version != plugin->attributes().end()) text += ", StableHLO " + version->second;
  if (cudnn_attention) text += ", attention by cuDNN";
  return text;
}

PjrtOptions ClientOptionsOf(std::string_view engine) {
  if (!engine.starts_with("cuda")) return {};
  return {{"memory_fraction", 0.9F}};
}

bool EngineHasBf16(std::string_view engine) {
  return (engine != kCpu && engine != "xla-cpu") || ProcessorHasBf16();
}

PjrtEngineOptions PjrtOptionsOf(const EngineOptions& options) {
  PjrtEngineOptions pjrt;
  pjrt.name = options.engine;
  pjrt.compute = options.compute;
  pjrt.stored_dtype = options.stored_dtype;
  pjrt.max_batch_tokens = options.max_batch_tokens;
  pjrt.stored_share = options.stored_share;
  pjrt.cudnn_attention = options.cudnn_attention;
  pjrt.mesh = options.mesh;
  pjrt.executable_cache = options.executable_cache;
  pjrt.device_timeout_ms = options.device_timeout_ms;
  pjrt.on_hang = options.on_hang;
  return pjrt;
}

Result<std::unique_ptr<Engine>> CreateEngine(const Model& model,
                                             const std::vector<HookPoint>& hooks,
                                             const EngineOptions& options) {
  THRESHER_CHECK(options.compute == DType::kF32 || options.compute == DType::kBf16);
  ASSIGN_OR_RETURN(const PjrtPlugin* plugin, LoadEnginePlugin(options.engine));
  if (plugin == nullptr) {
    return CreateCpuEngine(
        model, hooks,
        {.compute = options.compute == DType::kBf16 ? CpuCompute::kBf16 : CpuCompute::kF32,
         .threads = options.threads,
         .max_batch_tokens = options.max_batch_tokens,
         .stored_dtype = options.stored_dtype});
  }
  ASSIGN_OR_RETURN(std::unique_ptr<PjrtClient> client,
                   PjrtClient::Create(*plugin, ClientOptionsOf(options.engine)));
  const WeightLookup lookup = [&model](const Parameter& parameter) {
    return model.weights.Find(parameter.name, parameter.shape);
  };
  return CreatePjrtEngine(std::move(client), model.graph, lookup, hooks, PjrtOptionsOf(options));
}

}  // namespace thresher
