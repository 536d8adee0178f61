#ifndef THRESHER_ENGINE_CPU_ATTENTION_H_
#define THRESHER_ENGINE_CPU_ATTENTION_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "engine/cpu/aligned_buffer.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/matmul.h"

namespace thresher {

// Attention as graph.h defines it, over the rows of a whole batch.
struct AttentionArguments {
  Rows q;    // [tokens, heads * head_dim]; f32 or bf16, as the others
  Rows k;    // [tokens, kv_heads * head_dim]
  Rows v;    // [tokens, kv_heads * head_dim]
  Rows out;  // [tokens, heads * head_dim]
  std::span<const int64_t> sequence_offsets;  // [sequences + 1]
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  float scale = 1.0F;
  int64_t window = 0;  // 0: none
};

// Exact attention in blocks, with the softmax carried from one block of keys to the next (online
// softmax), so that memory does not grow with the square of the length.
//
// 1. The keys and values of each head are copied side by side, each sequence filled up with zero
//    rows to whole blocks: products then run at full speed on shapes of which there are few, and no
//    sequence ever touches another's rows.
// 2. A task is a (sequence, block of kQueryBlock queries, key/value head). The query heads that
//    share the head are stacked as rows. Blocks of keys follow each other up to the diagonal; those
//    outside the window are skipped.
// 3. oneDNN's products take all rows of a task and many keys at once. On tiles (AMX) keys and
// values
//    are packed, and few rows go over a panel of keys at a time: their scores stay in the
//    first-level cache until they are used up (amx_attention.h).
//
// A sequence's result depends neither on the other sequences nor on the number of threads.
class BlockedAttention {
 public:
  static constexpr int64_t kQueryBlock = 64;

  // `on_tiles`: runs bf16 on tiles; AmxIsUsable().
  BlockedAttention(MatmulCache& cache, int threads, bool on_tiles);

  Status Run(const AttentionArguments& arguments);

 private:
  struct Task {
    int64_t sequence;
    int64_t first_query;  // position in the sequence
    int64_t kv_head;
    int64_t first_key;  // a multiple of kQueryBlock
    int64_t keys;       // a multiple of kQueryBlock
  };

  // A block of scores (not on tiles), and what is kept per row from block to block.
  struct Scratch {
    explicit Scratch(const dnnl::engine& engine) : matmul_caller(engine) {}

    AlignedBuffer queries;
    AlignedBuffer scores;
    AlignedBuffer probabilities;
    AlignedBuffer mixed;
    AlignedBuffer largest;
    AlignedBuffer sum;
    MatmulCaller matmul_caller;
  };

  void PlanTasks(const AttentionArguments& arguments);
  Status CopyKeysAndValues(const AttentionArguments& arguments);
  void PrepareMatmuls(const AttentionArguments& arguments);
  void CopyBlock(const AttentionArguments& arguments, const Task& task);
  void PackBlock(const AttentionArguments& arguments, const Task& task);
  void RunTask(const AttentionArguments& arguments, const Task& task, Scratch& scratch) const;
  void ReadQueries(const AttentionArguments& arguments, const Task& task, Scratch& scratch) const;
  void Attend(const AttentionArguments& arguments, const Task& task, Scratch& scratch) const;
  void AttendOnTiles(const AttentionArguments& arguments, const Task& task, Scratch& scratch) const;
  void WriteResult(const AttentionArguments& arguments, const Task& task, Scratch& scratch) const;

  // Where a task's queries lie in the batch.
  struct TaskRows {
    int64_t first;
    int64_t count;  // 1 to kQueryBlock
  };
  static TaskRows RowsOf(const AttentionArguments& arguments, const Task& task);

  // Byte offset in keys_ of a position of a task's sequence.
  int64_t KeyOffset(const AttentionArguments& arguments, const Task& task, int64_t position) const;
  // The same in values_.
  int64_t ValueOffset(const AttentionArguments& arguments, const Task& task,
                      int64_t position) const;
  // On tiles: from one panel of a sequence's values to the next.
  int64_t ValuePanelBytes(int64_t sequence) const;

  MatmulCache& cache_;
  const int threads_;
  const bool on_tiles_;
  bool runs_on_tiles_ = false;           // the current run
  int64_t row_width_ = 0;                // of a head in scratch: head_dim, filled up with zeros
  std::vector<Scratch> scratch_;         // one for each thread
  std::vector<Task> tasks_;              // the longest first
  std::vector<int64_t> padded_offsets_;  // [sequences + 1]: sequences in whole blocks
  AlignedBuffer keys_;                   // [kv_heads, padded rows, head_dim] or panels of it
  AlignedBuffer values_;                 // the same
  std::vector<const Matmul*> score_matmuls_;  // by number of keys / kQueryBlock; not on tiles
  std::vector<const Matmul*> mix_matmuls_;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_ATTENTION_H_
