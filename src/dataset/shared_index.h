#ifndef THRESHER_DATASET_SHARED_INDEX_H_
#define THRESHER_DATASET_SHARED_INDEX_H_

#include <string>
#include <string_view>

#include "base/result.h"
#include "dataset/opened_files.h"
#include "dataset/record_index.h"

namespace thresher {

// The folder of indices in a run's store.
inline constexpr std::string_view kIndexFolder = "dataset/";

// Identity of what an index follows from, as far as is known without reading it: names and sizes of
// the files, in stores also when they were written, and the options that decide which records there
// are. 32 hexadecimal digits.
std::string IndexIdentity(const OpenedFiles& files);

// The index of the data set, made once for all workers of a run (options.index_store):
// 1. If "dataset/IDENTITY.index" is there, load it.
// 2. Else, for a data set of wait_for_index_bytes and more, create "dataset/IDENTITY.building". If
//    that is there already, another worker is at it: look every two seconds whether the index has
//    come, for twice as long as indexing should take.
// 3. Else make the index, create the object, and delete the claim of step 2.
// The claim only saves work: two workers that both make the index make the same one. A broken index
// object is reported (options.events) and not used. Errors of the store are reported and cost
// nothing but the sharing; errors of the data set are returned.
Result<RecordIndex> LoadOrMakeIndex(const OpenedFiles& files);

}  // namespace thresher

#endif  // THRESHER_DATASET_SHARED_INDEX_H_
