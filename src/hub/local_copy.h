#ifndef THRESHER_HUB_LOCAL_COPY_H_
#define THRESHER_HUB_LOCAL_COPY_H_

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace thresher {

// One line for people: what is fetched and how far it is, and warnings. May be empty.
using HubEvents = std::function<void(const std::string& line)>;

// The folder of a model that is named as a folder or as an address of a hub, which is fetched as
// far as it is not there. The hub is that of HubSettings::FromEnvironment.
Result<std::string> LocalModelFolder(const std::string& model, const HubEvents& events);

// A data set of a hub on this machine.
struct LocalDataset {
  std::string address;  // with the commit that was fetched
  std::vector<std::string> paths;
};

// `address` must be one of a hub (IsHubAddress).
Result<LocalDataset> FetchHubDataset(const std::string& address, const HubEvents& events);

}  // namespace thresher

#endif  // THRESHER_HUB_LOCAL_COPY_H_
