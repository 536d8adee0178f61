#include "cli/data_access.h"

#include "cli/log_output.h"
#include "hub/local_copy.h"

namespace thresher {
Result<std::string> LocalModel(const ExtractOptions& options) {
  return LocalModelFolder(options.settings.model, LinesToPeople(options.log));
}

DatasetOptions DatasetOptionsOf(const ExtractOptions& options, Store* index_store) {
  DatasetOptions dataset;
  dataset.store = options.store;
  dataset.index_store = index_store;
  dataset.events = LinesToPeople(options.log);
  return dataset;
}

}  // namespace thresher
