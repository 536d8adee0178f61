#ifndef THRESHER_DATASET_UNPACK_H_
#define THRESHER_DATASET_UNPACK_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "dataset/byte_source.h"
#include "dataset/file_format.h"

namespace thresher {

using Events =
    std::function<void(const std::string&)>;  // lines for people; may be called by threads

struct UnpackOptions {
  std::string cache_folder;  // made if it is not there
  int64_t max_bytes = 0;     // the most that one file may unpack to
  Events events;
};

// Where unpacked files are kept unless the user says so: $THRESHER_CACHE, else
// $XDG_CACHE_HOME/thresher, else ~/.cache/thresher, else /tmp/thresher-cache.
std::string DefaultCacheFolder();

// Unpacks the whole of `source` into a file of the cache and returns its path; does nothing if it
// is there. `identity`: of the packed file's place and content; the file's name follows from it.
// Safe among threads and processes of one machine: one unpacks, the others wait. The name appears
// when the file is whole and on the disk.
//
// Errors name the source: kDataLoss, with the place in the packed file, if it is damaged or cut
// off; kInvalidArgument if it unpacks to more than max_bytes, or, beyond 1 GiB, to more than 1,000
// times its size; kResourceExhausted, with the folder, if the disk is full.
Result<std::string> Unpack(const ByteSource& source, Compression compression,
                           const std::string& identity, const UnpackOptions& options);

}  // namespace thresher

#endif  // THRESHER_DATASET_UNPACK_H_
