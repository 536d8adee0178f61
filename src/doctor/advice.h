#ifndef THRESHER_DOCTOR_ADVICE_H_
#define THRESHER_DOCTOR_ADVICE_H_

#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

enum class Cloud { kNone, kGoogle, kAmazon, kAzure };

// By the scheme of a store's address; kNone for local and memory stores.
Cloud CloudOf(std::string_view url);

// What a run has to be allowed to do, each a permission of its own in every cloud.
enum class Right { kWrite, kOverwrite, kRead, kList, kDelete };

// What to do when a call that needs `right` failed with `status`: the role or permission that is
// missing, by the cloud's own name, or what else to look at.
std::string AdviceFor(Cloud cloud, Right right, const Status& status);

// The same where no call works at all: credentials and addresses come first.
std::string AdviceIfNothingWorks(Cloud cloud, const Status& status);

}  // namespace thresher

#endif  // THRESHER_DOCTOR_ADVICE_H_
