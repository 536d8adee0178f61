// Eight workers of one run on a real server, and everything dies: workers by SIGKILL at random
// instants, workers that sleep for longer than the time to live, two workers with the same id, the
// server itself, its answers, its disk. Whatever happens, the finished run is byte for byte that of
// an undisturbed one.
//
// The long form, with more than 200 kills on each server:
//
//     THRESHER_LONG_TESTS=1 build/release/tests/server_chaos_test
//
// THRESHER_CHAOS_SEED=N replays the decisions of a run that failed.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "chaos.h"
#include "files.h"
#include "servers.h"
#include "small_disk.h"
#include "store/store.h"

namespace thresher {
namespace {

constexpr int64_t kLeaseTtlMs = 6'000;  // some servers tell times in whole seconds

bool LongTests() {
  const char* text = std::getenv("THRESHER_LONG_TESTS");
  return text != nullptr && *text != '\0';
}

// What befalls the server between two kills of workers: one trouble at a time, then some peace.
class ServerTrouble {
 public:
  // `disk` may be null; otherwise it is the server's, and filling it is the only trouble.
  ServerTrouble(Random& random, Server& server, SmallDisk* disk)
      : random_(random), server_(server), disk_(disk) {
    End();
  }

  void Step() {
    if (Clock::Real().MonotonicMs() < next_ms_) return;
    if (kind_) {
      End();
    } else {
      Begin();
    }
  }

  // Ends what goes on.
  void End() {
    if (kind_ == Kind::kFullDisk) disk_->Free();
    if (kind_ == Kind::kSilent) server_.Signal(SIGCONT);
    if (kind_ == Kind::kDead) {
      const Status started = server_.Start();
      ASSERT_TRUE(started.ok()) << started.message();
    }
    kind_.reset();
    Wait(500, 3'000);
  }

  std::string Describe() const {
    return fmt::format("{} deaths of the server, {} silences, {} times a full disk", deaths_,
                       silences_, full_disks_);
  }

 private:
  enum class Kind { kDead, kSilent, kFullDisk };

  void Begin() {
    if (disk_ != nullptr) {
      kind_ = Kind::kFullDisk;
      ++full_disks_;
      disk_->Fill();
      Wait(1'000, 5'000);
    } else if (random_.Below(3) > 0) {
      kind_ = Kind::kDead;
      ++deaths_;
      server_.Kill();
      // Now and then it is away for longer than any lease lives.
      const bool long_away = random_.Below(4) == 0;
      Wait(long_away ? kLeaseTtlMs : 0, long_away ? kLeaseTtlMs + 2'000 : 1'500);
    } else {
      kind_ = Kind::kSilent;
      ++silences_;
      server_.Signal(SIGSTOP);
      Wait(500, 3'000);
    }
  }

  void Wait(int64_t least_ms, int64_t most_ms) {
    next_ms_ = Clock::Real().MonotonicMs() + least_ms +
               static_cast<int64_t>(random_.Below(static_cast<uint64_t>(most_ms - least_ms)));
  }

  Random& random_;
  Server& server_;
  SmallDisk* disk_;
  std::optional<Kind> kind_;
  int64_t next_ms_ = 0;
  int deaths_ = 0;
  int silences_ = 0;
  int full_disks_ = 0;
};

class ServerChaosTest : public ChaosTest, public testing::WithParamInterface<ServerKind> {
 protected:
  static constexpr int kWorkers = 8;

  void SetUp() override {
    if (const std::string reason = WhyServerIsMissing(GetParam()); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }

  // The program's command, as it reaches the server.
  Command OnServer(const Server& server, Command command) const {
    const std::vector<std::string> flags = server.Flags();
    command.arguments.insert(command.arguments.end(), flags.begin(), flags.end());
    for (const auto& [name, value] : server.Environment()) command.environment[name] = value;
    command.ends_with_parent = true;
    return command;
  }

  // The upload of a shard takes a second or two, so that many deaths fall into one; to MinIO it
  // goes in parts.
  void PrepareRun(int64_t sample_count) {
    const bool in_parts = GetParam() == ServerKind::kMinio;
    Prepare({.count = sample_count, .shortest = 30, .longest = 220, .seed = 5},
            {"--hooks", "all", "--shard-bytes", in_parts ? "6MB" : "2MB"});
    upload_rate_ = in_parts ? "3MB" : "2MB";
  }

  Command ServerWorker(const Server& server, const std::string& run, int worker) const {
    // The last two have the same id.
    const int worker_id = std::min(worker, kWorkers - 2);
    const std::vector<std::string> flags =
        Join(flags_, {"--worker-id", std::to_string(worker_id), "--num-workers",
                      std::to_string(kWorkers), "--lease-ttl", fmt::format("{}ms", kLeaseTtlMs),
                      "--store-timeout", "4s", "--upload-rate", upload_rate_, "--quiet"});
    const Extraction extraction = {GoldenModel("qwen2"), Dataset(), server.Url(run), flags};
    return OnServer(server, extraction.ToCommand());
  }

  // Kills workers of one run after the other until there were `wanted`; each run must be whole.
  void KillMany(Server& server, SmallDisk* disk, int wanted) {
    const uint64_t seed = ChaosSeed();
    fmt::print("THRESHER_CHAOS_SEED={}\n", seed);
    Random random(seed);
    int killed = 0;
    for (int round = 0; killed < wanted && !HasFailure(); ++round) {
      SCOPED_TRACE(fmt::format("seed {}, round {}", seed, round));
      ASSERT_LT(round, 10) << "the workers end before they can be killed";
      killed += KillInOneRun(random, server, disk, fmt::format("round-{}", round), wanted - killed);
    }
    EXPECT_GE(killed, wanted);
  }

  int KillInOneRun(Random& random, Server& server, SmallDisk* disk, const std::string& run,
                   int wanted) {
    const int64_t begin_ms = Clock::Real().MonotonicMs();
    // The watcher does not wait for a dead server.
    StoreOptions options = server.Options();
    options.request_timeout_ms = 1'000;
    options.retry_budget_ms = 0;
    const std::unique_ptr<Store> watcher = OpenStore(server.Url(run), options).value();
    const std::unique_ptr<Store> store = server.Open(run).value();
    ServerTrouble trouble(random, server, disk);
    DisturbedWorkers workers(random, *watcher,
                             {.workers = kWorkers,
                              .longest_gap_ms = 800,
                              .one_in_sleeps = 8,
                              .sleep_ms = kLeaseTtlMs + 1'500,
                              .may_give_up = disk != nullptr},
                             [&](int worker) { return ServerWorker(server, run, worker); });
    const int killed = workers.Disturb(wanted, [&] { trouble.Step(); });
    const int64_t disturbed_ms = Clock::Real().MonotonicMs() - begin_ms;
    trouble.End();
    workers.LeaveAlone(/*limit_ms=*/120'000);
    const int64_t done_ms = Clock::Real().MonotonicMs() - begin_ms;
    ExpectLikeUndisturbed(*store,
                          OnServer(server, Thresher({"verify", server.Url(run), "--quiet"})));
    fmt::print(
        "{}: {} kills and {} sleeps of workers, {} gave up, {}; {} units, {} shards of no commit; "
        "{:.1f} s disturbed, {:.1f} s in all\n",
        run, killed, workers.sleeps(), workers.given_up(), trouble.Describe(), UnitCount(),
        ShardsOfNoCommit(*store), static_cast<double>(disturbed_ms) / 1e3,
        static_cast<double>(done_ms) / 1e3);
    return killed;
  }

  // Left behind by workers that died between upload and commit.
  int64_t ShardsOfNoCommit(Store& store) const {
    const std::vector<ObjectInfo> objects = ListAll(store, "").value();
    const auto shards = std::count_if(objects.begin(), objects.end(), [](const ObjectInfo& o) {
      return o.key.ends_with(".safetensors");
    });
    return shards - UnitCount();
  }

  std::string upload_rate_;
};

class DyingServerTest : public ServerChaosTest {};

TEST_P(DyingServerTest, WorkersAndServerDie) {
  Server server(GetParam());
  ASSERT_TRUE(server.KeepsObjects());
  const Status started = server.Start();
  ASSERT_TRUE(started.ok()) << started.message();
  PrepareRun(LongTests() ? 1000 : 250);
  if (HasFatalFailure()) return;
  KillMany(server, nullptr, LongTests() ? 220 : 25);
}

INSTANTIATE_TEST_SUITE_P(Servers, DyingServerTest,
                         testing::Values(ServerKind::kFakeGcsOnDisk, ServerKind::kMinio),
                         [](const auto& kind) { return ServerName(kind.param); });

class FullDiskTest : public ServerChaosTest {};

TEST_P(FullDiskTest, WorkersDieWhileTheServersDiskIsFull) {
  SmallDisk disk(int64_t{1} << 30);
  if (!disk.why_not().empty()) GTEST_SKIP() << disk.why_not();
  Server server(GetParam(), disk.path());
  const Status started = server.Start();
  ASSERT_TRUE(started.ok()) << started.message();
  PrepareRun(LongTests() ? 500 : 200);
  if (HasFatalFailure()) return;
  KillMany(server, &disk, LongTests() ? 60 : 15);
}

INSTANTIATE_TEST_SUITE_P(Servers, FullDiskTest, testing::Values(ServerKind::kMinio),
                         [](const auto& kind) { return ServerName(kind.param); });

}  // namespace
}  // namespace thresher
