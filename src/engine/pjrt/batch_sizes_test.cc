#include "engine/pjrt/batch_sizes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace thresher {
namespace {

using testing::ElementsAre;

TEST(BatchSizesTest, AFewSizesUpToTheLargest) {
  EXPECT_THAT(BatchSizes(2048), ElementsAre(256, 512, 1024, 1536, 2048));
  EXPECT_THAT(BatchSizes(1), ElementsAre(16));
  EXPECT_THAT(BatchSizes(100), ElementsAre(16, 32, 64, 80, 112));
  EXPECT_EQ(BatchSizeFor(1, 2048), 256);
  EXPECT_EQ(BatchSizeFor(1025, 2048), 1536);
  EXPECT_EQ(BatchSizeFor(2048, 2048), 2048);
  EXPECT_EQ(BatchSizeFor(2049, 2048), 4096);
  EXPECT_EQ(BatchSizeFor(9000, 2048), 16384);
}

std::set<int64_t> Capacities(int64_t batch_size) {
  std::set<int64_t> capacities;
  for (int64_t rows = 1; rows <= batch_size; ++rows) {
    const int64_t capacity = RowCapacityFor(rows, batch_size);
    EXPECT_GE(capacity, rows);
    EXPECT_LE(capacity, batch_size);
    capacities.insert(capacity);
  }
  return capacities;
}

TEST(RowCapacityTest, AFewThatHoldTheRows) {
  EXPECT_THAT(Capacities(2048), ElementsAre(48, 144, 288, 576, 1152, 2048));
  EXPECT_THAT(Capacities(64), ElementsAre(16, 32, 48, 64));
  EXPECT_THAT(Capacities(32), ElementsAre(16, 32));
  EXPECT_THAT(Capacities(16), ElementsAre(16));
  // Every fourth token of twenty sequences.
  EXPECT_EQ(RowCapacityFor(512 + 20, 2048), 576);
}

}  // namespace
}  // namespace thresher
