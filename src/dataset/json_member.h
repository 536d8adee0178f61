#ifndef THRESHER_DATASET_JSON_MEMBER_H_
#define THRESHER_DATASET_JSON_MEMBER_H_

#include <string_view>

namespace thresher {

// The text of the value of member `name` in `object`, which must be the text of a JSON object that
// ParseJson accepts and that has this member. Chat templates need it: some print an object as it
// was written, and a parsed object no longer knows the order of its members.
std::string_view JsonMemberText(std::string_view object, std::string_view name);

}  // namespace thresher

#endif  // THRESHER_DATASET_JSON_MEMBER_H_
