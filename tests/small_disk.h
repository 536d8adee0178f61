#ifndef THRESHER_TESTS_SMALL_DISK_H_
#define THRESHER_TESTS_SMALL_DISK_H_

#include <cstdint>
#include <string>

#include "base/temporary_folder_for_test.h"

namespace thresher {

// A file system of its own, small enough to be filled, in memory. Unmounted with this object.
class SmallDisk {
 public:
  explicit SmallDisk(int64_t bytes);
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk();

  // Why it could not be mounted; empty if it was.
  const std::string& why_not() const { return why_not_; }
  const std::string& path() const { return folder_.path(); }

  // Takes all the room that is left, and gives it back.
  void Fill();
  void Free();

 private:
  std::string Ballast() const { return folder_.PathOf("ballast"); }

  TemporaryFolder folder_;
  std::string why_not_;
};

}  // namespace thresher

#endif  // THRESHER_TESTS_SMALL_DISK_H_
