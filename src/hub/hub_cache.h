#ifndef THRESHER_HUB_HUB_CACHE_H_
#define THRESHER_HUB_HUB_CACHE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/address.h"
#include "hub/tree.h"

namespace thresher {

// One repository in the local cache, laid out as huggingface_hub has it:
//
//   CACHE/.locks/models--owner--name/HASH.lock     held while that file is fetched
//   CACHE/models--owner--name/blobs/HASH           a whole, checked file
//                            /blobs/HASH.incomplete    the beginning of one
//                            /refs/REVISION        the commit that a branch or tag meant last
//                            /snapshots/COMMIT/PATH -> ../../blobs/HASH
//                            /trees/COMMIT.json    all files of the commit
//                            /.no_exist/COMMIT/PATH    known not to be in the commit
//
// HASH is HubFile::hash(). Every name appears whole or not at all. Functions may be called from any
// thread; paths must be IsSafePath.
class HubCache {
 public:
  HubCache(const std::string& cache_folder, const HubAddress& address);

  std::string BlobPath(const std::string& hash) const;
  std::string IncompletePath(const std::string& hash) const;
  std::string LockPath(const std::string& hash) const;
  std::string SnapshotFolder(const std::string& commit) const;
  std::string SnapshotPath(const std::string& commit, const std::string& path) const;

  // Makes the folders for blobs and locks.
  Status MakeFolders() const;

  // Nothing where there is no such ref, or one that holds no commit.
  std::optional<std::string> ReadRef(const std::string& revision) const;
  // Writes only what is new, so that a cache without write permission serves what it has.
  Status WriteRef(const std::string& revision, const std::string& commit) const;

  // Nothing where there is none, or one that cannot be understood: it is asked for again then.
  std::optional<HubTree> ReadTree(const std::string& commit) const;
  Status WriteTree(const std::string& commit, const HubTree& tree) const;

  // Makes the snapshot's link to the blob, in place of any other.
  Status Link(const std::string& commit, const std::string& path, const std::string& hash) const;

  Status MarkAbsent(const std::string& commit, const std::string& path) const;

  // The paths that a snapshot has, sorted; links whose blob is gone are left out.
  std::vector<std::string> SnapshotFiles(const std::string& commit) const;

 private:
  // A new name in the repository's own folder, where nobody takes it for a part of a snapshot.
  std::string TemporaryName() const;
  Status WriteWhole(const std::string& path, const std::string& bytes) const;

  std::string cache_folder_;
  std::string name_;    // "models--owner--name"
  std::string folder_;  // CACHE/name_
};

// The size of a file, following links; nothing if there is none.
std::optional<int64_t> FileBytes(const std::string& path);

}  // namespace thresher

#endif  // THRESHER_HUB_HUB_CACHE_H_
