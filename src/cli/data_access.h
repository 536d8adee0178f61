#ifndef THRESHER_CLI_DATA_ACCESS_H_
#define THRESHER_CLI_DATA_ACCESS_H_

#include <string>

#include "base/result.h"
#include "cli/extract_options.h"
#include "dataset/dataset_options.h"

namespace thresher {

// The folder of the model that the settings name; one of a hub is fetched first.
Result<std::string> LocalModel(const ExtractOptions& options);

// How the data set that the settings name is reached. What its preparation has to say (files
// fetched, unpacked, indexed) goes to the standard error stream, unless --quiet. `index_store`: the
// run's store, if the index is to be shared there; borrowed while the data set is opened.
DatasetOptions DatasetOptionsOf(const ExtractOptions& options, Store* index_store = nullptr);

}  // namespace thresher

#endif  // THRESHER_CLI_DATA_ACCESS_H_
