#include "launch/kubernetes.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "launch/quote.h"
#include "launch/yaml.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kScratch = "/scratch";
constexpr const char* kJobIndexLabel = "jobset.sigs.k8s.io/job-index";

// How a provider marks its pre-emptible nodes, and whether it also keeps others away from them.
struct SpotNodes {
  const char* provider;
  const char* label;
  const char* value;
  bool is_tainted;
};

// Sources: the providers' pages on spot VMs in GKE, on capacity types of EKS, on spot node pools of
// AKS.
constexpr std::array<SpotNodes, 3> kSpotNodes = {{
    {"gke", "cloud.google.com/gke-spot", "true", true},
    {"eks", "eks.amazonaws.com/capacityType", "SPOT", false},
    {"aks", "kubernetes.azure.com/scalesetpriority", "spot", true},
}};

struct Volume {
  std::string claim;
  std::string path;
};

Result<Volume> ParseVolume(const std::string& text) {
  const size_t equals = text.find('=');
  Volume volume{.claim = text.substr(0, equals),
                .path = equals == std::string::npos ? "" : text.substr(equals + 1)};
  while (volume.path.size() > 1 && volume.path.ends_with('/')) volume.path.pop_back();
  const bool is_right = !volume.claim.empty() && volume.path.size() > 1 &&
                        volume.path.starts_with('/') && volume.path.find(':') == std::string::npos;
  if (is_right && CheckPlainValue("--volume", text).ok()) return volume;
  return InvalidArgument("--volume: expected CLAIM=/path, found '" + text + "'");
}

// A pod that ends with any of these is not asked why again.
Json PodFailurePolicy(bool is_for_one_slice) {
  const auto on_status = [](const char* action, int status) {
    return Json{
        {"action", action},
        {"onExitCodes",
         {{"containerName", "worker"}, {"operator", "In"}, {"values", Json::array({status})}}}};
  };
  Json rules = Json::array();
  rules.push_back(on_status("FailJob", 2));
  // The run is complete: nothing is left to do for the other workers of a slice either.
  rules.push_back(on_status(is_for_one_slice ? "FailJob" : "FailIndex", 3));
  rules.push_back(on_status("Ignore", 75));
  rules.push_back(
      {{"action", "Ignore"},
       {"onPodConditions", Json::array({{{"type", "DisruptionTarget"}, {"status", "True"}}})}});
  return {{"rules", rules}};
}

Json Resources(const KubernetesOptions& options) {
  Json wanted = Json::object();
  if (!options.cpus.empty()) wanted["cpu"] = options.cpus;
  if (!options.memory.empty()) wanted["memory"] = options.memory;
  if (options.gpus > 0) wanted["nvidia.com/gpu"] = std::to_string(options.gpus);
  if (options.tpu_chips > 0) wanted["google.com/tpu"] = std::to_string(options.tpu_chips);
  if (wanted.empty()) return Json::object();
  return {{"requests", wanted}, {"limits", wanted}};
}

Json Arguments(const LaunchJob& job) {
  Json arguments = Json::array({"extract"});
  for (const std::string& flag : job.flags) arguments.push_back(KubernetesLiteral(flag));
  return arguments;
}

// Of an Indexed Job a worker's number is in JOB_COMPLETION_INDEX. In a JobSet each slice counts its
// machines from 0, and the worker's number follows from both.
Json Container(const LaunchJob& job, const KubernetesOptions& options, int64_t machines_in_slice) {
  Json container = {{"name", "worker"}, {"image", options.image}};
  Json environment = Json::array(
      {{{"name", "HOME"}, {"value", kScratch}}, {{"name", "TMPDIR"}, {"value", kScratch}}});
  if (machines_in_slice > 0) {
    container["command"] = Json::array(
        {"/bin/sh", "-c",
         KubernetesLiteral(fmt::format(
             "exec thresher \"$@\" --worker-id=\"$((SLICE * {} + JOB_COMPLETION_INDEX))\"",
             machines_in_slice)),
         "sh"});
    environment.push_back(
        {{"name", "SLICE"},
         {"valueFrom",
          {{"fieldRef", {{"fieldPath", fmt::format("metadata.labels['{}']", kJobIndexLabel)}}}}}});
  }
  container["args"] = Arguments(job);
  container["env"] = environment;
  if (!options.secrets.empty()) {
    container["envFrom"] = Json::array();
    for (const std::string& secret : options.secrets) {
      container["envFrom"].push_back({{"secretRef", {{"name", secret}}}});
    }
  }
  container["workingDir"] = kScratch;
  if (Json resources = Resources(options); !resources.empty()) {
    container["resources"] = std::move(resources);
  }
  // libtpu reaches the chips through device files that only root opens.
  if (machines_in_slice == 0) {
    container["securityContext"] = {{"allowPrivilegeEscalation", false},
                                    {"readOnlyRootFilesystem", true},
                                    {"capabilities", {{"drop", Json::array({"ALL"})}}}};
  }
  return container;
}

Result<Json> PodSpec(const LaunchJob& job, const KubernetesOptions& options,
                     int64_t machines_in_slice) {
  Json container = Container(job, options, machines_in_slice);
  Json mounts = Json::array({{{"name", "scratch"}, {"mountPath", kScratch}}});
  Json volumes = Json::array({{{"name", "scratch"}, {"emptyDir", Json::object()}}});
  for (size_t i = 0; i < options.volumes.size(); ++i) {
    ASSIGN_OR_RETURN(const Volume volume, ParseVolume(options.volumes[i]));
    const std::string name = fmt::format("volume-{}", i);
    mounts.push_back({{"name", name}, {"mountPath", volume.path}});
    volumes.push_back({{"name", name}, {"persistentVolumeClaim", {{"claimName", volume.claim}}}});
  }
  container["volumeMounts"] = mounts;
  Json spec = {{"restartPolicy", "Never"}, {"terminationGracePeriodSeconds", SecondsToStop(job)}};
  if (!options.service_account.empty()) spec["serviceAccountName"] = options.service_account;
  // A worker asks Kubernetes for nothing. Workload identity does not need this token.
  spec["automountServiceAccountToken"] = false;
  Json selector = Json::object();
  Json tolerations = Json::array();
  for (const SpotNodes& nodes : kSpotNodes) {
    if (options.spot != nodes.provider) continue;
    selector[nodes.label] = nodes.value;
    if (!nodes.is_tainted) continue;
    tolerations.push_back({{"key", nodes.label},
                           {"operator", "Equal"},
                           {"value", nodes.value},
                           {"effect", "NoSchedule"}});
  }
  if (machines_in_slice > 0) {
    selector["cloud.google.com/gke-tpu-accelerator"] = options.tpu_accelerator;
    selector["cloud.google.com/gke-tpu-topology"] = options.tpu_topology;
    tolerations.push_back(
        {{"key", "google.com/tpu"}, {"operator", "Exists"}, {"effect", "NoSchedule"}});
  }
  if (options.gpus > 0) {
    tolerations.push_back(
        {{"key", "nvidia.com/gpu"}, {"operator", "Exists"}, {"effect", "NoSchedule"}});
  }
  if (!selector.empty()) spec["nodeSelector"] = selector;
  if (!tolerations.empty()) spec["tolerations"] = tolerations;
  spec["securityContext"] = {{"seccompProfile", {{"type", "RuntimeDefault"}}}};
  if (machines_in_slice > 0) {
    spec["securityContext"]["runAsUser"] = 0;
  } else {
    constexpr int kUser = 65532;  // that of deploy/Containerfile
    spec["securityContext"]["runAsNonRoot"] = true;
    spec["securityContext"]["runAsUser"] = kUser;
    spec["securityContext"]["fsGroup"] = kUser;
  }
  spec["containers"] = Json::array({container});
  spec["volumes"] = volumes;
  return spec;
}

Json Metadata(const LaunchJob& job, const KubernetesOptions& options) {
  Json metadata = {{"name", job.name}};
  if (!options.name_space.empty()) metadata["namespace"] = options.name_space;
  metadata["labels"] = {{"app.kubernetes.io/name", "thresher"},
                        {"app.kubernetes.io/instance", job.name}};
  return metadata;
}

Json PodTemplate(const LaunchJob& job, Json spec) {
  return {{"metadata",
           {{"labels",
             {{"app.kubernetes.io/name", "thresher"}, {"app.kubernetes.io/instance", job.name}}}}},
          {"spec", std::move(spec)}};
}

Result<Json> JobManifest(const LaunchJob& job, const KubernetesOptions& options) {
  ASSIGN_OR_RETURN(Json pod, PodSpec(job, options, 0));
  return Json{{"apiVersion", "batch/v1"},
              {"kind", "Job"},
              {"metadata", Metadata(job, options)},
              {"spec",
               {{"completionMode", "Indexed"},
                {"completions", job.workers},
                {"parallelism", job.workers},
                {"backoffLimitPerIndex", options.max_restarts},
                {"podReplacementPolicy", "Failed"},
                {"podFailurePolicy", PodFailurePolicy(false)},
                {"template", PodTemplate(job, std::move(pod))}}}};
}

// A JobSet starts a whole slice again when one of its Jobs failed for good.
Result<Json> JobSetManifest(const LaunchJob& job, const KubernetesOptions& options,
                            int64_t machines_in_slice) {
  ASSIGN_OR_RETURN(Json pod, PodSpec(job, options, machines_in_slice));
  const Json slice = {{"completionMode", "Indexed"},
                      {"completions", machines_in_slice},
                      {"parallelism", machines_in_slice},
                      {"backoffLimit", options.max_restarts},
                      {"podReplacementPolicy", "Failed"},
                      {"podFailurePolicy", PodFailurePolicy(true)},
                      {"template", PodTemplate(job, std::move(pod))}};
  Json metadata = Metadata(job, options);
  metadata["annotations"] = {
      {"alpha.jobset.sigs.k8s.io/exclusive-topology", "cloud.google.com/gke-nodepool"}};
  return Json{
      {"apiVersion", "jobset.x-k8s.io/v1alpha2"},
      {"kind", "JobSet"},
      {"metadata", metadata},
      {"spec",
       {{"failurePolicy",
         {{"maxRestarts", options.max_restarts},
          {"rules", Json::array({{{"name", "wrongUsageOrDone"},
                                  {"action", "FailJobSet"},
                                  {"onJobFailureReasons", Json::array({"PodFailurePolicy"})}}})}}},
        {"replicatedJobs", Json::array({{{"name", "slice"},
                                         {"replicas", job.workers / machines_in_slice},
                                         {"template", {{"spec", slice}}}}})}}}};
}

// How many machines a slice has: its chips by those of a machine. 0 without TPU options.
Result<int64_t> MachinesInSlice(const LaunchJob& job, const KubernetesOptions& options) {
  const bool is_wanted =
      !options.tpu_accelerator.empty() || !options.tpu_topology.empty() || options.tpu_chips > 0;
  if (!is_wanted) return int64_t{0};
  if (options.tpu_accelerator.empty() || options.tpu_topology.empty() || options.tpu_chips == 0) {
    return InvalidArgument(
        "--tpu-accelerator, --tpu-topology and --tpu-chips belong together, such as "
        "tpu-v5-lite-podslice, 2x4 and 4");
  }
  RETURN_IF_ERROR(CheckPlainValue("--tpu-accelerator", options.tpu_accelerator));
  int64_t chips = 1;
  int64_t number = 0;
  for (const char c : options.tpu_topology + "x") {
    constexpr int64_t kMostChips = 100'000;
    if (c >= '0' && c <= '9' && number < kMostChips) {
      number = 10 * number + (c - '0');
    } else if (c == 'x' && number > 0 && chips < kMostChips) {
      chips *= number;
      number = 0;
    } else {
      return InvalidArgument(
          "--tpu-topology: expected numbers of chips such as 2x4 or 2x2x1, found '" +
          options.tpu_topology + "'");
    }
  }
  if (chips % options.tpu_chips != 0) {
    return InvalidArgument(
        fmt::format("--tpu-chips: a slice {} of {} chips is not made of machines "
                    "with {} chips",
                    options.tpu_topology, chips, options.tpu_chips));
  }
  const int64_t machines = chips / options.tpu_chips;
  if (job.workers % machines != 0) {
    return InvalidArgument(fmt::format(
        "--workers: a slice {} has {} machines, each is one worker; give a multiple of {}, not {}",
        options.tpu_topology, machines, machines, job.workers));
  }
  return machines;
}

Status CheckOptions(const KubernetesOptions& options) {
  if (options.image.empty()) {
    return InvalidArgument(
        "--image is missing: give a container image with thresher in it "
        "(deploy/Containerfile)");
  }
  RETURN_IF_ERROR(CheckPlainValue("--image", options.image));
  const std::array<std::pair<const char*, const std::string*>, 4> optional = {
      {{"--namespace", &options.name_space},
       {"--service-account", &options.service_account},
       {"--cpus", &options.cpus},
       {"--memory", &options.memory}}};
  for (const auto& [flag, value] : optional) {
    if (!value->empty()) RETURN_IF_ERROR(CheckPlainValue(flag, *value));
  }
  for (const std::string& secret : options.secrets) {
    RETURN_IF_ERROR(CheckPlainValue("--secret", secret));
    if (secret.find('=') != std::string::npos) {
      return InvalidArgument("--secret: expected the name of a Secret of the cluster, not a value");
    }
  }
  if (options.spot.empty()) return OkStatus();
  for (const SpotNodes& nodes : kSpotNodes) {
    if (options.spot == nodes.provider) return OkStatus();
  }
  return InvalidArgument("--spot: expected gke, eks or aks, found '" + options.spot + "'");
}

}  // namespace

Result<std::vector<std::string>> MountPaths(const std::vector<std::string>& volumes) {
  std::vector<std::string> paths;
  for (const std::string& text : volumes) {
    ASSIGN_OR_RETURN(const Volume volume, ParseVolume(text));
    paths.push_back(volume.path);
  }
  return paths;
}

Result<Submission> MakeKubernetesSubmission(const LaunchJob& job,
                                            const KubernetesOptions& options) {
  RETURN_IF_ERROR(CheckJobName(job.name));
  RETURN_IF_ERROR(CheckFlags(job.flags));
  RETURN_IF_ERROR(CheckOptions(options));
  ASSIGN_OR_RETURN(const int64_t machines, MachinesInSlice(job, options));
  ASSIGN_OR_RETURN(const Json manifest, machines > 0 ? JobSetManifest(job, options, machines)
                                                     : JobManifest(job, options));
  return Submission{
      .text = "# Made by `thresher launch kubernetes`; submit it with kubectl apply -f -\n" +
              WriteYaml(manifest),
      .client = {"kubectl", "apply", "-f", "-"}};
}

}  // namespace thresher
