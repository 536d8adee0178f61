#include "engine/cpu/parallel.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <atomic>
#include <dnnl.hpp>
#include <new>
#include <stdexcept>
#include <vector>

namespace thresher {
namespace {

TEST(ParallelForTest, CallsEachIndexOnceWithAThreadInRange) {
  for (const int threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> calls(100);
    std::atomic<int> bad_threads = 0;
    const Status status = ParallelFor(threads, 100, [&](int64_t index, int thread) {
      ++calls[static_cast<size_t>(index)];
      if (thread < 0 || thread >= threads) ++bad_threads;
    });
    EXPECT_TRUE(status.ok());
    EXPECT_EQ(bad_threads, 0);
    for (const auto& count : calls) EXPECT_EQ(count, 1);
  }
}

TEST(ParallelForTest, NothingToDo) {
  EXPECT_TRUE(ParallelFor(2, 0, [](int64_t, int) { FAIL(); }).ok());
}

TEST(ParallelForTest, AnExceptionBecomesAStatus) {
  const Status status = ParallelFor(2, 10, [](int64_t index, int) {
    if (index == 3) throw std::runtime_error("third");
  });
  EXPECT_EQ(status.code(), Code::kInternal);
  EXPECT_EQ(status.message(), "engine: third");
}

TEST(ParallelForTest, TasksSeeOneThreadAndTheCallerKeepsItsOwn) {
  omp_set_num_threads(3);
  for (const int threads : {1, 2}) {
    std::atomic<int> others = 0;
    const Status status = ParallelFor(threads, 4, [&](int64_t, int) {
      if (omp_get_max_threads() != 1) ++others;
    });
    EXPECT_TRUE(status.ok());
    EXPECT_EQ(others, 0);
    EXPECT_EQ(omp_get_max_threads(), 3);
  }
}

TEST(CatchExceptionsTest, NamesTheKind) {
  EXPECT_TRUE(CatchExceptions([] {}).ok());
  EXPECT_EQ(CatchExceptions([] { throw std::bad_alloc(); }).code(), Code::kResourceExhausted);
  EXPECT_EQ(CatchExceptions([] { throw dnnl::error(dnnl_unimplemented, "no such"); }).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(CatchExceptions([] { throw dnnl::error(dnnl_out_of_memory, "full"); }).code(),
            Code::kResourceExhausted);
  EXPECT_EQ(CatchExceptions([] { throw dnnl::error(dnnl_runtime_error, "bad"); }).code(),
            Code::kInternal);
}

TEST(UsableCoresTest, AtLeastOne) { EXPECT_GE(UsableCores(), 1); }

}  // namespace
}  // namespace thresher
