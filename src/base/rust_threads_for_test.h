#ifndef THRESHER_BASE_RUST_THREADS_FOR_TEST_H_
#define THRESHER_BASE_RUST_THREADS_FOR_TEST_H_

#include <gtest/gtest.h>

namespace thresher {

// For tests that send HTTP requests: they start threads of the Rust library. It is not built for
// ThreadSanitizer, which sees its calls to malloc and memcpy but none of its locks, and so reports
// races where there are none.
class RustThreadsTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "the Rust library is not built for ThreadSanitizer";
#endif
  }
};

}  // namespace thresher

#endif  // THRESHER_BASE_RUST_THREADS_FOR_TEST_H_
