#ifndef THRESHER_HUB_DATA_FILES_H_
#define THRESHER_HUB_DATA_FILES_H_

#include <string>
#include <vector>

#include "base/result.h"
#include "hub/address.h"

namespace thresher {

struct DataFileChoice {
  std::vector<std::string> paths;    // sorted by their bytes; at least one
  std::vector<std::string> notices;  // what was left out that somebody may miss
};

// Which of a data set's files (`paths`, sorted) the address means.
//
// With a path: that file, whatever its name; or, for a glob, all data files that fit; or, for a
// folder, the choice below among the files in it. Without a path: the choice below among all.
//
// The choice: files whose names say nothing of data (hidden ones, dataset_infos.json, README.txt
// and the like) are left out. Of the others all *.parquet if there are any, else all *.jsonl and
// *.ndjson, else all *.json, else all *.txt (the last three also with .gz or .zst). Of those, where
// some belong to the split "train" by a word in their names, only these. A word stands between
// '-', '_', '.', ' ', '/' and digits; the last one in a path counts: train, training; validation,
// valid, val, dev; test, testing, eval, evaluation. The configurations and splits that README.md
// may declare are not read: name a folder, file or glob to get another choice.
//
// kNotFound lists what there is.
Result<DataFileChoice> ChooseDataFiles(const std::vector<std::string>& paths,
                                       const HubAddress& address);

}  // namespace thresher

#endif  // THRESHER_HUB_DATA_FILES_H_
