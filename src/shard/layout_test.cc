#include "shard/layout.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace thresher {
namespace {

ShardSpec SpecOf(DType dtype) {
  ShardSpec spec;
  spec.hooks = {{"blocks.1.hook_resid_post", 7}, {"blocks.0.mlp.hook_post", 24}};
  spec.dtype = dtype;
  spec.token_count = 13;
  spec.sequence_count = 3;
  spec.metadata = {{"unit", "17"}, {"run", "xxh3-128:00"}};
  return spec;
}

std::vector<std::string> NamesOf(const ShardLayout& layout) {
  std::vector<std::string> names;
  for (const TensorEntry& tensor : layout.tensors) names.push_back(tensor.name);
  return names;
}

TEST(LayoutTest, HookPointsFirstInTheGivenOrderThenTheSmallTensors) {
  const ShardLayout layout = LayOutShard(SpecOf(DType::kBf16));
  EXPECT_EQ(NamesOf(layout), (std::vector<std::string>{
                                 "blocks.1.hook_resid_post", "blocks.0.mlp.hook_post",
                                 "sample_index", "sequence_offsets", "token_ids", "positions"}));
  EXPECT_EQ(layout.tensors[1].shape, (std::vector<int64_t>{13, 24}));
  EXPECT_EQ(layout.tensors[3].shape, (std::vector<int64_t>{4}));
  EXPECT_EQ(layout.tensors[3].dtype, DType::kI64);
  EXPECT_EQ(layout.tensors[4].dtype, DType::kI32);
}

TEST(LayoutTest, ScaledDtypesHaveOneScalePerTokenAndHookPoint) {
  const ShardLayout layout = LayOutShard(SpecOf(DType::kF8E4M3));
  EXPECT_EQ(NamesOf(layout), (std::vector<std::string>{
                                 "blocks.1.hook_resid_post", "blocks.0.mlp.hook_post",
                                 "blocks.1.hook_resid_post.scale", "blocks.0.mlp.hook_post.scale",
                                 "sample_index", "sequence_offsets", "token_ids", "positions"}));
  EXPECT_EQ(layout.tensors[2].shape, (std::vector<int64_t>{13}));
  EXPECT_EQ(layout.tensors[2].dtype, DType::kF32);
}

TEST(LayoutTest, NoHolesAndTheReaderAgrees) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBf16, DType::kF8E4M3, DType::kI8}) {
    for (const int64_t token_count : {0, 1, 13, 4096}) {
      ShardSpec spec = SpecOf(dtype);
      spec.token_count = token_count;
      spec.sequence_count = token_count == 0 ? 0 : 1;
      const ShardLayout layout = LayOutShard(spec);

      EXPECT_EQ(layout.header.size() % 64, 0u);
      int64_t offset = static_cast<int64_t>(layout.header.size());
      for (const TensorEntry& tensor : layout.tensors) {
        int64_t bytes = DTypeBytes(tensor.dtype);
        for (const int64_t extent : tensor.shape) bytes *= extent;
        EXPECT_EQ(tensor.begin, offset) << tensor.name;
        EXPECT_EQ(tensor.end, offset + bytes) << tensor.name;
        offset += bytes;
      }
      EXPECT_EQ(layout.file_bytes, offset);

      const auto bytes = std::as_bytes(std::span(layout.header.data(), layout.header.size()));
      const Result<SafetensorsHeader> parsed = ParseSafetensorsHeader(bytes, layout.file_bytes);
      ASSERT_TRUE(parsed.ok()) << parsed.status().message();
      EXPECT_EQ(parsed->metadata, spec.metadata);
      EXPECT_EQ(parsed->data_begin, static_cast<int64_t>(layout.header.size()));
      ASSERT_EQ(parsed->tensors.size(), layout.tensors.size());
      for (const TensorEntry& tensor : layout.tensors) {
        const TensorEntry* found = parsed->Find(tensor.name);
        ASSERT_NE(found, nullptr) << tensor.name;
        EXPECT_EQ(found->dtype, tensor.dtype);
        EXPECT_EQ(found->shape, tensor.shape);
        EXPECT_EQ(found->begin, tensor.begin);
        EXPECT_EQ(found->end, tensor.end);
      }
    }
  }
}

}  // namespace
}  // namespace thresher
