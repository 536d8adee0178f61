#ifndef THRESHER_HUB_ADDRESS_H_
#define THRESHER_HUB_ADDRESS_H_

#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

enum class HubKind { kModel, kDataset };

// Where a model or a data set lies on a hub. The grammar, that of huggingface_hub's file system as
// far as it fits:
//
//   address    = "hf://" ( model | data set )
//   model      = [ "models/" ] repository [ "@" revision ]
//   data set   = "datasets/" repository [ "@" revision ] [ "/" path ]
//   repository = owner "/" name | name
//   revision   = "refs/convert/" word | "refs/pr/" number | text without "/", where "%2F" means "/"
//   path       = file, folder or glob: "*" and "?" within one folder, "**" across folders, "[a-z]"
//
// A data set of one part (no owner) and with a path needs a revision, because "squad/data" reads as
// owner and name: "hf://datasets/squad@main/data".
struct HubAddress {
  HubKind kind = HubKind::kModel;
  std::string repository = {};    // "owner/name" or "name"
  std::string revision = "main";  // a branch, a tag, "refs/...", or a commit
  std::string path = {};  // of a data set: "data/train-*.parquet", or "" for a choice of ours

  // The same address again, with the revision: what messages show.
  std::string Text() const;
};

// True for texts that begin with "hf://".
bool IsHubAddress(std::string_view text);

// kInvalidArgument says what is wrong and shows a right address.
Result<HubAddress> ParseHubAddress(std::string_view text);

// True for 40 lower-case hexadecimal digits: a revision that never changes.
bool IsCommitHash(std::string_view revision);

// True for a relative path that stays in its folder: no empty part, ".", "..", backslash or control
// character. Paths and revisions become file names, and hubs are not trusted with those.
bool IsSafePath(std::string_view path);

}  // namespace thresher

#endif  // THRESHER_HUB_ADDRESS_H_
