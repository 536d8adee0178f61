#include "hub/tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/json.h"

namespace thresher {
namespace {

constexpr int kMaxPages = 10'000;
constexpr int64_t kMostBytes = int64_t{1} << 60;
constexpr int64_t kTreeFormatVersion = 1;

bool IsHash(std::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<std::string> HashField(const nlohmann::json& object, std::string_view name, size_t digits) {
  ASSIGN_OR_RETURN(std::string hash, StringField(object, name));
  if (IsHash(hash, digits)) return hash;
  return FieldError(object, name, fmt::format("{} lower-case hexadecimal digits", digits));
}

Status AddEntry(const nlohmann::json& entry, HubTree& tree) {
  if (!entry.is_object())
    return InvalidArgument("expected an object, found " + DescribeJson(&entry));
  ASSIGN_OR_RETURN(const std::string type, StringField(entry, "type"));
  if (type != "file") return OkStatus();
  ASSIGN_OR_RETURN(const std::string path, StringField(entry, "path"));
  if (!IsSafePath(path)) return FieldError(entry, "path", "a path within the repository");
  HubFile file;
  ASSIGN_OR_RETURN(file.bytes, IntegerField(entry, "size", 0, kMostBytes));
  ASSIGN_OR_RETURN(file.git_hash, HashField(entry, "oid", 40));
  ASSIGN_OR_RETURN(file.xet_hash, StringField(entry, "xetHash", ""));
  if (HasField(entry, "lfs")) {
    const nlohmann::json& lfs = entry["lfs"];
    if (!lfs.is_object()) return FieldError(entry, "lfs", "an object");
    ASSIGN_OR_RETURN(file.sha256, HashField(lfs, "oid", 64));
    ASSIGN_OR_RETURN(file.bytes, IntegerField(lfs, "size", 0, kMostBytes));
  }
  tree[path] = file;
  return OkStatus();
}

Result<HubFile> FileFromJson(const nlohmann::json& entry) {
  if (!entry.is_object())
    return InvalidArgument("expected an object, found " + DescribeJson(&entry));
  HubFile file;
  ASSIGN_OR_RETURN(file.bytes, IntegerField(entry, "size", 0, kMostBytes));
  ASSIGN_OR_RETURN(file.git_hash, HashField(entry, "blob_id", 40));
  ASSIGN_OR_RETURN(file.xet_hash, StringField(entry, "xet_hash", ""));
  if (HasField(entry, "lfs_sha256")) {
    ASSIGN_OR_RETURN(file.sha256, HashField(entry, "lfs_sha256", 64));
    ASSIGN_OR_RETURN(file.bytes, IntegerField(entry, "lfs_size", 0, kMostBytes, file.bytes));
  }
  return file;
}

Status NotUnderstood(const Status& status, std::string_view url) {
  return DataLoss(fmt::format("{} is not what a hub answers: {}; check HF_ENDPOINT",
                              UrlForPeople(url), status.message()));
}

}  // namespace

Result<std::string> AskForCommit(const HubClient& client, const HubAddress& address,
                                 int64_t retry_budget_ms) {
  const std::string url = client.ApiUrl(address) + "/revision/" + PercentEncoded(address.revision);
  ASSIGN_OR_RETURN(const HubReply reply,
                   client.Send({.url = url, .retry_budget_ms = retry_budget_ms}));
  if (reply.response.status != 200) return client.Refusal(reply, address, "");
  Result<std::string> commit = ParseCommit(reply.response.body);
  if (!commit.ok()) return NotUnderstood(commit.status(), url);
  return commit;
}

Result<HubTree> AskForTree(const HubClient& client, const HubAddress& address,
                           const std::string& commit, int64_t retry_budget_ms) {
  HubTree tree;
  std::string url = client.ApiUrl(address) + "/tree/" + commit + "?recursive=true&expand=false";
  for (int page = 0; page < kMaxPages; ++page) {
    ASSIGN_OR_RETURN(const HubReply reply,
                     client.Send({.url = url, .retry_budget_ms = retry_budget_ms}));
    if (reply.response.status != 200) return client.Refusal(reply, address, "");
    const Status status = ParseTreePage(reply.response.body, tree);
    if (!status.ok()) return NotUnderstood(status, url);
    const std::string next = NextPage(reply.response.Header("link"));
    if (next.empty()) return tree;
    ASSIGN_OR_RETURN(const UrlParts base, SplitHttpUrl(url));
    ASSIGN_OR_RETURN(url, ResolveHttpUrl(base, next));
  }
  return DataLoss(
      fmt::format("{} lists files on more than {} pages", UrlForPeople(url), kMaxPages));
}

Result<std::string> ParseCommit(std::string_view json) {
  ASSIGN_OR_RETURN(const nlohmann::json answer, ParseJson(json));
  if (!answer.is_object()) {
    return InvalidArgument("expected an object, found " + DescribeJson(&answer));
  }
  return HashField(answer, "sha", 40);
}

Status ParseTreePage(std::string_view json, HubTree& tree) {
  ASSIGN_OR_RETURN(const nlohmann::json page, ParseJson(json));
  if (!page.is_array()) return InvalidArgument("expected a list, found " + DescribeJson(&page));
  for (size_t index = 0; index < page.size(); ++index) {
    RETURN_IF_ERROR(AddEntry(page[index], tree).WithContext(fmt::format("entry {}", index)));
  }
  return OkStatus();
}

std::string NextPage(std::string_view link) {
  while (true) {
    const size_t open = link.find('<');
    const size_t close = link.find('>', open == link.npos ? 0 : open);
    if (open == link.npos || close == link.npos) return "";
    const std::string_view address = link.substr(open + 1, close - open - 1);
    link.remove_prefix(close + 1);
    const std::string_view parameters = link.substr(0, link.find('<'));
    for (const std::string_view next : {"rel=\"next\"", "rel=next"}) {
      if (parameters.find(next) != parameters.npos) return std::string(address);
    }
  }
}

std::string TreeToJson(const HubTree& tree) {
  nlohmann::ordered_json files = nlohmann::ordered_json::object();
  for (const auto& [path, file] : tree) {
    nlohmann::ordered_json entry = {{"size", file.bytes}, {"blob_id", file.git_hash}};
    if (!file.sha256.empty()) {
      entry["lfs_sha256"] = file.sha256;
      entry["lfs_size"] = file.bytes;
    }
    if (!file.xet_hash.empty()) entry["xet_hash"] = file.xet_hash;
    files[path] = std::move(entry);
  }
  const nlohmann::ordered_json whole = {{"format_version", kTreeFormatVersion},
                                        {"files", std::move(files)}};
  return whole.dump();
}

Result<HubTree> TreeFromJson(std::string_view json) {
  ASSIGN_OR_RETURN(const nlohmann::json whole, ParseJson(json));
  if (!whole.is_object()) {
    return InvalidArgument("expected an object, found " + DescribeJson(&whole));
  }
  RETURN_IF_ERROR(
      IntegerField(whole, "format_version", kTreeFormatVersion, kTreeFormatVersion).status());
  if (!HasField(whole, "files") || !whole["files"].is_object()) {
    return FieldError(whole, "files", "an object");
  }
  HubTree tree;
  for (const auto& [path, entry] : whole["files"].items()) {
    if (!IsSafePath(path)) return InvalidArgument(Quoted(path) + " is not a path");
    Result<HubFile> file = FileFromJson(entry);
    if (!file.ok()) return file.status().WithContext(Quoted(path));
    tree[path] = *std::move(file);
  }
  return tree;
}

}  // namespace thresher
