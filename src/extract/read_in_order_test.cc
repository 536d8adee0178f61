#include "extract/read_in_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

namespace thresher {
namespace {

TEST(ReadInOrderTest, VisitsAllInOrderWithTheirErrors) {
  for (const int readers : {0, 1, 3, 16}) {
    SCOPED_TRACE(readers);
    int64_t visited = 0;
    ReadInOrder<std::string>(
        3'000, readers,
        [](int64_t i) -> Result<std::string> {
          if (i % 7 == 3) return NotFound(std::to_string(i));
          return std::to_string(i);
        },
        [&](int64_t i, const Result<std::string>& result) {
          ASSERT_EQ(i, visited++);
          ASSERT_EQ(result.ok(), i % 7 != 3);
          ASSERT_EQ(result.ok() ? *result : result.status().message(), std::to_string(i));
        });
    EXPECT_EQ(visited, 3'000);
  }
}

// However many there are, only so many are in memory at the same time.
TEST(ReadInOrderTest, HoldsNoMoreThanARound) {
  std::atomic<int64_t> alive{0};
  int64_t most = 0;
  using Counted = std::shared_ptr<std::atomic<int64_t>>;
  ReadInOrder<Counted>(
      20'000, 4,
      [&](int64_t) -> Result<Counted> {
        ++alive;
        return Counted(&alive, [](std::atomic<int64_t>* count) { --*count; });
      },
      [&](int64_t, const Result<Counted>&) { most = std::max(most, alive.load()); });
  EXPECT_EQ(alive, 0);
  EXPECT_GT(most, 1);
  EXPECT_LE(most, 1024);
}

TEST(ReadInOrderTest, OneReaderIsTheCallingThread) {
  const std::thread::id here = std::this_thread::get_id();
  ReadInOrder<int>(
      10, 1,
      [&](int64_t) -> Result<int> {
        EXPECT_EQ(std::this_thread::get_id(), here);
        return 0;
      },
      [](int64_t, const Result<int>&) {});
}

}  // namespace
}  // namespace thresher
