#ifndef THRESHER_STORE_LOCAL_LIST_H_
#define THRESHER_STORE_LOCAL_LIST_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "store/store.h"

struct stat;

namespace thresher {

// The last change of a file's content, in milliseconds of the file system's clock.
int64_t ModifiedMs(const struct stat& info);

// Store::List over the regular files in the tree below the folder `root`. Only folders that can
// hold matching keys are read. Symbolic links are not followed; names that begin with
// kReservedKeyPrefix are left out; what vanishes while it is listed is left out.
Result<ListPage> ListFiles(const std::string& root, std::string_view prefix,
                           std::string_view start_after, int64_t limit);

}  // namespace thresher

#endif  // THRESHER_STORE_LOCAL_LIST_H_
