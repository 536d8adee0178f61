// What the end of a very large run takes: manifest.json, summary.json and README.md from a store
// that makes up each record when it is asked for.

#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/peak_memory.h"
#include "extract/completion.h"
#include "extract/run_store.h"
#include "work/keys.h"

namespace thresher {
namespace {

constexpr int64_t kSamplesPerUnit = 20;
constexpr int64_t kTokensPerSample = 1000;
constexpr int64_t kHooks = 24;
constexpr int64_t kWidth = 896;

// Processor time: CLOCK_THREAD_CPUTIME_ID or CLOCK_PROCESS_CPUTIME_ID.
double CpuSeconds(clockid_t of) {
  timespec now = {};
  clock_gettime(of, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string HookName(int64_t layer) { return fmt::format("blocks.{}.hook_resid_post", layer); }

// A run of which every unit is committed. Takes what is written, and keeps its size alone.
class MadeUpRun : public Store {
 public:
  MadeUpRun(const Run& run, int64_t latency_ms) : run_(run), latency_ms_(latency_ms) {}

  std::string url() const override { return "memory:"; }

  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(mutex_);
    written_bytes_[std::string(key)] = bytes.size();
    return OkStatus();
  }
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override {
    (void)Put(key, bytes);
    return {CreateOutcome::kWritten, OkStatus()};
  }

  Result<std::string> GetText(std::string_view key) override {
    if (latency_ms_ > 0) Clock::Real().SleepMs(latency_ms_);
    const auto unit = UnitOfRecordKey(key, kCommitsPrefix);
    if (!unit) return NotFound(std::string(key));
    const double begin = CpuSeconds(CLOCK_THREAD_CPUTIME_ID);
    std::string text = CommitText(*unit);
    made_up_us_ += static_cast<int64_t>((CpuSeconds(CLOCK_THREAD_CPUTIME_ID) - begin) * 1e6);
    return text;
  }

  Status GetRange(std::string_view key, int64_t, std::span<std::byte>) override {
    return NotFound(std::string(key));
  }
  Result<ObjectInfo> Stat(std::string_view key) override { return NotFound(std::string(key)); }
  Status Delete(std::string_view) override { return OkStatus(); }

  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    ListPage page;
    if (!prefix.starts_with(kCommitsPrefix)) return page;
    constexpr int64_t kPage = 1000;  // as clouds do
    limit = std::min(limit, kPage);
    const auto last = UnitOfRecordKey(start_after, kCommitsPrefix);
    for (int64_t unit = last ? *last + 1 : 0; unit < run_.plan.unit_count(); ++unit) {
      if (static_cast<int64_t>(page.objects.size()) == limit) {
        page.more = true;
        break;
      }
      page.objects.push_back({.key = CommitKey(unit), .bytes = 1000, .modified_ms = unit});
    }
    return page;
  }

  // What making up the records took: no part of what is measured.
  double made_up_seconds() const { return static_cast<double>(made_up_us_) / 1e6; }
  size_t WrittenBytes(std::string_view key) const { return written_bytes_.at(std::string(key)); }

 private:
  std::string CommitText(int64_t unit) const {
    Commit commit;
    commit.run_fingerprint = run_.fingerprint;
    commit.unit = unit;
    commit.epoch = 1;
    commit.session = "0123456789abcdef";
    commit.first_sample = unit * kSamplesPerUnit;
    commit.sample_count = kSamplesPerUnit;
    commit.sequence_count = kSamplesPerUnit;
    commit.token_count = kSamplesPerUnit * kTokensPerSample;
    commit.forward_token_count = commit.token_count;
    commit.shard = ShardKey(0, unit, 1, commit.session);
    commit.bytes = commit.token_count * kWidth * kHooks * 2;
    commit.checksum = "crc32c:01234567";
    commit.header_checksum = commit.checksum;
    for (int64_t layer = 0; layer < kHooks; ++layer) {
      commit.statistics.push_back({.name = HookName(layer), .statistics = {}});
    }
    return commit.ToText();
  }

  const Run& run_;
  const int64_t latency_ms_;
  std::atomic<int64_t> made_up_us_{0};
  std::mutex mutex_;
  std::map<std::string, size_t> written_bytes_;  // guarded by mutex_
};

Run MakeRun(int64_t units) {
  RunSpec spec;
  spec.model.layer_count = kHooks;
  spec.model.hidden_size = kWidth;
  spec.dataset.sample_count = units * kSamplesPerUnit;
  spec.capture = {
      .hooks = {}, .dtype = "bf16", .compute = "bf16", .engine = "cpu", .batch_tokens = 2048};
  for (int64_t layer = 0; layer < kHooks; ++layer) spec.capture.hooks.push_back(HookName(layer));
  std::vector<int64_t> boundaries;
  for (int64_t unit = 0; unit <= units; ++unit) boundaries.push_back(unit * kSamplesPerUnit);
  Result<Plan> plan = Plan::FromBoundaries(std::move(boundaries), "plan");
  return {spec, spec.Fingerprint(), *std::move(plan)};
}

int Measure(int64_t units, int64_t latency_ms, double max_megabytes) {
  const Run run = MakeRun(units);
  MadeUpRun store(run, latency_ms);
  const int64_t begin_us = Clock::Real().MonotonicUs();
  const double cpu_begin = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
  const Result<std::optional<Completion>> completion = WriteManifest(store, run);
  const double seconds = static_cast<double>(Clock::Real().MonotonicUs() - begin_us) / 1e6;
  const double cpu_seconds = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin;
  if (!completion.ok() || !*completion) {
    fmt::print("not concluded: {}\n", completion.status().message());
    return 1;
  }
  fmt::print(
      "{} units of {} hook points: {:.2f} s, {:.2f} s of processor, of which {:.2f} s made up the "
      "records\n",
      units, kHooks, seconds, cpu_seconds, store.made_up_seconds());
  const double peak_megabytes = static_cast<double>(PeakMemoryBytes()) / 1e6;
  fmt::print("manifest {:.1f} MB, summary {:.1f} kB, peak memory {:.0f} MB\n",
             static_cast<double>(store.WrittenBytes(kManifestKey)) / 1e6,
             static_cast<double>(store.WrittenBytes(kSummaryKey)) / 1e3, peak_megabytes);
  if (max_megabytes > 0 && peak_megabytes > max_megabytes) return fmt::print("too much\n"), 1;
  return 0;
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) {
  CLI::App app("The end of a very large run");
  int64_t units = 1'000'000;
  int64_t latency_ms = 0;
  double max_megabytes = 0;
  bool tiny = false;
  app.add_option("--units", units)->check(CLI::Range(1, 999'999'999));
  app.add_option("--latency-ms", latency_ms, "of every request");
  app.add_option("--max-megabytes", max_megabytes, "fail if it takes more memory");
  app.add_flag("--tiny", tiny, "a small run, to see that it works");
  CLI11_PARSE(app, argc, argv);
  return thresher::Measure(tiny ? 2'000 : units, latency_ms, tiny ? 100 : max_megabytes);
}
