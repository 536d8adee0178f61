#ifndef THRESHER_VERIFY_RUN_FOR_TEST_H_
#define THRESHER_VERIFY_RUN_FOR_TEST_H_

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/temporary_folder_for_test.h"
#include "engine/stored_rows_for_test.h"
#include "extract/completion.h"
#include "extract/run_store.h"
#include "extract/shard_builder.h"
#include "extract/unit_job.h"
#include "model/golden_for_test.h"
#include "model/model.h"
#include "sample/sample_set.h"
#include "shard/convert.h"
#include "store/memory_store.h"
#include "work/keys.h"

namespace thresher {

// An engine that makes rows up: a value depends on token, position, hook point and channel, and on
// nothing else.
class MadeUpEngine : public Engine {
 public:
  MadeUpEngine(std::vector<ShardHook> hooks, DType stored_dtype)
      : hooks_(std::move(hooks)), stored_dtype_(stored_dtype) {}

  const EngineInfo& info() const override { return info_; }

  Status Forward(const PackedBatch& batch, std::span<const HookOutput> outputs) override {
    for (size_t hook = 0; hook < hooks_.size(); ++hook) {
      const int64_t width = hooks_[hook].width;
      std::vector<float> rows;
      for (size_t s = 0; s + 1 < batch.sequence_offsets.size(); ++s) {
        for (int64_t row = batch.sequence_offsets[s]; row < batch.sequence_offsets[s + 1]; ++row) {
          const int32_t token = batch.token_ids[static_cast<size_t>(row)];
          const auto position = static_cast<double>(row - batch.sequence_offsets[s]);
          for (int64_t channel = 0; channel < width; ++channel) {
            rows.push_back(static_cast<float>(
                std::sin(1.7 * token + 0.3 * position + static_cast<double>(hook) +
                         2.1 * static_cast<double>(channel * channel))));
          }
        }
      }
      rows = StoredRowsOf(batch, rows, width);
      EncodeRows(rows.data(), batch.row_count(), width, width, stored_dtype_, outputs[hook].rows,
                 outputs[hook].scales);
    }
    return OkStatus();
  }

 private:
  std::vector<ShardHook> hooks_;
  DType stored_dtype_;
  EngineInfo info_{.name = "made-up", .compute = "f32", .device = "", .max_batch_tokens = 2048};
};

// A finished run in memory: tiny prompts for a tiny model, three samples a unit.
class RunForTest {
 public:
  struct Options {
    DType dtype = DType::kBf16;
    std::vector<std::string> hooks = {"blocks.0.hook_resid_post", "blocks.1.attn.hook_k"};
    std::string compute = "f32";
    bool inputs_can_be_found = false;  // run.json says where model and data set are
    // One line for each sample.
    std::vector<std::string> records = {R"({"id":"a","token_ids":[1,2,3]})",
                                        R"({"id":"b","token_ids":[4]})",
                                        R"({"id":"bad"})",
                                        R"({"id":"d","token_ids":[7,8]})",
                                        R"({"id":"e","token_ids":[1,2,3,4]})",
                                        R"({"id":"f","token_ids":[9,5]})"};
    int64_t samples_per_unit = 3;
    SampleSettings settings = {.max_tokens = 4};
    // Makes the rows; MadeUpEngine if empty.
    std::function<std::unique_ptr<Engine>(const Model&, const std::vector<HookPoint>&)> engine =
        nullptr;
  };

  explicit RunForTest(const Options& options) {
    {
      std::ofstream out(dataset_path());
      for (const std::string& record : options.records) out << record << "\n";
    }
    Result<Model> loaded = LoadModel(model_path());
    THRESHER_CHECK(loaded.ok());
    const Model& model = *loaded;
    const Result<SampleSet> samples =
        SampleSet::Open(dataset_path(), model_path(),
                        {.settings = options.settings, .vocabulary_size = model.vocabulary_size});
    THRESHER_CHECK(samples.ok());

    RunSpec spec;
    spec.model = {.path = options.inputs_can_be_found ? model_path() : "",
                  .architecture = model.architecture,
                  .layer_count = model.layer_count,
                  .hidden_size = model.hidden_size,
                  .config_fingerprint = model.config_fingerprint,
                  .weights_fingerprint = model.weights.Fingerprint()};
    spec.dataset = {.path = options.inputs_can_be_found ? dataset_path() : "",
                    .fingerprint = samples->FingerprintOfFirst(samples->sample_count()).value(),
                    .sample_count = samples->sample_count()};
    spec.prompts = {.fingerprint = samples->reader().fingerprint(),
                    .settings = samples->reader().settings().ToMap()};
    spec.capture = {.hooks = options.hooks,
                    .dtype = std::string(DTypeName(options.dtype)),
                    .compute = options.compute,
                    .engine = "cpu",
                    .batch_tokens = 2048};
    spec.shard_bytes = 1000;
    const std::vector<int64_t> estimates(options.records.size(), 1);
    const auto make_plan = [&](SampleRange) -> Result<Plan> {
      return Plan::Balanced(estimates, options.samples_per_unit);
    };
    Result<Run> created = CreateOrJoinRun(store_, spec, {.make_plan = make_plan});
    THRESHER_CHECK(created.ok());
    run_ = std::make_unique<Run>(*std::move(created));

    std::vector<HookPoint> points;
    format_ = {.run_fingerprint = run_->fingerprint, .hooks = {}, .dtype = options.dtype};
    for (const std::string& name : options.hooks) {
      const Result<HookPoint> point = ParseHookName(name, static_cast<int32_t>(model.layer_count));
      THRESHER_CHECK(point.ok());
      points.push_back(*point);
      format_.hooks.push_back({name, model.graph.width(*model.graph.FindHook(*point))});
    }
    std::unique_ptr<Engine> engine =
        options.engine ? options.engine(model, points)
                       : std::make_unique<MadeUpEngine>(format_.hooks, options.dtype);
    for (int64_t unit = 0; unit < run_->plan.unit_count(); ++unit) {
      WriteUnit(TokeniseUnit(*samples, unit, 1, run_->plan.Samples(unit)).value(), *engine);
    }
    THRESHER_CHECK(WriteManifest(store_, *run_).ok());
  }

  MemoryStore& store() { return store_; }
  const Run& run() const { return *run_; }
  const ShardFormat& format() const { return format_; }
  std::string dataset_path() const { return folder_.path() + "/data.jsonl"; }
  static std::string model_path() { return TestDataPath("golden/qwen2"); }

  std::string Text(const std::string& key) {
    Result<std::string> text = store_.GetText(key);
    THRESHER_CHECK(text.ok());
    return *std::move(text);
  }
  void Put(const std::string& key, const std::string& text) {
    THRESHER_CHECK(store_.Put(key, AsBytes(text)).ok());
  }
  void Delete(const std::string& key) { THRESHER_CHECK(store_.Delete(key).ok()); }

  Commit CommitOf(int64_t unit) {
    Result<Commit> commit = ReadCommit(store_, unit);
    THRESHER_CHECK(commit.ok());
    return *std::move(commit);
  }
  std::string ShardKeyOf(int64_t unit) { return CommitOf(unit).shard; }

  // Changes a commit and seals it again, as someone would who knows the format.
  void ForgeCommit(int64_t unit, const std::function<void(Commit&)>& change) {
    Commit commit = CommitOf(unit);
    change(commit);
    Put(CommitKey(unit), commit.ToText());
  }

  SafetensorsHeader HeaderOf(const std::string& file) {
    const auto bytes = AsBytes(file);
    const auto file_bytes = static_cast<int64_t>(file.size());
    const Result<int64_t> begin = SafetensorsDataBegin(bytes.first(8), file_bytes);
    THRESHER_CHECK(begin.ok());
    Result<SafetensorsHeader> header =
        ParseSafetensorsHeader(bytes.first(static_cast<size_t>(*begin)), file_bytes);
    THRESHER_CHECK(header.ok());
    return *std::move(header);
  }

  // Changes bytes of a shard and gives its commit the checksums of the changed shard.
  void ForgeShard(int64_t unit, const std::function<void(std::string&)>& change) {
    std::string file = Text(ShardKeyOf(unit));
    change(file);
    Put(ShardKeyOf(unit), file);
    const SafetensorsHeader header = HeaderOf(file);
    const auto crc = [&](int64_t begin, int64_t end) {
      return FormatCrc32c(ExtendCrc32c(
          0, AsBytes(file).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin))));
    };
    ForgeCommit(unit, [&](Commit& commit) {
      commit.bytes = static_cast<int64_t>(file.size());
      commit.checksum = crc(0, commit.bytes);
      commit.header_checksum = crc(0, header.data_begin);
      for (TensorRecord& tensor : commit.tensors) {
        const TensorEntry* entry = header.Find(tensor.name);
        tensor.checksum = crc(entry->begin, entry->end);
      }
    });
    // The manifest names the shard's checksum.
    THRESHER_CHECK(WriteManifest(store_, *run_).ok());
  }

  // Sets one element of a tensor of T.
  template <typename T>
  void ForgeElement(int64_t unit, const std::string& tensor, size_t index, T value) {
    ForgeShard(unit, [&](std::string& file) {
      const SafetensorsHeader header = HeaderOf(file);
      const TensorEntry* entry = header.Find(tensor);
      std::memcpy(file.data() + entry->begin + index * sizeof(T), &value, sizeof(T));
    });
  }

 private:
  void WriteUnit(UnitJob job, Engine& engine) {
    job.batches = PackBatches(job.sequence_offsets, 2048);
    ShardBuilder builder(format_, job);
    std::vector<std::byte> memory(static_cast<size_t>(builder.file_bytes()));
    builder.SetMemory(memory.data());
    for (const BatchRange& batch : job.batches) {
      THRESHER_CHECK(batch.first_sequence == 0 && batch.end_sequence == job.sequence_count());
      THRESHER_CHECK(engine.Forward(EngineBatch(job, batch).packed(), builder.Outputs(0)).ok());
      builder.Absorb(job.row_count());
    }
    builder.Finish();
    Commit commit = builder.DescribeContent();
    commit.worker_id = job.unit;
    commit.session = "5e55";
    commit.shard = ShardKey(commit.worker_id, job.unit, job.epoch, commit.session);
    THRESHER_CHECK(store_.Put(commit.shard, builder.file()).ok());
    Put(CommitKey(job.unit), commit.ToText());
  }

  TemporaryFolder folder_;
  MemoryStore store_;
  std::unique_ptr<Run> run_;
  ShardFormat format_;
};

}  // namespace thresher

#endif  // THRESHER_VERIFY_RUN_FOR_TEST_H_
