#ifndef THRESHER_DOCTOR_TEMPORARY_FILES_H_
#define THRESHER_DOCTOR_TEMPORARY_FILES_H_

#include <string_view>
#include <vector>

#include "base/result.h"
#include "doctor/cleaning.h"

namespace thresher {

// The temporary files that killed writers left in a local store, last written before
// `before_ms` (file system time). None for stores of other kinds.
std::vector<Leftover> FindTemporaryFiles(std::string_view url, int64_t before_ms);

// Removes one that was found. A writer that lives on after all finds it gone, and tries again.
Status RemoveTemporaryFile(std::string_view url, const Leftover& file);

}  // namespace thresher

#endif  // THRESHER_DOCTOR_TEMPORARY_FILES_H_
