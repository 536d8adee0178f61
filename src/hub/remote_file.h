#ifndef THRESHER_HUB_REMOTE_FILE_H_
#define THRESHER_HUB_REMOTE_FILE_H_

#include <cstdint>
#include <mutex>
#include <string>

#include "base/result.h"
#include "hub/address.h"
#include "hub/hub_client.h"
#include "hub/tree.h"

namespace thresher {

// The bytes of one file of a commit. The hub is asked where they are once; the server that it names
// is asked for piece after piece until it refuses (such addresses expire), then the hub again.
// Any thread may call it.
class RemoteFile {
 public:
  // `client` and `address` outlive this object.
  RemoteFile(const HubClient& client, const HubAddress& address, const std::string& commit,
             const std::string& path, int64_t file_bytes);

  // Exactly `byte_count` bytes, or why not.
  Result<std::string> Fetch(int64_t first_byte, int64_t byte_count);

 private:
  Result<std::string> BytesOf(HubReply reply, int64_t first_byte, int64_t byte_count) const;

  const HubClient& client_;
  const HubAddress& address_;
  const std::string path_;
  const std::string hub_url_;
  const int64_t file_bytes_;

  std::mutex mutex_;
  std::string direct_url_;  // where the hub sent us last; "" before, and after a refusal
};

}  // namespace thresher

#endif  // THRESHER_HUB_REMOTE_FILE_H_
