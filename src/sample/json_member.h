#ifndef THRESHER_SAMPLE_JSON_MEMBER_H_
#define THRESHER_SAMPLE_JSON_MEMBER_H_

#include <string_view>
#include <vector>

namespace thresher {

// The text of the value of member `name` in `object`, which must be the text of a JSON object that
// ParseJson accepts and that has this member. Chat templates need it: some print an object as it
// was written, and a parsed object no longer knows the order of its members.
std::string_view JsonMemberText(std::string_view object, std::string_view name);

// The texts of the elements of `array`, which must be the text of a JSON array that ParseJson
// accepts.
std::vector<std::string_view> JsonElementTexts(std::string_view array);

}  // namespace thresher

#endif  // THRESHER_SAMPLE_JSON_MEMBER_H_
