#ifndef THRESHER_LAUNCH_CLIENT_H_
#define THRESHER_LAUNCH_CLIENT_H_

#include "base/result.h"
#include "launch/job.h"

namespace thresher {

// Runs the submission's client, found on PATH, with the text on its standard input and this
// process's own output streams, and returns when it has ended. kNotFound if there is no such
// program; kInternal with its exit status if it failed, after it has said why itself.
Status Submit(const Submission& submission);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_CLIENT_H_
