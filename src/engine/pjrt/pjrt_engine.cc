#include "engine/pjrt/pjrt_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <compare>
#include <deque>
#include <future>
#include <map>
#include <utility>

#include "base/check.h"
#include "engine/common/engine_checks.h"
#include "engine/common/rope_table.h"
#include "engine/pjrt/batch_inputs.h"
#include "engine/pjrt/batch_run.h"
#include "engine/pjrt/batch_sizes.h"
#include "engine/pjrt/cudnn_attention.h"
#include "engine/pjrt/device_weights.h"
#include "engine/pjrt/executable_cache.h"
#include "engine/pjrt/graph_program.h"
#include "engine/pjrt/owned_batch.h"
#include "engine/pjrt/staging.h"

namespace thresher {
namespace {

// While one batch is computed, the results of another are copied.
constexpr size_t kBatchesPerGroup = 2;

// On a GPU every turn of a loop whose end is known only when it runs waits for the host, which
// costs about what a block's products do; there the loops must earn more than the skipped blocks.
int64_t WholeAttentionUpTo(const PjrtClient& client) {
  constexpr int64_t kOnGpu = 16384;
  const bool is_gpu = client.platform() == "cuda" || client.platform() == "rocm";
  return is_gpu ? kOnGpu : GraphProgramOptions().whole_attention_up_to;
}

// What a program is compiled for.
struct ProgramSize {
  int64_t tokens = 0;
  int64_t rows = 0;  // of each hook point that cross to the host; `tokens`: all of them

  auto operator<=>(const ProgramSize&) const = default;
};

// The program of one size, compiled for each group of devices.
struct SizedProgram {
  GraphProgram program;
  std::vector<PjrtExecutable> executables;  // [1]: runs on any device; else one for each group
};

class PjrtEngine final : public Engine {
 public:
  PjrtEngine(std::unique_ptr<PjrtClient> client, const Graph& graph,
             const std::vector<HookPoint>& hooks, const PjrtEngineOptions& options)
      : client_(std::move(client)),
        graph_(graph),
        hooks_(hooks),
        options_(options),
        cache_(*client_, options.executable_cache),
        staging_(*client_),
        largest_(BatchSizes(options.max_batch_tokens).back()) {}

  ~PjrtEngine() override { in_flight_.clear(); }

  Status Load(const WeightLookup& lookup);

  const EngineInfo& info() const override { return info_; }
  size_t queue_depth() const override { return kBatchesPerGroup * groups_.size(); }
  Status Forward(const PackedBatch& batch, std::span<const HookOutput> outputs) override;
  Status Submit(const PackedBatch& batch, std::span<const HookOutput> outputs) override;
  Status Finish() override;

 private:
  // A batch that was submitted, with what became of it so far.
  struct InFlight {
    OwnedBatch batch;
    Status started;  // if not ok, `run` is of no use
    const SizedProgram* sized = nullptr;
    std::unique_ptr<BatchRun> run;
  };

  Status MakeGroups();
  Status CheckCudnn() const;
  Status FindEmbedding(const WeightLookup& lookup);
  GraphProgramOptions ProgramOptions(const ProgramSize& size) const;
  ProgramSize LargestSize() const;
  Result<SizedProgram> Compile(const ProgramSize& size);
  Result<SizedProgram> CompileLargest();
  Result<const SizedProgram*> ProgramFor(const PackedBatch& batch);
  InFlight Start(OwnedBatch batch);
  Status Collect(InFlight& in_flight);
  Status RunInParts(const OwnedBatch& batch, const Status& why);
  Status ShrinkBelow(int64_t tokens, const Status& why);

  // In the order in which they must outlive each other.
  std::unique_ptr<PjrtClient> client_;
  const Graph graph_;
  const std::vector<HookPoint> hooks_;
  const PjrtEngineOptions options_;
  std::vector<int64_t> row_bytes_;  // by hook point
  EngineInfo info_;
  ExecutableCache cache_;
  StagingPool staging_;
  std::vector<std::vector<PjrtDevice>> groups_;
  DeviceWeights weights_;
  WeightView embedding_;
  std::vector<RopeTable> ropes_;
  std::map<ProgramSize, SizedProgram> programs_;
  int64_t largest_;  // batches of several sequences have no more tokens
  size_t next_group_ = 0;
  std::deque<InFlight> in_flight_;
};

Status PjrtEngine::MakeGroups() {
  const std::vector<PjrtDevice>& devices = client_->devices();
  const auto count = static_cast<int64_t>(devices.size());
  const int64_t model = options_.mesh.model;
  if (model < 1 || options_.mesh.data < 0) {
    return InvalidArgument("a mesh has at least one device in each direction");
  }
  const int64_t data = options_.mesh.data > 0 ? options_.mesh.data : count / model;
  if (data < 1 || data * model > count) {
    return InvalidArgument(
        fmt::format("a mesh of data={}, model={} needs {} devices and there are {}: thresher "
                    "devices lists them",
                    std::max<int64_t>(1, data), model, std::max<int64_t>(1, data) * model, count));
  }
  for (int64_t g = 0; g < data; ++g) {
    groups_.emplace_back(devices.begin() + g * model, devices.begin() + (g + 1) * model);
  }
  info_ = {
      .name = options_.name,
      .compute = std::string(DTypeName(options_.compute)),
      .device = fmt::format("{} of {} {}, data={} model={}, PJRT {}", data * model, count,
                            devices.front().kind, data, model, client_->plugin().api_version()),
      .max_batch_tokens = options_.max_batch_tokens};
  return OkStatus();
}

Status PjrtEngine::CheckCudnn() const {
  if (!options_.cudnn_attention) return OkStatus();
  if (client_->platform() != "cuda") {
    return InvalidArgument(
        fmt::format("attention by cuDNN needs devices of the platform cuda, and "
                    "these are of {}",
                    client_->platform()));
  }
  if (options_.compute != DType::kBf16 || options_.mesh.model > 1) {
    return InvalidArgument(
        "attention by cuDNN needs --compute bf16 and a batch for each device (--mesh model=1)");
  }
  const bool any = std::ranges::any_of(graph_.nodes(), [&](const Node& node) {
    const auto* attention = std::get_if<Attention>(&node.operation);
    return attention != nullptr && CudnnCanAttend(*attention, largest_);
  });
  if (any) return OkStatus();
  return InvalidArgument(
      "cuDNN has no attention for this model: its heads have more than 128 channels, or a number "
      "that is no multiple of 8, or look through a window shorter than the batch");
}

Status PjrtEngine::FindEmbedding(const WeightLookup& lookup) {
  for (const Node& node : graph_.nodes()) {
    const auto* embed = std::get_if<Embed>(&node.operation);
    if (embed == nullptr) continue;
    ASSIGN_OR_RETURN(embedding_, lookup(graph_.parameter(embed->table)));
    return OkStatus();
  }
  return InvalidArgument("the model has no embedding table");
}

GraphProgramOptions PjrtEngine::ProgramOptions(const ProgramSize& size) const {
  return {.tokens = size.tokens,
          .picked_rows = size.rows < size.tokens ? std::optional(size.rows) : std::nullopt,
          .compute = options_.compute,
          .stored = options_.stored_dtype,
          .embedding = embedding_.dtype,
          .devices = options_.mesh.model,
          .loop_layers = options_.loop_layers,
          .attention_block = options_.attention_block,
          .whole_attention_up_to =
              options_.whole_attention_up_to.value_or(WholeAttentionUpTo(*client_)),
          .cudnn_attention = options_.cudnn_attention};
}

// That of most batches.
ProgramSize PjrtEngine::LargestSize() const {
  const double rows = std::ceil(options_.stored_share * static_cast<double>(largest_));
  return {.tokens = largest_, .rows = RowCapacityFor(static_cast<int64_t>(rows), largest_)};
}

Result<SizedProgram> PjrtEngine::Compile(const ProgramSize& size) {
  SizedProgram sized;
  ASSIGN_OR_RETURN(sized.program, WriteGraphProgram(graph_, hooks_, ProgramOptions(size)));
  CompileOptions options{.partitions = options_.mesh.model, .device_ids = {}};
  for (const std::vector<PjrtDevice>& group : groups_) {
    if (options.partitions > 1) {
      options.device_ids.clear();
      for (const PjrtDevice& device : group) options.device_ids.push_back(device.id);
    }
    Result<PjrtExecutable> executable = cache_.Get(sized.program.module, options);
    if (!executable.ok()) {
      return executable.status().WithContext(
          fmt::format("compiling the program for {} tokens", size.tokens));
    }
    sized.executables.push_back(*std::move(executable));
    if (options.partitions == 1) break;
  }
  return sized;
}

// Of the largest size that fits the device's memory, as the compiler says.
Result<SizedProgram> PjrtEngine::CompileLargest() {
  while (true) {
    Result<SizedProgram> sized = Compile(LargestSize());
    if (sized.status().code() != Code::kResourceExhausted) return sized;
    RETURN_IF_ERROR(ShrinkBelow(largest_, sized.status()));
  }
}

// The program of the usual size is compiled while the weights are on their way.
Status PjrtEngine::Load(const WeightLookup& lookup) {
  RETURN_IF_ERROR(CheckCudnn().WithContext("--device-attention"));
  RETURN_IF_ERROR(MakeGroups());
  RETURN_IF_ERROR(FindEmbedding(lookup));
  ASSIGN_OR_RETURN(const GraphProgram program,
                   WriteGraphProgram(graph_, hooks_, ProgramOptions(LargestSize())));
  for (const std::vector<float>& frequencies : program.ropes) ropes_.emplace_back(frequencies);
  for (const HookPoint& hook : hooks_) {
    row_bytes_.push_back(graph_.width(graph_.hooks().at(hook)) * DTypeBytes(options_.stored_dtype));
  }
  std::future<Result<SizedProgram>> compiling =
      std::async(std::launch::async, [&] { return CompileLargest(); });
  Result<DeviceWeights> weights = UploadWeights(*client_, groups_, program, graph_, lookup);
  Result<SizedProgram> compiled = compiling.get();
  ASSIGN_OR_RETURN(weights_, std::move(weights));
  ASSIGN_OR_RETURN(SizedProgram usual, std::move(compiled));
  programs_.emplace(LargestSize(), std::move(usual));
  return OkStatus();
}

Result<const SizedProgram*> PjrtEngine::ProgramFor(const PackedBatch& batch) {
  const int64_t tokens = BatchSizeFor(batch.token_count(), options_.max_batch_tokens);
  const ProgramSize size = {
      .tokens = tokens,
      .rows = batch.stored_tokens ? RowCapacityFor(batch.row_count(), tokens) : tokens};
  const auto found = programs_.find(size);
  if (found != programs_.end()) return &found->second;
  ASSIGN_OR_RETURN(SizedProgram sized, Compile(size));
  return &programs_.emplace(size, std::move(sized)).first->second;
}

PjrtEngine::InFlight PjrtEngine::Start(OwnedBatch batch) {
  InFlight in_flight;
  in_flight.batch = std::move(batch);
  in_flight.started = [&]() -> Status {
    const PackedBatch packed = in_flight.batch.packed();
    if (packed.token_count() > largest_ && packed.sequence_offsets.size() > 2) {
      return ResourceExhausted("an earlier batch of that size did not fit");
    }
    ASSIGN_OR_RETURN(in_flight.sized, ProgramFor(packed));
    const SizedProgram& sized = *in_flight.sized;
    const size_t group = next_group_++ % groups_.size();
    in_flight.run = std::make_unique<BatchRun>(
        BatchRunParts{.client = *client_,
                      .staging = staging_,
                      .program = sized.program,
                      .executable = sized.executables[sized.executables.size() == 1 ? 0 : group],
                      .devices = groups_[group],
                      .weights = weights_[group],
                      .timeout_ms = options_.device_timeout_ms,
                      .brings_results = !options_.brings_rows || *options_.brings_rows});
    return in_flight.run->Start(MakeBatchInputs(sized.program, packed, embedding_, ropes_));
  }();
  return in_flight;
}

Status PjrtEngine::Submit(const PackedBatch& batch, std::span<const HookOutput> outputs) {
  RETURN_IF_ERROR(CheckBatch(batch, outputs,
                             {.hook_count = hooks_.size(),
                              .stored_dtype = options_.stored_dtype,
                              .vocabulary = embedding_.shape[0]}));
  OwnedBatch owned = CopyBatch(batch, outputs);
  in_flight_.push_back(batch.row_count() == 0 ? InFlight{.batch = std::move(owned),
                                                         .started = OkStatus(),
                                                         .sized = nullptr,
                                                         .run = nullptr}
                                              : Start(std::move(owned)));
  return OkStatus();
}

// Waits for a started batch and writes its rows.
Status PjrtEngine::Collect(InFlight& in_flight) {
  if (in_flight.run == nullptr) return in_flight.started;
  if (!in_flight.started.ok()) return in_flight.started;
  const Status ended = in_flight.run->Wait();
  if (IsTimeout(ended) && options_.on_hang) options_.on_hang(ended.message());
  RETURN_IF_ERROR(ended);
  if (in_flight.run->results().empty()) return OkStatus();
  WriteHookRows(in_flight.sized->program, in_flight.run->results(), in_flight.batch.packed(),
                options_.stored_dtype, in_flight.batch.outputs);
  return OkStatus();
}

Status PjrtEngine::Finish() {
  THRESHER_CHECK(!in_flight_.empty());
  InFlight in_flight = std::move(in_flight_.front());
  in_flight_.pop_front();
  Status status = Collect(in_flight);
  if (status.code() != Code::kResourceExhausted) return status;
  in_flight.run.reset();
  return RunInParts(in_flight.batch, status);
}

Status PjrtEngine::Forward(const PackedBatch& batch, std::span<const HookOutput> outputs) {
  THRESHER_CHECK(in_flight_.empty());
  RETURN_IF_ERROR(Submit(batch, outputs));
  return Finish();
}

// Makes the size below `tokens` the largest.
Status PjrtEngine::ShrinkBelow(int64_t tokens, const Status& why) {
  const std::vector<int64_t> sizes = BatchSizes(options_.max_batch_tokens);
  const auto size = std::ranges::lower_bound(sizes, tokens);
  if (size == sizes.begin()) {
    return ResourceExhausted(
        "the device's memory does not suffice for the smallest batch: capture fewer hook points, "
        "use --compute bf16, or split the model over more devices (--mesh model=N); " +
        why.message());
  }
  largest_ = std::min(largest_, *std::prev(size));
  return OkStatus();
}

Status PjrtEngine::RunInParts(const OwnedBatch& batch, const Status& why) {
  const int64_t tokens = batch.packed().token_count();
  const size_t sequences = batch.sequence_count();
  if (sequences == 1 && tokens > BatchSizes(options_.max_batch_tokens).front()) {
    return ResourceExhausted(fmt::format(
        "the device's memory does not suffice for a sequence of {} tokens: use a smaller "
        "--max-tokens, capture fewer hook points, or split the model over more devices (--mesh "
        "model=N); {}",
        tokens, why.message()));
  }
  RETURN_IF_ERROR(ShrinkBelow(BatchSizeFor(tokens, options_.max_batch_tokens), why));
  size_t first = 0;
  while (first < sequences) {
    size_t end = first + 1;
    while (end < sequences && batch.offsets[end + 1] - batch.offsets[first] <= largest_) ++end;
    OwnedBatch part = PartOfBatch(batch, first, end, row_bytes_);
    if (part.packed().row_count() > 0) {
      InFlight in_flight = Start(std::move(part));
      const Status status = Collect(in_flight);
      if (status.code() == Code::kResourceExhausted) {
        in_flight.run.reset();
        RETURN_IF_ERROR(RunInParts(in_flight.batch, status));
      } else {
        RETURN_IF_ERROR(status);
      }
    }
    first = end;
  }
  return OkStatus();
}

}  // namespace

Result<std::unique_ptr<Engine>> CreatePjrtEngine(std::unique_ptr<PjrtClient> client,
                                                 const Graph& graph, const WeightLookup& lookup,
                                                 const std::vector<HookPoint>& hooks,
                                                 const PjrtEngineOptions& options) {
  RETURN_IF_ERROR(CheckHooks(hooks));
  if (options.max_batch_tokens < 1) {
    return InvalidArgument(
        fmt::format("max_batch_tokens is {}: must be positive", options.max_batch_tokens));
  }
  auto engine = std::make_unique<PjrtEngine>(std::move(client), graph, hooks, options);
  RETURN_IF_ERROR(engine->Load(lookup));
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace thresher
