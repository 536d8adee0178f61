// Many workers, one run, and every way in which a process dies or sleeps: whatever happens, the
// finished run is byte for byte that of an undisturbed one.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

// THRESHER_CHAOS_SEED replays the decisions of a run that failed (not the operating system's).
uint64_t Seed() {
  const char* text = std::getenv("THRESHER_CHAOS_SEED");
  if (text != nullptr && *text != '\0') return std::strtoull(text, nullptr, 10);
  return static_cast<uint64_t>(Clock::Real().UnixMs());
}

std::vector<std::string> Join(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// True as soon as `condition` holds; false if it does not within the time.
bool WaitUntil(const std::function<bool()>& condition, int64_t limit_ms = 30'000) {
  const int64_t deadline_ms = Clock::Real().MonotonicMs() + limit_ms;
  while (!condition()) {
    if (Clock::Real().MonotonicMs() >= deadline_ms) return false;
    PassMilliseconds(1);
  }
  return true;
}

size_t FileCount(const std::string& folder, const std::string& ending) {
  const std::vector<std::string> files = FilesBelow(folder);
  return static_cast<size_t>(std::count_if(files.begin(), files.end(), [&](const std::string& f) {
    return f.ends_with(ending) && f.find(".tmp-") == std::string::npos;
  }));
}

// The last progress line of `--json`.
Json LastProgress(const std::string& out) {
  Json last;
  size_t begin = 0;
  while (begin < out.size()) {
    const size_t end = std::min(out.find('\n', begin), out.size());
    const Json line = Json::parse(out.substr(begin, end - begin));
    if (line.at("event") == "progress") last = line;
    begin = end + 1;
  }
  return last;
}

class ChaosTest : public testing::Test {
 protected:
  // The data set of the test, and the undisturbed run that others are compared with.
  void Prepare(const MadeUpSamples& samples, const std::vector<std::string>& flags) {
    flags_ = flags;
    WriteSamples(Dataset(), samples);
    const ProcessResult result = Worker("undisturbed", {}).Run();
    ASSERT_EQ(result.exit_status, 0) << result.Describe();
    Result<RunContent> content = ReadCompleteRun(Output("undisturbed"));
    ASSERT_TRUE(content.ok()) << content.status().message();
    undisturbed_ = std::move(content).value();
  }

  std::string Dataset() const { return folder_.path() + "/samples.jsonl"; }
  std::string Output(const std::string& run) const { return folder_.path() + "/" + run; }

  Extraction Worker(const std::string& run, const std::vector<std::string>& more) const {
    return {GoldenModel("qwen2"), Dataset(), Output(run), Join(flags_, more)};
  }

  // Everything that must hold of a finished run, whatever has happened to its workers.
  void ExpectLikeUndisturbed(const std::string& run) const {
    const Result<RunContent> content = ReadCompleteRun(Output(run));
    ASSERT_TRUE(content.ok()) << content.status().message();
    EXPECT_EQ(DifferenceBetween(*undisturbed_, *content), "");
    EXPECT_EQ(content->Samples().size(), undisturbed_->Samples().size());
    const ProcessResult verify = RunProcess(Thresher({"verify", Output(run), "--quiet"}));
    EXPECT_EQ(verify.exit_status, 0) << verify.Describe();
  }

  int64_t UnitCount() const { return undisturbed_->run.plan.unit_count(); }

  TemporaryFolder folder_;
  std::vector<std::string> flags_;
  std::optional<RunContent> undisturbed_;
};

// --- SIGKILL and SIGSTOP at random instants ---

// Four workers of one run, disturbed while somebody watches the commits.
class KillRound {
 public:
  KillRound(Random& random, std::string output, std::function<Command(int)> worker_command)
      : random_(random), output_(std::move(output)), worker_command_(std::move(worker_command)) {
    for (int worker = 0; worker < kWorkers; ++worker) Start(worker);
  }

  // Kills `kills` workers at random instants and starts them again; now and then one sleeps for
  // longer than the time to live instead. Ends early when all are done.
  int Disturb(int kills) {
    int killed = 0;
    while (killed < kills && HasLiveWorker()) {
      PassMilliseconds(static_cast<int64_t>(random_.Below(60)));
      WakeSleeper(/*now=*/false);
      WatchCommits();
      const int worker = static_cast<int>(random_.Below(kWorkers));
      if (!workers_.contains(worker)) continue;
      if (!sleeper_ && random_.Below(4) == 0) {
        workers_.at(worker).Signal(SIGSTOP);
        sleeper_ = worker;
        wake_at_ms_ = Clock::Real().MonotonicMs() + 800;
        continue;
      }
      killed += KillAndStartAgain(worker);
    }
    return killed;
  }

  void LeaveAlone() {
    WakeSleeper(/*now=*/true);
    for (auto& [worker, process] : workers_) {
      const ProcessResult result = process.Wait(60'000);
      EXPECT_EQ(result.exit_status, 0) << result.Describe();
    }
    WatchCommits();
  }

 private:
  static constexpr int kWorkers = 4;

  void Start(int worker) { workers_.emplace(worker, Process(worker_command_(worker))); }
  bool HasLiveWorker() {
    return std::any_of(workers_.begin(), workers_.end(),
                       [](auto& entry) { return !entry.second.HasEnded(); });
  }

  // 1 if it was alive.
  int KillAndStartAgain(int worker) {
    Process& process = workers_.at(worker);
    process.Signal(SIGKILL);
    const ProcessResult result = process.Wait();
    workers_.erase(worker);
    if (sleeper_ == worker) sleeper_.reset();
    if (result.signal != SIGKILL) {
      EXPECT_EQ(result.exit_status, 0) << result.Describe();
      return 0;
    }
    Start(worker);
    return 1;
  }

  void WakeSleeper(bool now) {
    if (!sleeper_ || (!now && Clock::Real().MonotonicMs() < wake_at_ms_)) return;
    workers_.at(*sleeper_).Signal(SIGCONT);
    sleeper_.reset();
  }

  // A commit that was seen once is whole and never changes.
  void WatchCommits() {
    for (const std::string& name : FilesBelow(output_ + "/commits")) {
      if (!name.ends_with(".json") || name.find(".tmp-") != name.npos) continue;
      const std::string text = ReadFile(output_ + "/commits/" + name);
      const auto [known, is_new] = commits_.emplace(name, text);
      EXPECT_EQ(known->second, text) << name << " was changed";
    }
  }

  Random& random_;
  const std::string output_;
  std::function<Command(int)> worker_command_;
  std::map<int, Process> workers_;
  std::optional<int> sleeper_;
  int64_t wake_at_ms_ = 0;
  std::map<std::string, std::string> commits_;  // as first seen
};

class KillTest : public ChaosTest {
 protected:
  // Rounds of kills until there were enough; each round's run must be whole in the end.
  void KillManyTimes(int wanted, const std::function<std::string(int)>& worker_id) {
    Prepare({.count = 120, .shortest = 30, .longest = 220, .seed = 5},
            {"--hooks", "all", "--shard-bytes", "3MB", "--batch-tokens", "256"});
    ASSERT_GE(UnitCount(), 24);
    const uint64_t seed = Seed();
    fmt::print("THRESHER_CHAOS_SEED={}\n", seed);
    Random random(seed);
    int killed = 0;
    int round = 0;
    while (killed < wanted) {
      const std::string run = fmt::format("round-{}", round++);
      SCOPED_TRACE(fmt::format("seed {}, {}", seed, run));
      ASSERT_LT(round, 40) << "the workers end before they can be killed";
      KillRound workers(random, Output(run), [&](int worker) {
        return Worker(run, {"--worker-id", worker_id(worker), "--num-workers", "4", "--lease-ttl",
                            "600ms", "--quiet"})
            .ToCommand();
      });
      killed += workers.Disturb(30);
      workers.LeaveAlone();
      ExpectLikeUndisturbed(run);
      if (HasFailure()) return;
      takeovers_ += FileCount(Output(run) + "/leases", "/e2");
      std::filesystem::remove_all(Output(run));
    }
    fmt::print("{} kills in {} rounds; {} units were taken over\n", killed, round, takeovers_);
    // The kills did hit workers at work.
    EXPECT_GE(takeovers_, static_cast<size_t>(wanted / 4));
  }

  size_t takeovers_ = 0;
};

TEST_F(KillTest, KilledAtRandomInstants) {
  KillManyTimes(210, [](int worker) { return std::to_string(worker); });
}

TEST_F(KillTest, KilledAtRandomInstantsWithOneWorkerIdForAll) {
  KillManyTimes(40, [](int) { return std::string("7"); });
}

// --- sleepers ---

TEST_F(ChaosTest, AWorkerThatWakesAfterItsLeaseEnded) {
  Prepare({.count = 240, .shortest = 150, .longest = 220, .seed = 6},
          {"--hooks", "all", "--shard-bytes", "30MB", "--batch-tokens", "1"});
  const Extraction sleepy = Worker("sleep", {"--worker-id", "1", "--lease-ttl", "500ms", "--json"});
  Process sleeper(sleepy.ToCommand());
  ASSERT_TRUE(WaitUntil([&] { return FileCount(Output("sleep") + "/commits", ".json") > 0; }));
  sleeper.Signal(SIGSTOP);
  const size_t committed = FileCount(Output("sleep") + "/commits", ".json");
  ASSERT_LT(committed, static_cast<size_t>(UnitCount())) << "too late to stop it";

  const ProcessResult other =
      Worker("sleep", {"--worker-id", "2", "--lease-ttl", "500ms", "--quiet"}).Run();
  EXPECT_EQ(other.exit_status, 0) << other.Describe();
  ExpectLikeUndisturbed("sleep");
  const std::string manifest = ReadFile(Output("sleep") + "/manifest.json");

  ASSERT_FALSE(sleeper.HasEnded());
  sleeper.Signal(SIGCONT);
  const ProcessResult result = sleeper.Wait(30'000);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  ExpectLikeUndisturbed("sleep");
  EXPECT_EQ(ReadFile(Output("sleep") + "/manifest.json"), manifest);
  // A unit that it had in hand was made by the other as well, and its own copy is gone.
  EXPECT_EQ(FileCount(Output("sleep"), ".safetensors"), static_cast<size_t>(UnitCount()));
}

// --- SIGTERM ---

class StopTest : public ChaosTest {
 protected:
  static constexpr int64_t kLongest = 220;

  void Prepare() {
    ChaosTest::Prepare({.count = 1200, .shortest = 150, .longest = kLongest, .seed = 7},
                       {"--hooks", "resid_post", "--layers", "2", "--shard-bytes", "30MB",
                        "--batch-tokens", "1", "--json"});
    for (const UnitContent& unit : undisturbed_->units) tokens_ += unit.commit.token_count;
  }

  int64_t tokens_ = 0;
};

TEST_F(StopTest, StoppedInMidUnitLosesNoMoreThanABatch) {
  Prepare();
  Process stopped(Worker("stop", {"--worker-id", "1", "--stop-grace", "2s"}).ToCommand());
  ASSERT_TRUE(WaitUntil([&] { return FileCount(Output("stop") + "/leases", "/e1") > 0; }));
  PassMilliseconds(250);
  const int64_t asked_ms = Clock::Real().MonotonicMs();
  stopped.Signal(SIGTERM);
  const ProcessResult first = stopped.Wait(30'000);
  EXPECT_EQ(first.exit_status, 75) << first.Describe();
  EXPECT_LT(Clock::Real().MonotonicMs() - asked_ms, 2'000);
  EXPECT_FALSE(std::filesystem::exists(Output("stop") + "/manifest.json"));
  ASSERT_GT(FileCount(Output("stop") + "/handovers", ".json"), 0u) << first.Describe();

  // The default time to live: what was handed over need not run out.
  const int64_t resumed_ms = Clock::Real().MonotonicMs();
  const ProcessResult second = Worker("stop", {"--worker-id", "2"}).Run();
  EXPECT_EQ(second.exit_status, 0) << second.Describe();
  EXPECT_LT(Clock::Real().MonotonicMs() - resumed_ms, 60'000);
  const int64_t before = LastProgress(first.out).at("tokens_computed");
  const int64_t after = LastProgress(second.out).at("tokens_computed");
  fmt::print("{} tokens: {} before the stop, {} after\n", tokens_, before, after);
  EXPECT_GT(before, 0);
  EXPECT_GE(before + after, tokens_);
  EXPECT_LE(before + after, tokens_ + kLongest);
  EXPECT_EQ(FileCount(Output("stop") + "/handovers", ""), 0u);
  ExpectLikeUndisturbed("stop");
}

TEST_F(StopTest, ADamagedHandoverIsNotUsed) {
  Prepare();
  Process stopped(Worker("stop", {"--worker-id", "1", "--stop-grace", "2s"}).ToCommand());
  ASSERT_TRUE(WaitUntil([&] { return FileCount(Output("stop") + "/leases", "/e1") > 0; }));
  PassMilliseconds(250);
  stopped.Signal(SIGTERM);
  EXPECT_EQ(stopped.Wait(30'000).exit_status, 75);
  int damaged = 0;
  for (const std::string& name : FilesBelow(Output("stop") + "/handovers")) {
    if (!name.ends_with(".safetensors")) continue;
    const std::string path = Output("stop") + "/handovers/" + name;
    std::string bytes = ReadFile(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    WriteFile(path, bytes);
    ++damaged;
  }
  ASSERT_GT(damaged, 0);
  const ProcessResult second = Worker("stop", {"--worker-id", "2"}).Run();
  EXPECT_EQ(second.exit_status, 0) << second.Describe();
  ExpectLikeUndisturbed("stop");
}

TEST_F(StopTest, AUnitThatFitsIntoTheGracePeriodIsFinished) {
  Prepare();
  Process stopped(Worker("stop", {"--worker-id", "1", "--stop-grace", "25s"}).ToCommand());
  ASSERT_TRUE(WaitUntil([&] { return FileCount(Output("stop") + "/leases", "/e1") > 0; }));
  PassMilliseconds(250);
  stopped.Signal(SIGTERM);
  const ProcessResult first = stopped.Wait(30'000);
  EXPECT_EQ(first.exit_status, 75) << first.Describe();
  const Result<RunContent> content = ReadRun(Output("stop"));
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_GE(content->units.size(), 1u);
  EXPECT_LT(static_cast<int64_t>(content->units.size()), UnitCount());
  EXPECT_EQ(FileCount(Output("stop") + "/handovers", ""), 0u);
  const ProcessResult second = Worker("stop", {"--worker-id", "2"}).Run();
  EXPECT_EQ(second.exit_status, 0) << second.Describe();
  ExpectLikeUndisturbed("stop");
}

}  // namespace
}  // namespace thresher
