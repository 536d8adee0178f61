#include "engine/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/round_up.h"
#include "engine/cpu/amx_attention.h"
#include "engine/cpu/amx_product.h"
#include "engine/cpu/parallel.h"

namespace thresher {
namespace {

int64_t ElementBytes(const AttentionArguments& arguments) { return DTypeBytes(arguments.q.dtype); }

int64_t HeadsPerKvHead(const AttentionArguments& arguments) {
  return arguments.heads / arguments.kv_heads;
}

// Keys in one of oneDNN's products, at most.
constexpr int64_t kKeyBlock = 512;

// Rows of a task: whole blocks of queries.
int64_t StackedRows(const AttentionArguments& arguments) {
  return BlockedAttention::kQueryBlock * HeadsPerKvHead(arguments);
}

}  // namespace

BlockedAttention::BlockedAttention(MatmulCache& cache, int threads, bool on_tiles)
    : cache_(cache), threads_(threads), on_tiles_(on_tiles) {
  for (int thread = 0; thread < threads; ++thread) scratch_.emplace_back(cache.engine());
}

Status BlockedAttention::Run(const AttentionArguments& arguments) {
  runs_on_tiles_ = on_tiles_ && arguments.q.dtype == DType::kBf16;
  row_width_ = runs_on_tiles_ ? RoundUp(arguments.head_dim, kAmxBlock) : arguments.head_dim;
  RETURN_IF_ERROR(CatchExceptions([&] {
    PlanTasks(arguments);
    if (!runs_on_tiles_) PrepareMatmuls(arguments);
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
  const int64_t rows = StackedRows(arguments);
  const DType dtype = arguments.q.dtype;
  score_matmuls_.assign(1, nullptr);
  mix_matmuls_.assign(1, nullptr);
  for (int64_t keys = kQueryBlock; keys <= kKeyBlock; keys += kQueryBlock) {
    score_matmuls_.push_back(&cache_.Get({.rows = rows,
                                          .inner = arguments.head_dim,
                                          .columns = keys,
                                          .in = dtype,
                                          .right = RightLayout::kTransposed}));
    mix_matmuls_.push_back(&cache_.Get({.rows = rows,
                                        .inner = keys,
                                        .columns = arguments.head_dim,
                                        .in = dtype,
                                        .right = RightLayout::kRows,
                                        .accumulates = true}));
  }
}

BlockedAttention::TaskRows BlockedAttention::RowsOf(const AttentionArguments& arguments,
                                                    const Task& task) {
  const std::span<const int64_t> offsets = arguments.sequence_offsets;
  const auto s = static_cast<size_t>(task.sequence);
  const int64_t first = offsets[s] + task.first_query;
  return {.first = first, .count = std::min(kQueryBlock, offsets[s + 1] - first)};
}

int64_t BlockedAttention::KeyOffset(const AttentionArguments& arguments, const Task& task,
                                    int64_t position) const {
  const int64_t padded_rows = padded_offsets_.back();
  const int64_t first = padded_offsets_[static_cast<size_t>(task.sequence)];
  // On tiles a panel is kAmxBlock keys: as many bytes as their rows.
  return (task.kv_head * padded_rows + first + position) * row_width_ * ElementBytes(arguments);
}

int64_t BlockedAttention::ValueOffset(const AttentionArguments& arguments, const Task& task,
                                      int64_t position) const {
  if (!runs_on_tiles_) return KeyOffset(arguments, task, position);
  // The step of a panel that the position is in.
  return KeyOffset(arguments, task, 0) + AmxPanelBytes(position);
}

int64_t BlockedAttention::ValuePanelBytes(int64_t sequence) const {
  const auto s = static_cast<size_t>(sequence);
  return AmxPanelBytes(padded_offsets_[s + 1] - padded_offsets_[s]);
}

Status BlockedAttention::CopyKeysAndValues(const AttentionArguments& arguments) {
  const int64_t bytes =
      arguments.kv_heads * padded_offsets_.back() * row_width_ * ElementBytes(arguments);
  RETURN_IF_ERROR(CatchExceptions([&] {
    keys_.Reserve(bytes);
    values_.Reserve(bytes);
  }));
  return ParallelFor(threads_, static_cast<int64_t>(tasks_.size()), [&](int64_t index, int) {
    const Task& task = tasks_[static_cast<size_t>(index)];
    runs_on_tiles_ ? PackBlock(arguments, task) : CopyBlock(arguments, task);
  });
}

void BlockedAttention::CopyBlock(const AttentionArguments& arguments, const Task& task) {
  const int64_t row_bytes = arguments.head_dim * ElementBytes(arguments);
  const TaskRows rows = RowsOf(arguments, task);
  const int64_t offset = KeyOffset(arguments, task, task.first_query);
  const auto copy = [&](const Rows& from, std::byte* to) {
    for (int64_t r = 0; r < rows.count; ++r) {
      std::memcpy(to + r * row_bytes, from.row(rows.first + r) + task.kv_head * row_bytes,
                  static_cast<size_t>(row_bytes));
    }
    std::memset(to + rows.count * row_bytes, 0,
                static_cast<size_t>((kQueryBlock - rows.count) * row_bytes));
  };
  copy(arguments.k, keys_.data() + offset);
  copy(arguments.v, values_.data() + offset);
}

void BlockedAttention::PackBlock(const AttentionArguments& arguments, const Task& task) {
  const int64_t head_bytes = arguments.head_dim * ElementBytes(arguments);
  const TaskRows rows = RowsOf(arguments, task);
  const int64_t key_panel_bytes = AmxPanelBytes(row_width_);
  for (int64_t r = 0; r < kQueryBlock; r += kAmxBlock) {
    const int64_t position = task.first_query + r;
    const int64_t count = std::min(rows.count - r, kAmxBlock);
    if (count <= 0) break;
    const auto head = [&](Rows all) {
      all.data = all.row(rows.first + r) + task.kv_head * head_bytes;
      return all;
    };
    AmxPackColumns(head(arguments.k), arguments.head_dim, count, key_panel_bytes,
                   keys_.data() + KeyOffset(arguments, task, position));
    AmxPackRows(head(arguments.v), count, arguments.head_dim, ValuePanelBytes(task.sequence),
                values_.data() + ValueOffset(arguments, task, position));
  }
}

void BlockedAttention::RunTask(const AttentionArguments& arguments, const Task& task,
                               Scratch& scratch) const {
  ReadQueries(arguments, task, scratch);
  runs_on_tiles_ ? AttendOnTiles(arguments, task, scratch) : Attend(arguments, task, scratch);
  WriteResult(arguments, task, scratch);
}

void BlockedAttention::ReadQueries(const AttentionArguments& arguments, const Task& task,
                                   Scratch& scratch) const {
  const int64_t rows = StackedRows(arguments);
  const int64_t heads = HeadsPerKvHead(arguments);
  const int64_t element_bytes = ElementBytes(arguments);
  const int64_t head_bytes = arguments.head_dim * element_bytes;
  const int64_t row_bytes = row_width_ * element_bytes;
  const auto float_bytes = static_cast<int64_t>(sizeof(float));
  scratch.queries.Reserve(rows * row_bytes);
  scratch.mixed.Reserve(rows * row_width_ * float_bytes);
  scratch.sum.Reserve(rows * float_bytes);

  // The heads that share a key/value head are neighbours, so row i * heads + h is the h-th head of
  // query i.
  const auto [first_row, queries] = RowsOf(arguments, task);
  std::byte* to = scratch.queries.data();
  for (int64_t i = 0; i < queries; ++i) {
    const std::byte* from = arguments.q.row(first_row + i) + task.kv_head * heads * head_bytes;
    for (int64_t h = 0; h < heads; ++h, from += head_bytes, to += row_bytes) {
      std::memcpy(to, from, static_cast<size_t>(head_bytes));
      std::memset(to + head_bytes, 0, static_cast<size_t>(row_bytes - head_bytes));
    }
  }
  std::memset(to, 0, static_cast<size_t>((kQueryBlock - queries) * heads * row_bytes));
}

void BlockedAttention::Attend(const AttentionArguments& arguments, const Task& task,
                              Scratch& scratch) const {
  const int64_t rows = StackedRows(arguments);
  const DType dtype = arguments.q.dtype;
  const auto float_bytes = static_cast<int64_t>(sizeof(float));
  scratch.scores.Reserve(rows * kKeyBlock * float_bytes);
  if (dtype != DType::kF32) scratch.probabilities.Reserve(rows * kKeyBlock * DTypeBytes(dtype));
  scratch.largest.Reserve(rows * float_bytes);
  std::fill_n(scratch.largest.as<float>(), rows, -HUGE_VALF);
  std::fill_n(scratch.sum.as<float>(), rows, 0.0F);
  std::fill_n(scratch.mixed.as<float>(), rows * arguments.head_dim, 0.0F);
  std::byte* probabilities =
      dtype == DType::kF32 ? scratch.scores.data() : scratch.probabilities.data();
  const int64_t end = task.first_key + task.keys;
  for (int64_t key = task.first_key; key < end; key += kKeyBlock) {
    const int64_t keys = std::min(kKeyBlock, end - key);
    const auto width = static_cast<size_t>(keys / kQueryBlock);
    score_matmuls_[width]->Execute({.left = scratch.queries.data(),
                                    .right = keys_.data() + KeyOffset(arguments, task, key),
                                    .out = scratch.scores.data()},
                                   scratch.matmul_caller);
    UpdateSoftmax({.rows = rows,
                   .rows_per_query = HeadsPerKvHead(arguments),
                   .first_query = task.first_query,
                   .first_key = key,
                   .keys = keys,
                   .window = arguments.window,
                   .head_dim = arguments.head_dim,
                   .scale = arguments.scale,
                   .scores = scratch.scores.as<float>(),
                   .probabilities = {.data = probabilities, .dtype = dtype, .stride = keys},
                   .largest = scratch.largest.as<float>(),
                   .sum = scratch.sum.as<float>(),
                   .mixed = scratch.mixed.as<float>()});
    mix_matmuls_[width]->Execute({.left = probabilities,
                                  .right = values_.data() + ValueOffset(arguments, task, key),
                                  .out = scratch.mixed.data()},
                                 scratch.matmul_caller);
  }
}

void BlockedAttention::AttendOnTiles(const AttentionArguments& arguments, const Task& task,
                                     Scratch& scratch) const {
  const int64_t heads = HeadsPerKvHead(arguments);
  const int64_t rows = RowsOf(arguments, task).count * heads;
  const int64_t row_bytes = row_width_ * ElementBytes(arguments);
  for (int64_t first_row = 0; first_row < rows; first_row += kAmxBlock) {
    AmxAttend({.queries = scratch.queries.data() + first_row * row_bytes,
               .keys = keys_.data() + KeyOffset(arguments, task, 0),
               .values = values_.data() + ValueOffset(arguments, task, 0),
               .value_panel_bytes = ValuePanelBytes(task.sequence),
               .head_dim = row_width_,
               .first_query = task.first_query,
               .first_row = first_row,
               .rows_per_query = heads,
               .rows = std::min(kAmxBlock, rows - first_row),
               .window = arguments.window,
               .scale = arguments.scale,
               .mixed = scratch.mixed.as<float>() + first_row * row_width_,
               .sums = scratch.sum.as<float>() + first_row});
  }
}

void BlockedAttention::WriteResult(const AttentionArguments& arguments, const Task& task,
                                   Scratch& scratch) const {
  const int64_t heads = HeadsPerKvHead(arguments);
  const auto [first_row, queries] = RowsOf(arguments, task);
  const int64_t group_bytes = heads * arguments.head_dim * ElementBytes(arguments);
  const auto float_bytes = static_cast<int64_t>(sizeof(float));
  for (int64_t i = 0; i < queries; ++i) {
    const Rows mixed = {.data = scratch.mixed.data() + i * heads * row_width_ * float_bytes,
                        .dtype = DType::kF32,
                        .stride = row_width_};
    const Rows out = {.data = arguments.out.row(first_row + i) + task.kv_head * group_bytes,
                      .dtype = arguments.out.dtype,
                      .stride = arguments.head_dim};
    DivideRows({.rows = heads, .width = arguments.head_dim}, mixed,
               scratch.sum.as<float>() + i * heads, out);
  }
}

}  // namespace thresher
