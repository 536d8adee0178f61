#include "engine/pjrt/owned_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstddef>

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Sequences of 2, 3 and 1 tokens, and outputs with rows of 4 and 8 bytes.
class OwnedBatchTest : public testing::Test {
 protected:
  OwnedBatch Batch(std::optional<std::vector<int32_t>> stored) {
    return {.token_ids = {10, 11, 20, 21, 22, 30},
            .offsets = {0, 2, 5, 6},
            .stored = std::move(stored),
            .outputs = {{.rows = rows_.data()}, {.rows = rows_.data(), .scales = scales_.data()}}};
  }

  OwnedBatch Part(const OwnedBatch& batch, size_t first, size_t end) {
    return PartOfBatch(batch, first, end, std::array<int64_t, 2>{4, 8});
  }

  std::array<std::byte, 48> rows_ = {};
  std::array<float, 6> scales_ = {};
};

TEST_F(OwnedBatchTest, ACopyOutlivesWhatItWasCopiedFrom) {
  OwnedBatch original = Batch(std::vector<int32_t>{1, 4});
  const OwnedBatch copy = CopyBatch(original.packed(), original.outputs);
  original = {};
  EXPECT_THAT(copy.token_ids, ElementsAre(10, 11, 20, 21, 22, 30));
  EXPECT_THAT(copy.offsets, ElementsAre(0, 2, 5, 6));
  EXPECT_THAT(*copy.packed().stored_tokens, ElementsAre(1, 4));
  EXPECT_EQ(copy.outputs[1].scales, scales_.data());
}

TEST_F(OwnedBatchTest, APartOfABatchThatStoresEverything) {
  const OwnedBatch part = Part(Batch(std::nullopt), 1, 3);
  EXPECT_THAT(part.token_ids, ElementsAre(20, 21, 22, 30));
  EXPECT_THAT(part.offsets, ElementsAre(0, 3, 4));
  EXPECT_FALSE(part.packed().stored_tokens);
  EXPECT_EQ(part.outputs[0].rows, rows_.data() + 2 * 4);
  EXPECT_EQ(part.outputs[0].scales, nullptr);
  EXPECT_EQ(part.outputs[1].rows, rows_.data() + 2 * 8);
  EXPECT_EQ(part.outputs[1].scales, scales_.data() + 2);
}

TEST_F(OwnedBatchTest, APartOfABatchThatStoresSomeTokens) {
  const OwnedBatch batch = Batch(std::vector<int32_t>{1, 2, 4});
  const OwnedBatch part = Part(batch, 1, 2);
  EXPECT_THAT(part.token_ids, ElementsAre(20, 21, 22));
  EXPECT_THAT(*part.stored, ElementsAre(0, 2));
  EXPECT_EQ(part.outputs[0].rows, rows_.data() + 1 * 4);
  EXPECT_THAT(*Part(batch, 2, 3).stored, IsEmpty());
}

}  // namespace
}  // namespace thresher
