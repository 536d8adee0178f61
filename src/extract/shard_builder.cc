#include "extract/shard_builder.h"

#include <fmt/format.h>

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "work/keys.h"

namespace thresher {
namespace {

std::map<std::string, std::string> ShardMetadata(const ShardFormat& format, const UnitJob& job) {
  return {{"format", "thresher"},
          {"format_version", "1"},
          {"run", format.run_fingerprint},
          {"unit", std::to_string(job.unit)},
          {"first_sample", std::to_string(job.samples.first)},
          {"sample_count", std::to_string(job.samples.count)},
          {"sample_keys", nlohmann::json(job.sample_keys)
                              .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)}};
}

ShardSpec SpecOf(const ShardFormat& format, const UnitJob& job) {
  return {.hooks = format.hooks,
          .dtype = format.dtype,
          .token_count = job.row_count(),
          .sequence_count = job.sequence_count(),
          .metadata = ShardMetadata(format, job)};
}

}  // namespace

Result<ShardFormat> ShardFormatOf(const Graph& graph, const std::vector<HookPoint>& hooks,
                                  DType dtype) {
  ShardFormat format;
  format.dtype = dtype;
  for (const HookPoint& hook : hooks) {
    ASSIGN_OR_RETURN(const ValueId value, graph.FindHook(hook));
    const int64_t width = graph.width(value);
    if (HasScale(dtype) && width % static_cast<int64_t>(sizeof(float)) != 0) {
      return InvalidArgument(
          fmt::format("--dtype {}: hook point {} has width {}, which is not a multiple of 4; use "
                      "bf16",
                      DTypeName(dtype), HookName(hook), width));
    }
    format.hooks.push_back({HookName(hook), width});
  }
  return format;
}

ShardBuilder::ShardBuilder(const ShardFormat& format, const UnitJob& job)
    : job_(job),
      dtype_(format.dtype),
      run_fingerprint_(format.run_fingerprint),
      hooks_(format.hooks),
      layout_(LayOutShard(SpecOf(format, job))),
      tensor_crcs_(layout_.tensors.size(), 0),
      statistics_(hooks_.size()) {}

size_t ShardBuilder::RowTensorCount() const { return hooks_.size() * (HasScale(dtype_) ? 2 : 1); }

int64_t ShardBuilder::RowBytes(size_t tensor) const {
  if (tensor >= hooks_.size()) return DTypeBytes(DType::kF32);
  return hooks_[tensor].width * DTypeBytes(dtype_);
}

std::byte* ShardBuilder::Row(size_t tensor, int64_t row) const {
  return memory_ + layout_.tensors[tensor].begin + row * RowBytes(tensor);
}

std::vector<HookOutput> ShardBuilder::Outputs(int64_t first_row) const {
  std::vector<HookOutput> outputs(hooks_.size());
  for (size_t hook = 0; hook < hooks_.size(); ++hook) {
    outputs[hook].rows = Row(hook, first_row);
    if (HasScale(dtype_)) {
      outputs[hook].scales = reinterpret_cast<float*>(Row(hooks_.size() + hook, first_row));
    }
  }
  return outputs;
}

void ShardBuilder::Absorb(int64_t end_row) {
  THRESHER_CHECK(end_row >= absorbed_rows_ && end_row <= job_.row_count());
  const int64_t rows = end_row - absorbed_rows_;
  for (size_t tensor = 0; tensor < RowTensorCount(); ++tensor) {
    tensor_crcs_[tensor] =
        ExtendCrc32c(tensor_crcs_[tensor],
                     {Row(tensor, absorbed_rows_), static_cast<size_t>(rows * RowBytes(tensor))});
  }
  const std::vector<HookOutput> outputs = Outputs(absorbed_rows_);
  for (size_t hook = 0; hook < hooks_.size(); ++hook) {
    statistics_[hook].Merge(ComputeStatistics(outputs[hook].rows, outputs[hook].scales, rows,
                                              hooks_[hook].width, dtype_));
  }
  absorbed_rows_ = end_row;
}

void ShardBuilder::WriteSmallTensors() {
  std::vector<int32_t> token_ids;
  token_ids.reserve(job_.positions.size());
  for (size_t sequence = 0; sequence + 1 < job_.row_offsets.size(); ++sequence) {
    for (int64_t row = job_.row_offsets[sequence]; row < job_.row_offsets[sequence + 1]; ++row) {
      const int64_t token =
          job_.sequence_offsets[sequence] + job_.positions[static_cast<size_t>(row)];
      token_ids.push_back(job_.token_ids[static_cast<size_t>(token)]);
    }
  }
  const std::map<std::string_view, const void*> contents = {
      {"sample_index", job_.sample_index.data()},
      {"sequence_offsets", job_.row_offsets.data()},
      {"token_ids", token_ids.data()},
      {"positions", job_.positions.data()}};
  for (size_t tensor = RowTensorCount(); tensor < layout_.tensors.size(); ++tensor) {
    const TensorEntry& entry = layout_.tensors[tensor];
    const auto bytes = static_cast<size_t>(entry.end - entry.begin);
    if (bytes > 0) std::memcpy(memory_ + entry.begin, contents.at(entry.name), bytes);
    tensor_crcs_[tensor] = ExtendCrc32c(0, {memory_ + entry.begin, bytes});
  }
}

void ShardBuilder::Finish() {
  THRESHER_CHECK(memory_ && absorbed_rows_ == job_.row_count());
  std::memcpy(memory_, layout_.header.data(), layout_.header.size());
  header_crc_ = ExtendCrc32c(0, {memory_, layout_.header.size()});
  WriteSmallTensors();
}

std::span<const std::byte> ShardBuilder::file() const {
  return {memory_, static_cast<size_t>(layout_.file_bytes)};
}

Commit ShardBuilder::DescribeContent() const {
  Commit commit;
  commit.run_fingerprint = run_fingerprint_;
  commit.unit = job_.unit;
  commit.epoch = job_.epoch;
  commit.first_sample = job_.samples.first;
  commit.sample_count = job_.samples.count;
  commit.sequence_count = job_.sequence_count();
  commit.token_count = job_.row_count();
  commit.forward_token_count = job_.token_count();
  commit.truncated_count = job_.truncated_count;
  commit.rejected = job_.rejected;
  commit.bytes = layout_.file_bytes;
  commit.header_checksum = FormatCrc32c(header_crc_);
  uint32_t whole = header_crc_;
  for (size_t tensor = 0; tensor < layout_.tensors.size(); ++tensor) {
    const TensorEntry& entry = layout_.tensors[tensor];
    whole = CombineCrc32c(whole, tensor_crcs_[tensor], entry.end - entry.begin);
    commit.tensors.push_back({entry.name, FormatCrc32c(tensor_crcs_[tensor])});
  }
  commit.checksum = FormatCrc32c(whole);
  for (size_t hook = 0; hook < hooks_.size(); ++hook) {
    commit.statistics.push_back({hooks_[hook].name, statistics_[hook]});
  }
  return commit;
}

void ShardBuilder::CopyRows(const ShardBuilder& from, int64_t row_count) {
  THRESHER_CHECK(from.hooks_.size() == hooks_.size() && from.dtype_ == dtype_);
  for (size_t tensor = 0; tensor < RowTensorCount(); ++tensor) {
    std::memcpy(Row(tensor, 0), from.Row(tensor, 0),
                static_cast<size_t>(row_count * RowBytes(tensor)));
  }
}

}  // namespace thresher
