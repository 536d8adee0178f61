#include "work/run_spec.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/fingerprint.h"
#include "work/json_fields.h"

namespace thresher {
namespace {

// The fields that say where things came from, not what they are.
constexpr std::array<std::string_view, 3> kInformational = {"/model/path", "/dataset/path",
                                                            "/program_version"};

Json ToJson(const RunSpec& spec) {
  Json json;
  json["format_version"] = kFormatVersion;
  json["model"] = {{"path", spec.model.path},
                   {"architecture", spec.model.architecture},
                   {"layer_count", spec.model.layer_count},
                   {"hidden_size", spec.model.hidden_size},
                   {"config_fingerprint", spec.model.config_fingerprint},
                   {"weights_fingerprint", spec.model.weights_fingerprint}};
  json["dataset"] = {{"path", spec.dataset.path},
                     {"fingerprint", spec.dataset.fingerprint},
                     {"sample_count", spec.dataset.sample_count}};
  json["prompts"] = {{"fingerprint", spec.prompts.fingerprint}};
  json["prompts"].update(Json(spec.prompts.settings));
  json["capture"] = {{"hooks", spec.capture.hooks},
                     {"dtype", spec.capture.dtype},
                     {"compute", spec.capture.compute},
                     {"engine", spec.capture.engine},
                     {"batch_tokens", spec.capture.batch_tokens}};
  // The CPU engine's runs are older than this field.
  if (!spec.capture.plugin.empty()) json["capture"]["plugin"] = spec.capture.plugin;
  json["shard_bytes"] = spec.shard_bytes;
  json["program_version"] = spec.program_version;
  return json;
}

// Every field but the informational ones, as "/model/architecture" -> value.
Json IdentityFields(const RunSpec& spec) {
  Json flat = ToJson(spec).flatten();
  for (const std::string_view path : kInformational) flat.erase(std::string(path));
  return flat;
}

std::string DottedName(std::string_view path) {
  std::string name(path.substr(1));
  for (char& character : name) {
    if (character == '/') character = '.';
  }
  return name;
}

constexpr std::string_view kHooksPath = "/capture/hooks";

// One line for lists that may be hundreds of names long.
std::string HookDifference(const RunSpec& run, const RunSpec& worker) {
  const std::vector<std::string>& a = run.capture.hooks;
  const std::vector<std::string>& b = worker.capture.hooks;
  const auto [in_run, in_worker] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto name = [](const auto& hooks, const auto& hook) {
    return hook == hooks.end() ? std::string("nothing") : *hook;
  };
  return "capture.hooks: the run has " + std::to_string(a.size()) + " hook points, this worker " +
         std::to_string(b.size()) + "; the first difference: " + name(a, in_run) + " there, " +
         name(b, in_worker) + " here";
}

std::string ValueText(const Json& fields, const std::string& path) {
  const auto found = fields.find(path);
  return found == fields.end() ? "nothing" : found->dump();
}

}  // namespace

std::string RunSpec::Fingerprint() const {
  const std::string identity = IdentityFields(*this).dump();
  return FingerprintOf(std::as_bytes(std::span(identity.data(), identity.size())));
}

std::string RunSpec::ToText() const {
  Json json = ToJson(*this);
  json["run_fingerprint"] = Fingerprint();
  return json.dump(2) + "\n";
}

Result<RunSpec> RunSpec::FromText(std::string_view text, std::string_view name) {
  ASSIGN_OR_RETURN(const Json json, ParseRecord(text, name));
  JsonFields fields(json, std::string(name));
  const int64_t version = fields.Integer("format_version", 1);
  RunSpec spec;
  JsonFields model(fields.Object("model"), std::string(name) + ": model");
  spec.model = {.path = model.String("path"),
                .architecture = model.String("architecture"),
                .layer_count = model.Integer("layer_count", 1),
                .hidden_size = model.Integer("hidden_size", 1),
                .config_fingerprint = model.String("config_fingerprint"),
                .weights_fingerprint = model.String("weights_fingerprint")};
  JsonFields dataset(fields.Object("dataset"), std::string(name) + ": dataset");
  spec.dataset = {.path = dataset.String("path"),
                  .fingerprint = dataset.String("fingerprint"),
                  .sample_count = dataset.Integer("sample_count", 1)};
  JsonFields prompts(fields.Object("prompts"), std::string(name) + ": prompts");
  spec.prompts.fingerprint = prompts.String("fingerprint");
  for (const auto& [key, value] : fields.Object("prompts").items()) {
    if (key != "fingerprint") spec.prompts.settings[key] = prompts.String(key.c_str());
  }
  JsonFields capture(fields.Object("capture"), std::string(name) + ": capture");
  spec.capture = {.hooks = capture.Strings("hooks"),
                  .dtype = capture.String("dtype"),
                  .compute = capture.String("compute"),
                  .engine = capture.String("engine"),
                  .plugin = capture.Has("plugin") ? capture.String("plugin") : "",
                  .batch_tokens = capture.Integer("batch_tokens", 1)};
  spec.shard_bytes = fields.Integer("shard_bytes", 1);
  spec.program_version = fields.String("program_version");
  const std::string fingerprint = fields.String("run_fingerprint");
  for (const JsonFields* part : {&model, &dataset, &prompts, &capture}) fields.Add(part->status());
  RETURN_IF_ERROR(fields.status());
  if (version != kFormatVersion) {
    return FailedPrecondition(std::string(name) + ": format version " + std::to_string(version) +
                              "; this program reads version " + std::to_string(kFormatVersion) +
                              ": use the program that wrote the run");
  }
  if (spec.Fingerprint() != fingerprint) {
    return DataLoss(std::string(name) + ": field 'run_fingerprint': expected " +
                    spec.Fingerprint() + ", found " + fingerprint +
                    "; the file was changed after it was written");
  }
  return spec;
}

std::vector<std::string> DifferingFields(const RunSpec& run, const RunSpec& worker) {
  const Json of_run = IdentityFields(run);
  const Json of_worker = IdentityFields(worker);
  std::vector<std::string> lines;
  const auto compare = [&](const std::string& path) {
    if (path.starts_with(kHooksPath)) return;
    const std::string a = ValueText(of_run, path);
    const std::string b = ValueText(of_worker, path);
    if (a != b) lines.push_back(DottedName(path) + ": the run has " + a + ", this worker " + b);
  };
  for (const auto& [path, value] : of_run.items()) compare(path);
  for (const auto& [path, value] : of_worker.items()) {
    if (!of_run.contains(path)) compare(path);
  }
  if (run.capture.hooks != worker.capture.hooks) lines.push_back(HookDifference(run, worker));
  return lines;
}

bool DifferInEngineOnly(const RunSpec& run, const RunSpec& worker) {
  RunSpec with_runs_engine = worker;
  with_runs_engine.capture.engine = run.capture.engine;
  with_runs_engine.capture.plugin = run.capture.plugin;
  return !DifferingFields(run, worker).empty() && DifferingFields(run, with_runs_engine).empty();
}

}  // namespace thresher
