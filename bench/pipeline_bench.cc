// The worker's pipeline with an engine of known speed in place of a model: how long the engine
// waits for uploads, what the protocol costs it, whether the size of shards matters, what part of a
// disk's speed it reaches, and how long a worker of a half-finished run takes to its first forward
// pass. Real time, real threads.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/byte_size.h"
#include "base/check.h"
#include "base/logger.h"
#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "extract/planner.h"
#include "extract/worker.h"
#include "store/fault_store.h"
#include "store/memory_store.h"
#include "store/store.h"

namespace thresher {
namespace {

using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;

double SecondsBetween(TimePoint begin, TimePoint end) {
  return std::chrono::duration<double>(end - begin).count();
}

SteadyClock::duration Duration(int64_t bytes, double bytes_per_second) {
  return std::chrono::duration_cast<SteadyClock::duration>(
      std::chrono::duration<double>(static_cast<double>(bytes) / bytes_per_second));
}

void CheckOk(const Status& status) {
  if (!status.ok()) fmt::print(stderr, "{}\n", status.message());
  THRESHER_CHECK(status.ok());
}

// Everything here is stored as bf16.
constexpr int64_t kBytesPerValue = 2;

// A data set, its run, and what its shards look like.
struct Workload {
  TemporaryFolder folder;
  std::unique_ptr<SampleSet> samples;
  ShardFormat format;
  RunSpec spec;
  int64_t unit_tokens = 0;

  int64_t BytesPerToken() const {
    int64_t bytes = 8;  // token id, position
    for (const ShardHook& hook : format.hooks) bytes += hook.width * kBytesPerValue;
    return bytes;
  }
};

struct WorkloadShape {
  int64_t samples = 0;
  int64_t shortest_sample = 0;  // tokens
  int64_t longest_sample = 0;
  int64_t hook_count = 0;
  int64_t width = 0;
  int64_t shard_bytes = 0;
};

std::unique_ptr<Workload> MakeWorkload(const WorkloadShape& shape) {
  auto workload = std::make_unique<Workload>();
  const std::string path = workload->folder.PathOf("data.jsonl");
  {
    std::ofstream file(path);
    Random random(7);
    for (int64_t sample = 0; sample < shape.samples; ++sample) {
      const auto range = static_cast<uint64_t>(shape.longest_sample - shape.shortest_sample + 1);
      const int64_t tokens = shape.shortest_sample + static_cast<int64_t>(random.Below(range));
      file << R"({"token_ids":[0)";
      for (int64_t token = 1; token < tokens; ++token) file << ',' << token % 50;
      file << "]}\n";
    }
  }
  workload->samples = std::make_unique<SampleSet>(
      SampleSet::Open(path, workload->folder.path(), {.vocabulary_size = 50}).value());
  const SampleSet& samples = *workload->samples;
  for (int64_t hook = 0; hook < shape.hook_count; ++hook) {
    workload->format.hooks.push_back(
        {"blocks." + std::to_string(hook) + ".hook_resid_post", shape.width});
  }
  workload->format.dtype = DType::kBf16;
  RunSpec& spec = workload->spec;
  spec.model = {"m", "Fake", shape.hook_count, shape.width, "c", "w"};
  spec.dataset = {path, samples.FingerprintOfFirst(samples.sample_count()).value(),
                  samples.sample_count()};
  spec.prompts = {samples.reader().fingerprint(), samples.reader().settings().ToMap()};
  for (const ShardHook& hook : workload->format.hooks) spec.capture.hooks.push_back(hook.name);
  spec.capture.dtype = "bf16";
  spec.capture.compute = "f32";
  spec.capture.engine = "fake";
  spec.capture.batch_tokens = 1;
  spec.shard_bytes = shape.shard_bytes;
  workload->format.run_fingerprint = spec.Fingerprint();
  workload->unit_tokens = std::max<int64_t>(1, shape.shard_bytes / workload->BytesPerToken());
  return workload;
}

// Fills outputs from a block of numbers, at a fixed speed or as fast as memory allows, and notes
// when it worked.
class PacedEngine : public Engine {
 public:
  // `bytes_per_second` 0: as fast as memory allows.
  PacedEngine(const ShardFormat& format, const Progress& progress, int64_t max_batch_tokens,
              double bytes_per_second)
      : format_(format),
        progress_(progress),
        info_{"paced", "f32", "no device", max_batch_tokens},
        bytes_per_second_(bytes_per_second),
        block_(1 << 20) {
    Random random(1);
    for (size_t i = 0; i + 1 < block_.size(); i += 2) {
      // Positive bf16 numbers around one.
      block_[i] = static_cast<std::byte>(random.Next());
      block_[i + 1] = std::byte{0x3f};
    }
  }

  const EngineInfo& info() const override { return info_; }

  Status Forward(const PackedBatch& batch, std::span<const HookOutput> outputs) override {
    Pass pass;
    pass.begin = SteadyClock::now();
    pass.waited_for_unit = 1e-6 * static_cast<double>(progress_.engine_wait_for_unit_us);
    pass.waited_for_arena = 1e-6 * static_cast<double>(progress_.engine_wait_for_arena_us);
    const int64_t tokens = batch.sequence_offsets.back();
    for (size_t hook = 0; hook < outputs.size(); ++hook) {
      const int64_t hook_bytes = tokens * format_.hooks[hook].width * kBytesPerValue;
      Fill(outputs[hook].rows, hook_bytes);
      pass.bytes += hook_bytes;
    }
    if (bytes_per_second_ > 0) {
      std::this_thread::sleep_until(pass.begin + Duration(pass.bytes, bytes_per_second_));
    }
    pass.end = SteadyClock::now();
    passes_.push_back(pass);
    if (after_pass) after_pass(static_cast<int64_t>(passes_.size()));
    return OkStatus();
  }

  struct Pass {
    TimePoint begin;
    TimePoint end;
    int64_t bytes = 0;
    double waited_for_unit = 0;  // seconds before `begin`, from the start of the worker
    double waited_for_arena = 0;
  };
  const std::vector<Pass>& passes() const { return passes_; }

  std::function<void(int64_t passes)> after_pass;

 private:
  void Fill(std::byte* out, int64_t bytes) {
    for (int64_t done = 0; done < bytes;) {
      const int64_t step = std::min(bytes - done, static_cast<int64_t>(block_.size()));
      std::memcpy(out + done, block_.data(), static_cast<size_t>(step));
      done += step;
    }
  }

  const ShardFormat& format_;
  const Progress& progress_;
  const EngineInfo info_;
  const double bytes_per_second_;
  std::vector<std::byte> block_;
  std::vector<Pass> passes_;
};

// A store behind a link of fixed speed: shards take the time that the link needs and are then
// forgotten but for their size; everything else is kept in memory.
class LinkStore : public MemoryStore {
 public:
  // `bytes_per_second` 0: without a limit.
  explicit LinkStore(double bytes_per_second) : bytes_per_second_(bytes_per_second) {}

  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    if (!key.ends_with(".safetensors")) return MemoryStore::Put(key, bytes);
    if (bytes_per_second_ > 0) std::this_thread::sleep_until(Reserve(bytes.size()));
    std::lock_guard lock(mutex_);
    shard_bytes_[std::string(key)] = static_cast<int64_t>(bytes.size());
    return OkStatus();
  }
  Result<ObjectInfo> Stat(std::string_view key) override {
    std::lock_guard lock(mutex_);
    const auto found = shard_bytes_.find(std::string(key));
    if (found == shard_bytes_.end()) return MemoryStore::Stat(key);
    ObjectInfo info;
    info.key = key;
    info.bytes = found->second;
    return info;
  }
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    constexpr int64_t kPage = 1000;  // as clouds do
    return MemoryStore::List(prefix, start_after, std::min(limit, kPage));
  }

 private:
  // When so many bytes more will have gone over the link.
  TimePoint Reserve(size_t bytes) {
    std::lock_guard lock(mutex_);
    link_free_ = std::max(link_free_, SteadyClock::now()) +
                 Duration(static_cast<int64_t>(bytes), bytes_per_second_);
    return link_free_;
  }

  const double bytes_per_second_;
  std::mutex mutex_;
  std::map<std::string, int64_t> shard_bytes_;  // guarded by mutex_
  TimePoint link_free_;                         // guarded by mutex_
};

// Runs one worker over the workload until it ends.
void RunWorker(const Workload& workload, Store& store, Engine& engine, Progress& progress,
               StopRequest& stop, int64_t arenas) {
  Clock& clock = Clock::Real();
  const auto make_plan = [&](SampleRange range) {
    return PlanUnits(*workload.samples, range, {.shard_bytes = workload.unit_tokens});
  };
  const Result<Run> run = CreateOrJoinRun(store, workload.spec, {.make_plan = make_plan});
  CheckOk(run.status());
  const std::string session = RandomSessionId();
  Ledger ledger(store, clock, *run, {.session = session});
  Heartbeat heartbeat;
  heartbeat.session = session;
  const Logger log(clock, LogLevel::kWarning,
                   [](const LogEvent& event) { fmt::print(stderr, "{}\n", event.message); });
  Worker worker({.store = store,
                 .clock = clock,
                 .run = *run,
                 .ledger = ledger,
                 .samples = *workload.samples,
                 .engine = engine,
                 .format = workload.format,
                 .heartbeat = heartbeat,
                 .progress = progress,
                 .stop = stop,
                 .report = [] {},
                 .log = log},
                {.arenas = arenas, .stop_grace_ms = 0});
  const Result<Worker::Outcome> outcome = worker.Run();
  CheckOk(outcome.status());
}

// --- the engine's waits, at several speeds of the store ---

// What an engine did from the begin of its pass `first` to the end of its last one, in seconds.
struct EngineTimes {
  double all = 0;
  double for_unit = 0;   // waited for a unit
  double for_arena = 0;  // waited for an arena
  double own = 0;        // the pipeline's own work on the engine's thread
  int64_t bytes = 0;
};

EngineTimes TimesOf(const std::vector<PacedEngine::Pass>& passes, size_t first = 0) {
  EngineTimes times;
  times.all = SecondsBetween(passes[first].begin, passes.back().end);
  times.for_unit = passes.back().waited_for_unit - passes[first].waited_for_unit;
  times.for_arena = passes.back().waited_for_arena - passes[first].waited_for_arena;
  times.own = times.all - times.for_unit - times.for_arena;
  for (size_t i = first; i < passes.size(); ++i) {
    times.own -= SecondsBetween(passes[i].begin, passes[i].end);
    times.bytes += passes[i].bytes;
  }
  return times;
}

constexpr int64_t kBatchesPerUnit = 8;

// Units of about `shard_bytes`, samples of varying length.
std::unique_ptr<Workload> MakeUnits(int64_t shard_bytes, int64_t unit_count) {
  constexpr int64_t kHooks = 4;
  constexpr int64_t kWidth = 2048;
  constexpr int64_t kMeanTokens = 20;
  const int64_t tokens = shard_bytes * unit_count / (kHooks * kWidth * kBytesPerValue);
  return MakeWorkload({.samples = std::max<int64_t>(unit_count, tokens / kMeanTokens),
                       .shortest_sample = kMeanTokens / 2,
                       .longest_sample = kMeanTokens * 3 / 2,
                       .hook_count = kHooks,
                       .width = kWidth,
                       .shard_bytes = shard_bytes});
}

// The share of its time that an engine must wait because the store is slower: the last unit cannot
// begin before its arena is free, that is, before the unit so many arenas ahead of it is uploaded.
double UnavoidableWait(int64_t units, int64_t arenas, double speed) {
  const auto n = static_cast<double>(units);
  const double all = std::max(n, 2 + (n - static_cast<double>(arenas)) / speed);
  return 1 - n / all;
}

void MeasureWaits(int64_t shard_bytes, double bytes_per_second, int64_t unit_count) {
  const auto workload = MakeUnits(shard_bytes, unit_count);
  fmt::print("the engine makes {}/s, {} units of {}; from its first pass to its last:\n",
             FormatBytes(bytes_per_second), unit_count,
             FormatBytes(static_cast<double>(shard_bytes)));
  fmt::print("  {:>6} {:>7} {:>8} {:>16} {:>12} {:>15} {:>16}\n", "store", "arenas", "seconds",
             "waits for arena", "unavoidable", "waits for unit", "own work a unit");
  for (const double speed : {0.8, 1.0, 1.5, 4.0}) {
    for (const int64_t arenas : {2, 3}) {
      LinkStore store(speed * bytes_per_second);
      Progress progress;
      StopRequest stop;
      PacedEngine engine(workload->format, progress, workload->unit_tokens / kBatchesPerUnit,
                         bytes_per_second);
      RunWorker(*workload, store, engine, progress, stop, arenas);
      const EngineTimes times = TimesOf(engine.passes());
      fmt::print("  {:5.1f}x {:>7} {:>8.2f} {:>14.2f} % {:>10.2f} % {:>13.3f} % {:>13.2f} ms\n",
                 speed, arenas, times.all, 100 * times.for_arena / times.all,
                 100 * UnavoidableWait(unit_count, arenas, speed), 100 * times.for_unit / times.all,
                 1000 * times.own / static_cast<double>(progress.units_committed));
      std::fflush(stdout);
    }
  }
}

// --- shard sizes ---

// `bytes_per_second` of the engine; the store is 1.5 times as fast. 0: as fast as memory allows,
// and a store that takes no time.
void MeasureShardSizes(int64_t smallest_bytes, int64_t largest_units, double bytes_per_second) {
  if (bytes_per_second > 0) {
    fmt::print("\nthe engine makes {}/s, the store is 1.5 times as fast:\n",
               FormatBytes(bytes_per_second));
  } else {
    fmt::print("\nthe engine writes as fast as memory allows, into a store that takes no time:\n");
  }
  fmt::print("  {:>9} {:>6} {:>12} {:>14} {:>14}\n", "shard", "units", "speed", "own work a unit",
             "of a unit");
  constexpr int64_t kArenas = 2;
  for (const int64_t factor : {1, 2, 4}) {
    const int64_t shard_bytes = smallest_bytes * factor;
    const int64_t unit_count = largest_units * 4 / factor;
    const auto workload = MakeUnits(shard_bytes, unit_count);
    LinkStore store(1.5 * bytes_per_second);
    Progress progress;
    StopRequest stop;
    PacedEngine engine(workload->format, progress,
                       workload->unit_tokens / (kBatchesPerUnit * factor), bytes_per_second);
    RunWorker(*workload, store, engine, progress, stop, kArenas);
    // From when every arena has been used once: new memory is slow, and a run is long.
    const size_t warm = std::min(engine.passes().size() / 2,
                                 static_cast<size_t>(kArenas * (kBatchesPerUnit * factor + 1)));
    const EngineTimes times = TimesOf(engine.passes(), warm);
    const double units = static_cast<double>(times.bytes) / static_cast<double>(shard_bytes);
    fmt::print("  {:>9} {:>6} {:>10}/s {:>12.3f} ms {:>12.3f} %\n",
               FormatBytes(static_cast<double>(shard_bytes)), unit_count,
               FormatBytes(static_cast<double>(times.bytes) / times.all), 1000 * times.own / units,
               100 * times.own / times.all);
    std::fflush(stdout);
  }
}

// --- a disk as the limit ---

// Bytes/s of writing whole files of `file_bytes` in a new folder one after another, each on the
// disk before the next one begins.
double SequentialWriteSpeed(int64_t file_bytes, int64_t files) {
  const TemporaryFolder folder;
  std::vector<std::byte> block(1 << 20);
  Random random(3);
  for (std::byte& byte : block) byte = static_cast<std::byte>(random.Next());
  const TimePoint begin = SteadyClock::now();
  for (int64_t i = 0; i < files; ++i) {
    const int file = open(folder.PathOf(std::to_string(i)).c_str(), O_CREAT | O_WRONLY, 0600);
    THRESHER_CHECK(file >= 0);
    for (int64_t done = 0; done < file_bytes;) {
      const auto step = std::min<int64_t>(std::ssize(block), file_bytes - done);
      const ssize_t written = write(file, block.data(), static_cast<size_t>(step));
      THRESHER_CHECK(written > 0);
      done += written;
    }
    THRESHER_CHECK(fsync(file) == 0 && close(file) == 0);
  }
  return static_cast<double>(files * file_bytes) / SecondsBetween(begin, SteadyClock::now());
}

// An engine that is as fast as memory allows, over a run on a disk that is not.
void MeasureDisk(int64_t shard_bytes, int64_t unit_count) {
  const auto workload = MakeUnits(shard_bytes, unit_count);
  fmt::print("\n{} units of {} into a run on the disk of TMPDIR, as fast as it takes them:\n",
             unit_count, FormatBytes(static_cast<double>(shard_bytes)));
  fmt::print("  {:>13} {:>16} {:>9} {:>16} {:>15}\n", "plain writing", "run", "fraction",
             "waits for arena", "waits for unit");
  for (int round = 0; round < 3; ++round) {
    const double alone = SequentialWriteSpeed(shard_bytes, unit_count);
    const TemporaryFolder folder;
    const Result<std::unique_ptr<Store>> store = OpenStore(folder.path());
    CheckOk(store.status());
    Progress progress;
    StopRequest stop;
    PacedEngine engine(workload->format, progress, workload->unit_tokens / kBatchesPerUnit, 0);
    const TimePoint begin = SteadyClock::now();
    RunWorker(*workload, **store, engine, progress, stop, 2);
    const double seconds = SecondsBetween(begin, SteadyClock::now());
    const EngineTimes times = TimesOf(engine.passes());
    const double speed = static_cast<double>(times.bytes) / seconds;
    fmt::print("  {:>11}/s {:>14}/s {:>9.2f} {:>14.2f} % {:>13.3f} %\n", FormatBytes(alone),
               FormatBytes(speed), speed / alone, 100 * times.for_arena / times.all,
               100 * times.for_unit / times.all);
    std::fflush(stdout);
  }
}

// --- a worker that joins a run in the middle ---

void MeasureResume(int64_t commits, int64_t latency_ms) {
  // One sample is one unit.
  const auto workload = MakeWorkload({.samples = commits + 100,
                                      .shortest_sample = 4,
                                      .longest_sample = 4,
                                      .hook_count = 1,
                                      .width = 8,
                                      .shard_bytes = 1});
  LinkStore inner(0);
  {
    Progress progress;
    StopRequest stop;
    PacedEngine engine(workload->format, progress, 4, 0);
    engine.after_pass = [&](int64_t passes) {
      if (passes >= commits) stop.Request();
    };
    const TimePoint begin = SteadyClock::now();
    RunWorker(*workload, inner, engine, progress, stop, 2);
    const double seconds = SecondsBetween(begin, SteadyClock::now());
    fmt::print("\n{} units were committed in {:.1f} s ({:.2f} ms each), without latency\n",
               progress.units_committed.load(), seconds,
               1000 * seconds / static_cast<double>(progress.units_committed));
  }
  FaultStore store(
      inner, Clock::Real(),
      {{.kind = FaultKind::kLatency, .call_count = int64_t{1} << 40, .latency_ms = latency_ms}});
  Progress progress;
  StopRequest stop;
  PacedEngine engine(workload->format, progress, 4, 0);
  int64_t calls = 0;
  engine.after_pass = [&](int64_t passes) {
    if (passes == 1) calls = store.CallCount();
    stop.Request();
  };
  const TimePoint begin = SteadyClock::now();
  RunWorker(*workload, store, engine, progress, stop, 2);
  fmt::print(
      "a worker that joins then, {} ms a request: {:.2f} s and {} requests to its first pass\n",
      latency_ms, SecondsBetween(begin, engine.passes().front().begin), calls);
}

int Main(int argc, char** argv) {
  CLI::App app("Speed of the worker's pipeline with an engine and a store of known speed");
  bool tiny = false;
  bool full = false;
  std::string only;
  app.add_flag("--tiny", tiny, "A few seconds; the figures mean nothing");
  app.add_flag("--full", full, "Shards of 0.5, 1 and 2 GB; takes 5 GB of memory");
  app.add_option("--only", only, "waits, sizes, disk (of TMPDIR) or resume [all]");
  CLI11_PARSE(app, argc, argv);
  constexpr int64_t kMegabyte = 1'000'000;
  const auto wanted = [&](const char* name) { return only.empty() || only == name; };
  if (wanted("waits")) {
    if (tiny) {
      MeasureWaits(2 * kMegabyte, 40e6, 4);
    } else {
      MeasureWaits((full ? 200 : 40) * kMegabyte, 100e6, 20);
    }
  }
  if (wanted("sizes")) {
    const int64_t smallest = (full ? 500 : tiny ? 1 : 50) * kMegabyte;
    MeasureShardSizes(smallest, 4, full ? 200e6 : 100e6);
    MeasureShardSizes(smallest, 8, 0);
  }
  if (wanted("disk")) {
    MeasureDisk((full ? 1000 : tiny ? 1 : 100) * kMegabyte, tiny ? 4 : full ? 16 : 30);
  }
  if (wanted("resume")) MeasureResume(tiny ? 50 : 10'000, tiny ? 1 : 5);
  return 0;
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) { return thresher::Main(argc, argv); }
