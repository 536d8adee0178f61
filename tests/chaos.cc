#include "chaos.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "files.h"
#include "work/keys.h"

namespace thresher {

uint64_t ChaosSeed() {
  const char* text = std::getenv("THRESHER_CHAOS_SEED");
  if (text != nullptr && *text != '\0') return std::strtoull(text, nullptr, 10);
  return static_cast<uint64_t>(Clock::Real().UnixMs());
}

std::vector<std::string> Join(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool WaitUntil(const std::function<bool()>& condition, int64_t limit_ms) {
  const int64_t deadline_ms = Clock::Real().MonotonicMs() + limit_ms;
  while (!condition()) {
    if (Clock::Real().MonotonicMs() >= deadline_ms) return false;
    PassMilliseconds(1);
  }
  return true;
}

void ChaosTest::Prepare(const MadeUpSamples& samples, const std::vector<std::string>& flags) {
  flags_ = flags;
  WriteSamples(Dataset(), samples);
  const ProcessResult result = Worker("undisturbed", {}).Run();
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  Result<RunContent> content = ReadCompleteRun(Output("undisturbed"));
  ASSERT_TRUE(content.ok()) << content.status().message();
  undisturbed_ = std::move(content).value();
}

Extraction ChaosTest::Worker(const std::string& run, const std::vector<std::string>& more) const {
  return {GoldenModel("qwen2"), Dataset(), Output(run), Join(flags_, more)};
}

void ChaosTest::ExpectLikeUndisturbed(Store& store, const Command& verify) const {
  const Result<RunContent> content = ReadCompleteRun(store);
  ASSERT_TRUE(content.ok()) << content.status().message();
  EXPECT_EQ(DifferenceBetween(*undisturbed_, *content), "");
  EXPECT_EQ(content->Samples().size(), undisturbed_->Samples().size());
  const ProcessResult verified = RunProcess(verify);
  EXPECT_EQ(verified.exit_status, 0) << verified.Describe();
}

void ChaosTest::ExpectLikeUndisturbed(const std::string& run) const {
  const Result<std::unique_ptr<Store>> store = OpenStore(Output(run));
  ASSERT_TRUE(store.ok()) << store.status().message();
  ExpectLikeUndisturbed(**store, Thresher({"verify", Output(run), "--quiet"}));
}

DisturbedWorkers::DisturbedWorkers(Random& random, Store& store, const Disturbance& disturbance,
                                   std::function<Command(int)> worker_command)
    : random_(random),
      store_(store),
      disturbance_(disturbance),
      worker_command_(std::move(worker_command)) {
  for (int worker = 0; worker < disturbance_.workers; ++worker) Start(worker);
}

int DisturbedWorkers::Disturb(int kills, const std::function<void()>& meanwhile) {
  while (killed_ < kills && HasLiveWorker()) {
    PassMilliseconds(
        static_cast<int64_t>(random_.Below(static_cast<uint64_t>(disturbance_.longest_gap_ms))));
    if (meanwhile) meanwhile();
    WakeSleeper(/*now=*/false);
    WatchCommits();
    const auto worker =
        static_cast<int>(random_.Below(static_cast<uint64_t>(disturbance_.workers)));
    if (!workers_.contains(worker)) continue;
    Process& process = workers_.at(worker);
    if (!sleeper_ && random_.Below(disturbance_.one_in_sleeps) == 0) {
      process.Signal(SIGSTOP);
      sleeper_ = worker;
      wake_at_ms_ = Clock::Real().MonotonicMs() + disturbance_.sleep_ms;
      ++sleeps_;
      continue;
    }
    process.Signal(SIGKILL);
    if (End(worker, process.Wait())) Start(worker);
  }
  return killed_;
}

void DisturbedWorkers::LeaveAlone(int64_t limit_ms) {
  WakeSleeper(/*now=*/true);
  const int64_t deadline_ms = Clock::Real().MonotonicMs() + limit_ms;
  while (!workers_.empty()) {
    const int worker = workers_.begin()->first;
    const int64_t left_ms = deadline_ms - Clock::Real().MonotonicMs();
    const ProcessResult result = workers_.begin()->second.Wait(std::max<int64_t>(left_ms, 0));
    if (End(worker, result)) Start(worker);
  }
  WatchCommits();
  ExpectCommitsUnchanged();
}

bool DisturbedWorkers::End(int worker, const ProcessResult& result) {
  workers_.erase(worker);
  if (sleeper_ == worker) sleeper_.reset();
  if (result.signal == SIGKILL && !result.timed_out) {
    ++killed_;
    return true;
  }
  if (result.exit_status == 1 && disturbance_.may_give_up) {
    ++given_up_;
    return true;
  }
  EXPECT_EQ(result.exit_status, 0) << "worker " << worker << ": " << result.Describe();
  return false;
}

bool DisturbedWorkers::HasLiveWorker() {
  return std::any_of(workers_.begin(), workers_.end(), [this](auto& entry) {
    return disturbance_.may_give_up || !entry.second.HasEnded();
  });
}

void DisturbedWorkers::WakeSleeper(bool now) {
  if (!sleeper_ || (!now && Clock::Real().MonotonicMs() < wake_at_ms_)) return;
  workers_.at(*sleeper_).Signal(SIGCONT);
  sleeper_.reset();
}

// A commit that was seen once is whole, stays there and is never written again. A store that does
// not answer is asked again the next time.
void DisturbedWorkers::WatchCommits() {
  const Result<std::vector<ObjectInfo>> objects = ListAll(store_, kCommitsPrefix);
  if (!objects.ok()) return;
  std::map<std::string, int64_t> modified_ms;
  for (const ObjectInfo& object : *objects) modified_ms[object.key] = object.modified_ms;
  for (const auto& [key, seen] : commits_) {
    const auto now = modified_ms.find(key);
    if (now == modified_ms.end()) {
      ADD_FAILURE() << key << " is gone";
    } else {
      EXPECT_EQ(now->second, seen.modified_ms) << key << " was written again";
    }
  }
  for (const ObjectInfo& object : *objects) {
    if (commits_.contains(object.key)) continue;
    const Result<std::string> text = store_.GetText(object.key);
    if (text.ok()) commits_[object.key] = {object.modified_ms, *text};
  }
}

void DisturbedWorkers::ExpectCommitsUnchanged() {
  for (const auto& [key, seen] : commits_) {
    const Result<std::string> text = store_.GetText(key);
    ASSERT_TRUE(text.ok()) << key << ": " << text.status().message();
    EXPECT_EQ(*text, seen.text) << key << " was changed";
  }
}

}  // namespace thresher
