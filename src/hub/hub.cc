#include "hub/hub.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/mapped_file.h"
#include "hub/data_files.h"
#include "hub/hub_session.h"

namespace thresher {
namespace {

constexpr std::string_view kConfigFile = "config.json";
constexpr std::string_view kWeightsFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
constexpr std::string_view kSmallFiles[] = {
    kConfigFile,           "generation_config.json",  "tokenizer.json", "tokenizer_config.json",
    "chat_template.jinja", "special_tokens_map.json",
};

Status WrongKind(const HubAddress& address, const char* wanted) {
  return InvalidArgument(fmt::format(
      "{} is a {}, and a {} is needed: models are hf://OWNER/NAME[@REVISION], data sets "
      "hf://datasets/OWNER/NAME[@REVISION][/PATH]",
      address.Text(), address.kind == HubKind::kModel ? "model" : "data set", wanted));
}

// The files that the index, which was fetched, spreads the weights over.
Result<std::vector<std::string>> IndexedFiles(const HubSession& session) {
  const std::string path = session.PathOf(std::string(kIndexFile));
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  const Result<nlohmann::json> index = ParseJson(text);
  if (!index.ok()) return index.status().WithContext(path);
  if (!index->is_object() || !HasField(*index, "weight_map") ||
      !(*index)["weight_map"].is_object()) {
    return InvalidArgument(path + ": expected an object with the object 'weight_map'");
  }
  std::set<std::string> names;
  for (const auto& [tensor, name] : (*index)["weight_map"].items()) {
    if (!name.is_string() || !session.Has(name.get<std::string>())) {
      return InvalidArgument(
          fmt::format("{}: tensor {} is in {}, and the repository has no such file", path,
                      Quoted(tensor), DescribeJson(&name)));
    }
    names.insert(name.get<std::string>());
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Status NoWeights(const HubAddress& address, const HubSession& session) {
  std::string others;
  for (const std::string& path : session.paths()) {
    for (const std::string_view ending : {".safetensors", ".bin", ".gguf", ".pth", ".onnx"}) {
      if (path.ends_with(ending)) others += (others.empty() ? "" : ", ") + path;
    }
  }
  constexpr size_t kMostBytesShown = 300;
  if (others.size() > kMostBytesShown) others = others.substr(0, kMostBytesShown) + "...";
  return NotFound(fmt::format(
      "{}: expected {} or {}, found {}; take a repository or a revision with the weights as "
      "safetensors, or convert them",
      address.Text(), kWeightsFile, kIndexFile, others.empty() ? "no weights" : others));
}

}  // namespace

Hub::Hub(HubSettings settings, HubCallbacks callbacks, HubClient client)
    : settings_(std::move(settings)),
      callbacks_(std::move(callbacks)),
      client_(std::move(client)) {}

Result<Hub> Hub::Create(HubSettings settings, HubCallbacks callbacks, Clock& clock) {
  if (settings.cache_folder.empty()) {
    return InvalidArgument("no cache folder for files from a hub: set HF_HUB_CACHE or HOME");
  }
  if (settings.piece_bytes < 1 || settings.parallel_pieces < 1) {
    return InvalidArgument("the pieces of a download must have a byte each and be one at a time");
  }
  ASSIGN_OR_RETURN(HubClient client, HubClient::Create(settings, clock));
  return Hub(std::move(settings), std::move(callbacks), std::move(client));
}

Result<std::string> Hub::ResolveCommit(const HubAddress& address) const {
  return HubSession(settings_, callbacks_, client_, address).ResolveCommit();
}

Result<std::string> Hub::FetchModel(const HubAddress& address) const {
  if (address.kind != HubKind::kModel) return WrongKind(address, "model");
  HubSession session(settings_, callbacks_, client_, address);
  RETURN_IF_ERROR(session.Open());
  if (!session.Has(std::string(kConfigFile))) {
    return NotFound(address.Text() +
                    " has no config.json: it is not a model that transformers "
                    "could load, or not all of it");
  }
  const bool is_whole = session.Has(std::string(kWeightsFile));
  if (!is_whole && !session.Has(std::string(kIndexFile))) return NoWeights(address, session);
  std::vector<std::string> small;
  for (const std::string_view name : kSmallFiles) {
    if (session.Has(std::string(name))) {
      small.emplace_back(name);
    } else {
      session.NoteAbsent(std::string(name));
    }
  }
  if (!is_whole) small.emplace_back(kIndexFile);
  RETURN_IF_ERROR(session.Fetch(small));
  std::vector<std::string> weights = {std::string(kWeightsFile)};
  if (!is_whole) {
    ASSIGN_OR_RETURN(weights, IndexedFiles(session));
  }
  RETURN_IF_ERROR(session.Fetch(weights));
  return session.SnapshotFolder();
}

Result<std::vector<std::string>> Hub::FetchDataset(const HubAddress& address) const {
  if (address.kind != HubKind::kDataset) return WrongKind(address, "data set");
  HubSession session(settings_, callbacks_, client_, address);
  RETURN_IF_ERROR(session.Open());
  ASSIGN_OR_RETURN(DataFileChoice choice, ChooseDataFiles(session.paths(), address));
  for (const std::string& notice : choice.notices) session.Warn(notice);
  RETURN_IF_ERROR(session.Fetch(choice.paths));
  for (std::string& path : choice.paths) path = session.PathOf(path);
  return std::move(choice.paths);
}

}  // namespace thresher
