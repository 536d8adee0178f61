#ifndef THRESHER_STORE_LOCAL_STORE_H_
#define THRESHER_STORE_LOCAL_STORE_H_

#include <cstddef>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "store/posix_file.h"
#include "store/store.h"

namespace thresher {

// Objects as files below a folder of a local or shared POSIX file system with hard links. A process
// or machine that dies at any moment leaves each object whole or not there at all.
//
// How an object is written:
// 1. Make the folders of its key; fsync the parent of each, once per folder and process.
// 2. Create ".tmp-<random>" beside the object's name, write all bytes, fsync.
// 3. Put: rename(2) to the name. CreateIfAbsent: link(2) to the name, which the file system refuses
//    if the name exists.
// 4. fsync the folder; then remove the temporary name, if step 3 has not.
// A writer that dies leaves at most its temporary file, which is never listed or read.
class LocalStore : public Store {
 public:
  // `root` is an absolute path without a slash at the end (but "/"). Creates nothing.
  explicit LocalStore(std::string root);

  std::string url() const override { return "file://" + root_; }
  Status Put(std::string_view key, std::span<const std::byte> bytes) override;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override;
  Result<std::string> GetText(std::string_view key) override;
  Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) override;
  Result<ObjectInfo> Stat(std::string_view key) override;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override;
  // The folders of the key stay. After a power failure the object may be back.
  Status Delete(std::string_view key) override;

 private:
  // An object's file and the folder that it lies in.
  struct Place {
    std::string path;
    std::string folder;
  };
  struct OpenObject {
    FileDescriptor file;
    std::string path;
    int64_t bytes = 0;
  };

  Result<Place> PlaceOf(std::string_view key) const;
  Status NoSuchObject(std::string_view key) const;
  Result<OpenObject> Open(std::string_view key) const;

  // Makes the folder and those above it, durably.
  Status MakeFolder(const std::string& folder);
  bool IsKnownFolder(const std::string& folder);

  // Step 1 and the beginning of step 2: the open temporary file. kNotFound if a known folder is
  // gone.
  Result<FileDescriptor> OpenTemporary(const std::string& folder, const std::string& path);

  // Steps 1 and 2 for any object in `folder`: the temporary file's path.
  Result<std::string> WriteTemporary(const std::string& folder, std::span<const std::byte> bytes);

  const std::string root_;
  std::mutex mutex_;
  // Folders that this process knows to be durable. Guarded by mutex_.
  std::unordered_set<std::string> known_folders_;
};

}  // namespace thresher

#endif  // THRESHER_STORE_LOCAL_STORE_H_
