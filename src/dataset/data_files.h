#ifndef THRESHER_DATASET_DATA_FILES_H_
#define THRESHER_DATASET_DATA_FILES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/store.h"

namespace thresher {

// A file of a data set: local, or an object in a store.
struct DataFile {
  std::string name;     // below the data set's folder, with '/' between parts
  std::string address;  // path or URL, for messages
  std::string path;     // the local path, or the key in `store`
  int64_t bytes = 0;
  int64_t modified_ms = 0;       // in milliseconds of the store's or file system's clock
  std::shared_ptr<Store> store;  // nothing: a local file
};

using StoreOpener =
    std::function<Result<std::unique_ptr<Store>>(const std::string& url, const StoreOptions&)>;

// The files that an address names: one file, a folder (every file below it whose extension is
// known, but for those that IsPassedOver), or a pattern with * ? [..] ** (see MatchesGlob; also
// without those that IsPassedOver). Local ("data", "file:///data") or in a store (gs://, s3://,
// az://). Ascending by name, byte by byte. Symbolic links are followed. kNotFound if there is no
// such file, kInvalidArgument if a folder holds none or the address cannot be understood.
Result<std::vector<DataFile>> FindDataFiles(const std::string& address, const StoreOpener& open,
                                            const StoreOptions& options);

// The same for local files in the order given, all of which are meant as data. Their names are what
// remains without the folders that they share.
Result<std::vector<DataFile>> LocalDataFiles(const std::vector<std::string>& paths);

}  // namespace thresher

#endif  // THRESHER_DATASET_DATA_FILES_H_
