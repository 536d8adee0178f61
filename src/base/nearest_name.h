#ifndef THRESHER_BASE_NEAREST_NAME_H_
#define THRESHER_BASE_NEAREST_NAME_H_

#include <string>
#include <string_view>
#include <vector>

namespace thresher {

// The candidate that a person who wrote `name` most likely meant: the fewest letters inserted,
// removed, replaced or swapped with their neighbour, the first of equals; empty if none is near.
std::string NearestName(std::string_view name, const std::vector<std::string>& candidates);

// "; did you mean 'shard-bytes'?", or nothing.
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace thresher

#endif  // THRESHER_BASE_NEAREST_NAME_H_
