#ifndef THRESHER_HUB_BLOB_DOWNLOAD_H_
#define THRESHER_HUB_BLOB_DOWNLOAD_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "hub/tree.h"

namespace thresher {

// One file on its way into the cache.
struct BlobDownload {
  std::string name = {};             // for messages: "model.safetensors of hf://owner/name@main"
  HubFile file = {};                 // how many bytes, and their hash
  std::string incomplete_path = {};  // always the beginning of the file, whenever we are killed
  std::string path = {};             // appears when the file is whole and checked
  int64_t piece_bytes = 0;
  int64_t parallel_pieces = 1;
};

struct BlobDownloadCalls {
  // Exactly `byte_count` bytes from `first_byte` on. Called from several threads.
  std::function<Result<std::string>(int64_t first_byte, int64_t byte_count)> fetch;
  // So many bytes more are here (fewer, if negative: they were wrong). One call at a time.
  std::function<void(int64_t byte_count)> on_bytes;
  std::function<void(const std::string& message)> on_warning;
};

// Goes on where the incomplete file ends, pieces in parallel but written in order, and checks the
// hash of the whole. A wrong hash deletes everything and starts once again from nothing; kDataLoss
// if it is wrong again. The caller holds the file's lock; should a file system's locks not work,
// two processes write the same bytes at the same places and both succeed.
Status DownloadBlob(const BlobDownload& download, const BlobDownloadCalls& calls);

}  // namespace thresher

#endif  // THRESHER_HUB_BLOB_DOWNLOAD_H_
