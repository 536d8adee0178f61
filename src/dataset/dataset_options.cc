#include "dataset/dataset_options.h"

namespace thresher {

DatasetOptions::DatasetOptions() = default;
DatasetOptions::DatasetOptions(const DatasetOptions&) = default;
DatasetOptions& DatasetOptions::operator=(const DatasetOptions&) = default;
DatasetOptions::~DatasetOptions() = default;

}  // namespace thresher
