#include "engine/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/cpu/parallel.h"
#include "engine/cpu/round_up.h"

namespace thresher {
namespace {

int64_t ElementBytes(const AttentionArguments& arguments) { return DTypeBytes(arguments.q.dtype); }

int64_t HeadsPerKvHead(const AttentionArguments& arguments) {
  return arguments.heads / arguments.kv_heads;
}

// Rows of the products: every task has whole blocks of queries.
int64_t StackedRows(const AttentionArguments& arguments) {
  return BlockedAttention::kQueryBlock * HeadsPerKvHead(arguments);
}

int64_t QueryCount(const AttentionArguments& arguments, int64_t sequence, int64_t first_query) {
  const std::span<const int64_t> offsets = arguments.sequence_offsets;
  const auto s = static_cast<size_t>(sequence);
  return std::min(BlockedAttention::kQueryBlock, offsets[s + 1] - offsets[s] - first_query);
}

}  // namespace

BlockedAttention::BlockedAttention(MatmulCache& cache, int threads)
    : cache_(cache), threads_(threads) {
  for (int thread = 0; thread < threads; ++thread) scratch_.emplace_back(cache.engine());
}

Status BlockedAttention::Run(const AttentionArguments& arguments) {
  RETURN_IF_ERROR(CatchExceptions([&] {
    PlanTasks(arguments);
    PrepareMatmuls(arguments);
  }));
  RETURN_IF_ERROR(CopyKeysAndValues(arguments));
  return ParallelFor(threads_, static_cast<int64_t>(tasks_.size()), [&](int64_t index, int thread) {
    RunTask(arguments, tasks_[static_cast<size_t>(index)], scratch_[static_cast<size_t>(thread)]);
  });
}

void BlockedAttention::PlanTasks(const AttentionArguments& arguments) {
  tasks_.clear();
  padded_offsets_.assign(1, 0);
  const std::span<const int64_t> offsets = arguments.sequence_offsets;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const int64_t length = offsets[s + 1] - offsets[s];
    padded_offsets_.push_back(padded_offsets_.back() + RoundUp(length, kQueryBlock));
    for (int64_t first_query = 0; first_query < length; first_query += kQueryBlock) {
      int64_t first_key = 0;
      if (arguments.window > 0) {
        const int64_t first_seen = std::max<int64_t>(0, first_query - arguments.window + 1);
        first_key = first_seen / kQueryBlock * kQueryBlock;
      }
      for (int64_t kv_head = 0; kv_head < arguments.kv_heads; ++kv_head) {
        tasks_.push_back({static_cast<int64_t>(s), first_query, kv_head, first_key,
                          first_query + kQueryBlock - first_key});
      }
    }
  }
  std::ranges::stable_sort(tasks_, std::ranges::greater(), &Task::keys);
}

void BlockedAttention::PrepareMatmuls(const AttentionArguments& arguments) {
  const SingleThreadScope single_thread;
  const DType dtype = arguments.q.dtype;
  score_matmuls_.assign(1, nullptr);
  mix_matmuls_.assign(1, nullptr);
  for (int64_t keys = kQueryBlock; keys <= kKeyBlock; keys += kQueryBlock) {
    score_matmuls_.push_back(&cache_.Get({.rows = StackedRows(arguments),
                                          .inner = arguments.head_dim,
                                          .columns = keys,
                                          .in = dtype,
                                          .right = RightLayout::kTransposed}));
    mix_matmuls_.push_back(&cache_.Get({.rows = StackedRows(arguments),
                                        .inner = keys,
                                        .columns = arguments.head_dim,
                                        .in = dtype,
                                        .accumulates = true}));
  }
}

int64_t BlockedAttention::PaddedOffset(const AttentionArguments& arguments, int64_t kv_head,
                                       int64_t sequence, int64_t row) const {
  const int64_t padded_rows = padded_offsets_.back();
  const int64_t first = padded_offsets_[static_cast<size_t>(sequence)];
  return (kv_head * padded_rows + first + row) * arguments.head_dim * ElementBytes(arguments);
}

Status BlockedAttention::CopyKeysAndValues(const AttentionArguments& arguments) {
  const int64_t row_bytes = arguments.head_dim * ElementBytes(arguments);
  const int64_t bytes = arguments.kv_heads * padded_offsets_.back() * row_bytes;
  RETURN_IF_ERROR(CatchExceptions([&] {
    keys_.Reserve(bytes);
    values_.Reserve(bytes);
  }));
  return ParallelFor(threads_, static_cast<int64_t>(tasks_.size()), [&](int64_t index, int) {
    const Task& task = tasks_[static_cast<size_t>(index)];
    const int64_t first_row =
        arguments.sequence_offsets[static_cast<size_t>(task.sequence)] + task.first_query;
    const int64_t rows = QueryCount(arguments, task.sequence, task.first_query);
    const int64_t offset = PaddedOffset(arguments, task.kv_head, task.sequence, task.first_query);
    const auto copy = [&](const Rows& from, std::byte* to) {
      for (int64_t r = 0; r < rows; ++r) {
        std::memcpy(to + r * row_bytes, from.row(first_row + r) + task.kv_head * row_bytes,
                    static_cast<size_t>(row_bytes));
      }
      std::memset(to + rows * row_bytes, 0, static_cast<size_t>((kQueryBlock - rows) * row_bytes));
    };
    copy(arguments.k, keys_.data() + offset);
    copy(arguments.v, values_.data() + offset);
  });
}

void BlockedAttention::RunTask(const AttentionArguments& arguments, const Task& task,
                               Scratch& scratch) const {
  ReadQueries(arguments, task, scratch);
  const int64_t end = task.first_key + task.keys;
  for (int64_t first_key = task.first_key; first_key < end; first_key += kKeyBlock) {
    AddKeyBlock(arguments, task, first_key, std::min(kKeyBlock, end - first_key), scratch);
  }
  WriteResult(arguments, task, scratch);
}

void BlockedAttention::ReadQueries(const AttentionArguments& arguments, const Task& task,
                                   Scratch& scratch) const {
  const int64_t rows = StackedRows(arguments);
  const int64_t element_bytes = ElementBytes(arguments);
  const int64_t query_bytes = HeadsPerKvHead(arguments) * arguments.head_dim * element_bytes;
  const auto float_bytes = static_cast<int64_t>(sizeof(float));
  scratch.queries.Reserve(kQueryBlock * query_bytes);
  scratch.scores.Reserve(rows * kKeyBlock * float_bytes);
  if (arguments.q.dtype != DType::kF32) {
    scratch.probabilities.Reserve(rows * kKeyBlock * element_bytes);
  }
  scratch.mixed.Reserve(rows * arguments.head_dim * float_bytes);
  scratch.largest.Reserve(rows * float_bytes);
  scratch.sum.Reserve(rows * float_bytes);

  // The heads that share a key/value head are neighbours, so row i * heads_per_kv_head + h is the
  // h-th head of query i.
  const int64_t first_row =
      arguments.sequence_offsets[static_cast<size_t>(task.sequence)] + task.first_query;
  const int64_t queries = QueryCount(arguments, task.sequence, task.first_query);
  for (int64_t i = 0; i < queries; ++i) {
    std::memcpy(scratch.queries.data() + i * query_bytes,
                arguments.q.row(first_row + i) + task.kv_head * query_bytes,
                static_cast<size_t>(query_bytes));
  }
  std::memset(scratch.queries.data() + queries * query_bytes, 0,
              static_cast<size_t>((kQueryBlock - queries) * query_bytes));
  std::fill_n(scratch.largest.as<float>(), rows, -HUGE_VALF);
  std::fill_n(scratch.sum.as<float>(), rows, 0.0F);
  std::fill_n(scratch.mixed.as<float>(), rows * arguments.head_dim, 0.0F);
}

void BlockedAttention::AddKeyBlock(const AttentionArguments& arguments, const Task& task,
                                   int64_t first_key, int64_t keys, Scratch& scratch) const {
  const auto width = static_cast<size_t>(keys / kQueryBlock);
  const int64_t offset = PaddedOffset(arguments, task.kv_head, task.sequence, first_key);
  const DType dtype = arguments.q.dtype;
  score_matmuls_[width]->Execute({.left = scratch.queries.data(),
                                  .right = keys_.data() + offset,
                                  .out = scratch.scores.data()},
                                 scratch.matmul_caller);
  std::byte* probabilities =
      dtype == DType::kF32 ? scratch.scores.data() : scratch.probabilities.data();
  UpdateSoftmax({.rows = StackedRows(arguments),
                 .rows_per_query = HeadsPerKvHead(arguments),
                 .first_query = task.first_query,
                 .first_key = first_key,
                 .keys = keys,
                 .window = arguments.window,
                 .head_dim = arguments.head_dim,
                 .scale = arguments.scale,
                 .scores = scratch.scores.as<float>(),
                 .probabilities = {.data = probabilities, .dtype = dtype, .stride = keys},
                 .largest = scratch.largest.as<float>(),
                 .sum = scratch.sum.as<float>(),
                 .mixed = scratch.mixed.as<float>()});
  mix_matmuls_[width]->Execute(
      {.left = probabilities, .right = values_.data() + offset, .out = scratch.mixed.data()},
      scratch.matmul_caller);
}

void BlockedAttention::WriteResult(const AttentionArguments& arguments, const Task& task,
                                   Scratch& scratch) const {
  const int64_t heads = HeadsPerKvHead(arguments);
  const int64_t first_row =
      arguments.sequence_offsets[static_cast<size_t>(task.sequence)] + task.first_query;
  const int64_t queries = QueryCount(arguments, task.sequence, task.first_query);
  const int64_t group_bytes = heads * arguments.head_dim * ElementBytes(arguments);
  const auto float_bytes = static_cast<int64_t>(sizeof(float));
  for (int64_t i = 0; i < queries; ++i) {
    const Rows mixed = {.data = scratch.mixed.data() + i * heads * arguments.head_dim * float_bytes,
                        .dtype = DType::kF32,
                        .stride = arguments.head_dim};
    const Rows out = {.data = arguments.out.row(first_row + i) + task.kv_head * group_bytes,
                      .dtype = arguments.out.dtype,
                      .stride = arguments.head_dim};
    DivideRows({.rows = heads, .width = arguments.head_dim}, mixed,
               scratch.sum.as<float>() + i * heads, out);
  }
}

}  // namespace thresher
