// `thresher status` and the dashboard on a very large run: how long one look takes, how many
// requests it makes, and how much memory. The store is made up: it answers lists and reads as that
// of a run would, from the numbers alone.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/peak_memory.h"
#include "monitor/run_reader.h"
#include "monitor/status_json.h"
#include "store/store.h"
#include "work/keys.h"

namespace thresher {
namespace {

struct Shape {
  int64_t units = 1'000'000;
  int64_t workers = 10'000;
  int64_t latency_ms = 0;  // of each request
};

constexpr int64_t kSamplesPerUnit = 20;
constexpr int64_t kStartMs = 1'700'000'000'000;
constexpr int64_t kNowMs = kStartMs + 86'400'000;
constexpr int64_t kTokensPerSample = 1000;

// Three fifths of the blocks are finished and marked; of the others every second unit is committed,
// and the workers hold some of the rest. Seven units are set aside.
class MadeUpRun : public Store {
 public:
  explicit MadeUpRun(const Shape& shape) : shape_(shape) {
    spec_.model.layer_count = 24;
    spec_.model.hidden_size = 896;
    spec_.dataset.sample_count = shape.units * kSamplesPerUnit;
    spec_.capture = {.hooks = {"blocks.0.hook_resid_post"},
                     .dtype = "bf16",
                     .compute = "bf16",
                     .engine = "cpu",
                     .batch_tokens = 2048};
    spec_.shard_bytes = 1 << 30;
    std::vector<int64_t> boundaries;
    for (int64_t unit = 0; unit <= shape.units; ++unit)
      boundaries.push_back(unit * kSamplesPerUnit);
    const Result<Plan> plan = Plan::FromBoundaries(std::move(boundaries), "plan");
    plan_text_ = plan->ToJson();
  }

  int64_t FinishedBlocks() const { return BlockCount(shape_.units) * 3 / 5; }
  bool IsCommitted(int64_t unit) const { return BlockOf(unit) < FinishedBlocks() || unit % 2 == 0; }
  bool IsSetAside(int64_t unit) const { return !IsCommitted(unit) && unit > shape_.units - 15; }
  int64_t HeldBy(int64_t worker) const {
    const int64_t first = FinishedBlocks() * kBlockUnits;
    return (first + worker * 7 % std::max<int64_t>(1, shape_.units - first - 16)) | 1;
  }
  int64_t requests() const { return requests_; }

  std::string url() const override { return "memory:"; }
  Status Put(std::string_view, std::span<const std::byte>) override { return ReadOnly(); }
  CreateResult CreateIfAbsent(std::string_view, std::span<const std::byte>) override {
    return {CreateOutcome::kUnknown, ReadOnly()};
  }
  Status Delete(std::string_view) override { return ReadOnly(); }
  Status GetRange(std::string_view key, int64_t, std::span<std::byte>) override {
    return NotFound(std::string(key));
  }

  Result<std::string> GetText(std::string_view key) override {
    Answer();
    if (key == kRunKey) return spec_.ToText();
    if (key == PlanKey(spec_.Fingerprint())) return plan_text_;
    if (const auto unit = UnitOfRecordKey(key, kCommitsPrefix)) return CommitText(*unit);
    if (const auto unit = UnitOfRecordKey(key, kQuarantinePrefix)) {
      return Quarantine{.unit = *unit, .first_sample = *unit, .sample_count = 1, .errors = {"x"}}
          .ToText();
    }
    if (const auto name = ParseHeartbeatKey(key)) return HeartbeatText(name->worker_id);
    return NotFound(std::string(key));
  }

  Result<ObjectInfo> Stat(std::string_view key) override {
    Answer();
    if (key != kRunKey) return NotFound(std::string(key));
    return ObjectInfo{.key = std::string(key), .bytes = 1, .modified_ms = kStartMs};
  }

  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override {
    Answer();
    constexpr int64_t kPage = 1000;  // as clouds do
    limit = std::min(limit, kPage);
    if (prefix.starts_with(kIndexPrefix)) return ListMarks(start_after, limit);
    if (prefix.starts_with(kWorkersPrefix)) return ListWorkers(start_after, limit);
    const bool commits = prefix.starts_with(kCommitsPrefix);
    if (!commits && !prefix.starts_with(kQuarantinePrefix)) return ListPage{};
    return ListUnitsOf(prefix, start_after, limit, commits);
  }

 private:
  static Status ReadOnly() { return FailedPrecondition("this store is only read"); }

  void Answer() {
    ++requests_;
    if (shape_.latency_ms > 0) Clock::Real().SleepMs(shape_.latency_ms);
  }

  static ObjectInfo Object(std::string key, int64_t modified_ms) {
    return {.key = std::move(key), .bytes = 1000, .modified_ms = modified_ms};
  }

  std::string CommitText(int64_t unit) const {
    Commit commit;
    commit.unit = unit;
    commit.epoch = 1;
    commit.first_sample = unit * kSamplesPerUnit;
    commit.sample_count = kSamplesPerUnit;
    commit.sequence_count = kSamplesPerUnit;
    commit.token_count = kSamplesPerUnit * kTokensPerSample;
    commit.forward_token_count = commit.token_count;
    commit.shard = ShardKey(0, unit, 1, "s");
    commit.bytes = commit.token_count * 896 * 2;
    return commit.ToText();
  }

  std::string HeartbeatText(int64_t worker) const {
    Heartbeat beat;
    beat.worker_id = worker;
    beat.session = "s" + std::to_string(worker);
    beat.state = "running";
    beat.host = "host-" + std::to_string(worker);
    beat.started_unix_ms = kStartMs;
    beat.updated_unix_ms = kNowMs;
    beat.progressed_unix_ms = kNowMs;
    beat.lease_ttl_ms = 180'000;
    beat.beat_interval_ms = 15'000;
    beat.recent_tokens_per_second = 500;
    beat.units_held = {HeldBy(worker)};
    beat.units_taken_over = worker % 10 == 0 ? 1 : 0;
    return beat.ToText();
  }

  ListPage ListMarks(std::string_view start_after, int64_t limit) const {
    ListPage page;
    for (int64_t block = 0; block < FinishedBlocks(); ++block) {
      std::string key = BlockMarkKey(block, kBlockUnits, BlockMark::kFinished);
      if (key <= start_after) continue;
      if (static_cast<int64_t>(page.objects.size()) == limit) {
        page.more = true;
        break;
      }
      page.objects.push_back(Object(std::move(key), kStartMs + 60'000 * block));
    }
    return page;
  }

  // In the order of keys, which is not that of numbers.
  ListPage ListWorkers(std::string_view start_after, int64_t limit) {
    if (worker_keys_.empty()) {
      for (int64_t worker = 0; worker < shape_.workers; ++worker) {
        worker_keys_.push_back(HeartbeatKey(worker, "s" + std::to_string(worker)));
      }
      std::sort(worker_keys_.begin(), worker_keys_.end());
    }
    ListPage page;
    auto next = std::upper_bound(worker_keys_.begin(), worker_keys_.end(), start_after);
    for (; next != worker_keys_.end(); ++next) {
      if (static_cast<int64_t>(page.objects.size()) == limit) {
        page.more = true;
        break;
      }
      page.objects.push_back(Object(*next, kNowMs - 5'000));
    }
    return page;
  }

  // Units of one block (their numbers have six digits, as many as their names), or of all.
  ListPage ListUnitsOf(std::string_view prefix, std::string_view start_after, int64_t limit,
                       bool commits) const {
    const std::string_view folder = commits ? kCommitsPrefix : kQuarantinePrefix;
    int64_t begin = commits ? 0 : shape_.units - 15;
    int64_t end = shape_.units;
    if (prefix.size() > folder.size()) {
      const int64_t block = std::stoll(std::string(prefix.substr(folder.size() + 5)));
      begin = block * kBlockUnits;
      end = std::min(end, begin + kBlockUnits);
    }
    ListPage page;
    for (int64_t unit = std::max<int64_t>(0, begin); unit < end; ++unit) {
      if (commits ? !IsCommitted(unit) : !IsSetAside(unit)) continue;
      std::string key = commits ? CommitKey(unit) : QuarantineKey(unit);
      if (key <= start_after) continue;
      if (static_cast<int64_t>(page.objects.size()) == limit) {
        page.more = true;
        break;
      }
      page.objects.push_back(Object(std::move(key), kStartMs + unit));
    }
    return page;
  }

  const Shape shape_;
  RunSpec spec_;
  std::string plan_text_;
  std::vector<std::string> worker_keys_;
  std::atomic<int64_t> requests_{0};
};

// What is wrong with the status of the made-up run; empty: nothing.
std::string WhatIsWrong(const RunStatus& status, const MadeUpRun& run, const Shape& shape) {
  int64_t committed = 0;
  int64_t set_aside = 0;
  for (int64_t unit = 0; unit < shape.units; ++unit) {
    committed += run.IsCommitted(unit) ? 1 : 0;
    set_aside += run.IsSetAside(unit) ? 1 : 0;
  }
  if (status.committed_count != committed) return "the number of committed units";
  if (status.quarantined_count != set_aside) return "the number of units set aside";
  if (status.worker_counts[static_cast<size_t>(WorkerState::kRunning)] != shape.workers) {
    return "the number of running workers";
  }
  // Every unit has as many tokens, so that the sample is exact.
  if (status.tokens != committed * kSamplesPerUnit * kTokensPerSample) return "the tokens";
  if (status.tokens_per_second != 500.0 * static_cast<double>(shape.workers)) return "the speed";
  return "";
}

int Measure(const Shape& shape, double max_seconds, double max_megabytes) {
  MadeUpRun run(shape);
  RunReader reader(run);
  double slowest = 0;
  for (const char* look : {"first look", "second look"}) {
    const int64_t requests_before = run.requests();
    const int64_t begin_us = Clock::Real().MonotonicUs();
    const Result<RunStatus> status = reader.Read({.now_unix_ms = kNowMs});
    const double seconds = static_cast<double>(Clock::Real().MonotonicUs() - begin_us) / 1e6;
    if (!status.ok()) {
      fmt::print("{}\n", status.status().message());
      return 1;
    }
    const std::string wrong = WhatIsWrong(*status, run, shape);
    if (!wrong.empty()) {
      fmt::print("{} is wrong\n", wrong);
      return 1;
    }
    const int64_t json_begin_us = Clock::Real().MonotonicUs();
    const size_t json_bytes = StatusJson(*status, {}, {}).dump().size();
    fmt::print("{}: {} units, {} workers: {:.2f} s, {} requests; as JSON {:.2f} s, {:.1f} MB\n",
               look, shape.units, shape.workers, seconds, run.requests() - requests_before,
               static_cast<double>(Clock::Real().MonotonicUs() - json_begin_us) / 1e6,
               static_cast<double>(json_bytes) / 1e6);
    slowest = std::max(slowest, seconds);
  }
  const double peak_megabytes = static_cast<double>(PeakMemoryBytes()) / 1e6;
  fmt::print("peak memory {:.0f} MB\n", peak_megabytes);
  if (max_seconds > 0 && slowest > max_seconds) return fmt::print("too slow\n"), 1;
  if (max_megabytes > 0 && peak_megabytes > max_megabytes) return fmt::print("too much\n"), 1;
  return 0;
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) {
  CLI::App app("One look at a very large run");
  thresher::Shape shape;
  double max_seconds = 0;
  double max_megabytes = 0;
  bool tiny = false;
  app.add_option("--units", shape.units, "at least 20,000")->check(CLI::Range(20'000, 999'999'999));
  app.add_option("--workers", shape.workers, "workers that are alive");
  app.add_option("--latency-ms", shape.latency_ms, "of every request");
  app.add_option("--max-seconds", max_seconds, "fail if a look takes longer");
  app.add_option("--max-megabytes", max_megabytes, "fail if it takes more memory");
  app.add_flag("--tiny", tiny, "the smallest run, to see that it works");
  CLI11_PARSE(app, argc, argv);
  if (tiny) {
    shape.units = 20'000 + 1'000;
    shape.workers = 50;
  }
  return thresher::Measure(shape, max_seconds, max_megabytes);
}
