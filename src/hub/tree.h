#ifndef THRESHER_HUB_TREE_H_
#define THRESHER_HUB_TREE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "hub/address.h"
#include "hub/hub_client.h"

namespace thresher {

// What the hub says about one file of a commit.
struct HubFile {
  int64_t bytes = 0;
  std::string git_hash = {};  // SHA-1 of git's blob: 40 digits
  std::string sha256 = {};    // of the content, 64 digits; "" for files that lie in git itself
  std::string xet_hash = {};  // not used; kept for huggingface_hub

  // The hash that names the file in the cache and is checked after a download.
  const std::string& hash() const { return sha256.empty() ? git_hash : sha256; }

  friend bool operator==(const HubFile&, const HubFile&) = default;
};

// All files of one commit by path, which IsSafePath. Never changes.
using HubTree = std::map<std::string, HubFile>;

// Asks for the commit that the address' revision means now. kNotFound, kPermissionDenied and
// kUnavailable as HubClient says them; kDataLoss for an answer that makes no sense. A budget of 0
// is that of the settings.
Result<std::string> AskForCommit(const HubClient& client, const HubAddress& address,
                                 int64_t retry_budget_ms);

// Asks for the files of a commit, page after page.
Result<HubTree> AskForTree(const HubClient& client, const HubAddress& address,
                           const std::string& commit, int64_t retry_budget_ms);

// The parts of the two that read foreign bytes; kInvalidArgument says what was expected.
Result<std::string> ParseCommit(std::string_view json);
Status ParseTreePage(std::string_view json, HubTree& tree);
// The address of <ADDRESS>; rel="next" in a "Link" header; "" if there is none.
std::string NextPage(std::string_view link);

// The tree as huggingface_hub keeps it in trees/COMMIT.json.
std::string TreeToJson(const HubTree& tree);
Result<HubTree> TreeFromJson(std::string_view json);

}  // namespace thresher

#endif  // THRESHER_HUB_TREE_H_
