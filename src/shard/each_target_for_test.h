#ifndef THRESHER_SHARD_EACH_TARGET_FOR_TEST_H_
#define THRESHER_SHARD_EACH_TARGET_FOR_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>

// The list of targets that the library is compiled for, not only the one that this file is.
#include <hwy/highway.h>
#include <hwy/targets.h>

namespace thresher {

// Calls check() once for every instruction set that the library was compiled for and this machine
// has, with SIMD code dispatched to that one.
template <typename Check>
void ForEachTarget(const Check& check) {
  const int64_t available = hwy::SupportedTargets() & HWY_TARGETS;
  for (int64_t rest = available; rest != 0; rest &= rest - 1) {
    const int64_t target = rest & -rest;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    check();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace thresher

#endif  // THRESHER_SHARD_EACH_TARGET_FOR_TEST_H_
