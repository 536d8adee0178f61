// Many workers, one run, and every way in which a process dies or sleeps: whatever happens, the
// finished run is byte for byte that of an undisturbed one.

#include "chaos.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "files.h"
#include "run_reader.h"
#include "store/store.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

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

// --- SIGKILL and SIGSTOP at random instants ---

class KillTest : public ChaosTest {
 protected:
  // Rounds of kills until there were enough; each round's run must be whole in the end.
  void KillManyTimes(int wanted, const std::function<std::string(int)>& worker_id) {
    Prepare({.count = 120, .shortest = 30, .longest = 220, .seed = 5},
            {"--hooks", "all", "--shard-bytes", "3MB", "--batch-tokens", "256"});
    ASSERT_GE(UnitCount(), 24);
    const uint64_t seed = ChaosSeed();
    fmt::print("THRESHER_CHAOS_SEED={}\n", seed);
    Random random(seed);
    int killed = 0;
    int round = 0;
    while (killed < wanted) {
      const std::string run = fmt::format("round-{}", round++);
      SCOPED_TRACE(fmt::format("seed {}, {}", seed, run));
      ASSERT_LT(round, 40) << "the workers end before they can be killed";
      const Result<std::unique_ptr<Store>> store = OpenStore(Output(run));
      ASSERT_TRUE(store.ok()) << store.status().message();
      DisturbedWorkers workers(random, **store, Disturbance(), [&](int worker) {
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
