#include "cli/data_access.h"

#include <cstdio>

#include "hub/local_copy.h"

namespace thresher {
namespace {

Events LinesToPeople(const ExtractOptions& options) {
  if (options.settings.quiet) return {};
  return [](const std::string& line) { std::fprintf(stderr, "thresher: %s\n", line.c_str()); };
}

}  // namespace

Result<std::string> LocalModel(const ExtractOptions& options) {
  return LocalModelFolder(options.settings.model, LinesToPeople(options));
}

DatasetOptions DatasetOptionsOf(const ExtractOptions& options, Store* index_store) {
  DatasetOptions dataset;
  dataset.store = options.store;
  dataset.index_store = index_store;
  dataset.events = LinesToPeople(options);
  return dataset;
}

}  // namespace thresher
