#ifndef THRESHER_HUB_HUB_SESSION_H_
#define THRESHER_HUB_HUB_SESSION_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/address.h"
#include "hub/hub.h"
#include "hub/hub_cache.h"
#include "hub/hub_client.h"
#include "hub/hub_settings.h"
#include "hub/tree.h"

namespace thresher {

// One call of Hub: a repository at a revision, what is known of it, and what is fetched. Used by
// one thread, which starts others of its own in Fetch. All references outlive it.
class HubSession {
 public:
  HubSession(const HubSettings& settings, const HubCallbacks& callbacks, const HubClient& client,
             const HubAddress& address);

  // The commit that the revision means, from the hub or, without it, as it was last.
  Result<std::string> ResolveCommit();

  // Resolves the revision and finds out which files the commit has.
  Status Open();

  // The rest after Open().

  // All files, sorted; when only the cache could be asked, those that are in it.
  const std::vector<std::string>& paths() const { return paths_; }
  bool Has(const std::string& path) const;
  std::string SnapshotFolder() const { return cache_.SnapshotFolder(commit_); }
  std::string PathOf(const std::string& path) const { return cache_.SnapshotPath(commit_, path); }

  // Makes sure that these files, all of them in paths(), are in the snapshot.
  Status Fetch(const std::vector<std::string>& paths);

  // Notes in the cache that the commit does not have this file. Best effort.
  void NoteAbsent(const std::string& path);

  void Warn(const std::string& message);

 private:
  Status OpenFromCache();
  bool IsPresent(const std::string& path) const;
  Status FetchAll(const std::vector<std::string>& missing);
  Status FetchOne(const std::string& path, int64_t parallel_pieces);
  void Advance(const std::string& path, int64_t byte_count);
  // What cannot be written to the cache costs requests later, no more.
  void BestEffort(const Status& status);

  const HubSettings& settings_;
  const HubCallbacks& callbacks_;
  const HubClient& client_;
  const HubAddress& address_;
  const HubCache cache_;

  std::string no_hub_;  // why the hub is not asked; "" if it is
  Code no_hub_code_ = Code::kNotFound;
  std::string commit_;
  std::optional<HubTree> tree_;  // nothing if only the cache could be asked
  std::vector<std::string> paths_;

  std::mutex callback_mutex_;
  HubProgress progress_;
};

}  // namespace thresher

#endif  // THRESHER_HUB_HUB_SESSION_H_
