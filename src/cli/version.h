#ifndef THRESHER_CLI_VERSION_H_
#define THRESHER_CLI_VERSION_H_

namespace thresher {

inline constexpr const char* kVersion = THRESHER_VERSION;

}  // namespace thresher

#endif  // THRESHER_CLI_VERSION_H_
