#ifndef THRESHER_DATASET_INDEX_MAKER_H_
#define THRESHER_DATASET_INDEX_MAKER_H_

#include "base/result.h"
#include "dataset/opened_files.h"
#include "dataset/record_index.h"

namespace thresher {

// Reads every file once, with several threads and in bounded memory, and makes the index of their
// records. The same whatever the number of threads. Errors name the file, and the line or row.
Result<RecordIndex> MakeIndex(const OpenedFiles& files);

}  // namespace thresher

#endif  // THRESHER_DATASET_INDEX_MAKER_H_
