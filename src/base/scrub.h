#ifndef THRESHER_BASE_SCRUB_H_
#define THRESHER_BASE_SCRUB_H_

#include <string>
#include <string_view>

namespace thresher {

// `text`, an error message of somebody else's library or server, with "***" instead of what may be
// a secret: user information and whole queries of URLs; values of Authorization and X-Amz-* fields,
// of signatures, keys, tokens and passwords, whatever the spelling. Line breaks become spaces, and
// it is cut after 1,000 bytes.
std::string ScrubSecrets(std::string_view text);

// True if `address`, of a store or a server, has user information or a query, either of which may
// be a secret; also "user:pass/word@host". An '@' in a path is none: "gs://bucket/me@work".
bool MayHoldSecret(std::string_view address);

// `address` as messages may show it: "***" instead of the query and of what may be user
// information, which is all up to the last '@'.
std::string ScrubAddress(std::string_view address);

}  // namespace thresher

#endif  // THRESHER_BASE_SCRUB_H_
