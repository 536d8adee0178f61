#ifndef THRESHER_TESTS_CHAOS_H_
#define THRESHER_TESTS_CHAOS_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "process.h"
#include "run_reader.h"
#include "store/store.h"

namespace thresher {

// THRESHER_CHAOS_SEED replays the decisions of a run that failed (not the operating system's).
uint64_t ChaosSeed();

std::vector<std::string> Join(std::vector<std::string> a, const std::vector<std::string>& b);

// True as soon as `condition` holds; false if it does not within the time.
bool WaitUntil(const std::function<bool()>& condition, int64_t limit_ms = 30'000);

// Runs with made-up samples and a tiny model, compared with one that nobody disturbed.
class ChaosTest : public testing::Test {
 protected:
  // The data set of the test, and the undisturbed run that others are compared with.
  void Prepare(const MadeUpSamples& samples, const std::vector<std::string>& flags);

  std::string Dataset() const { return folder_.path() + "/samples.jsonl"; }
  std::string Output(const std::string& run) const { return folder_.path() + "/" + run; }

  // A worker of the run in a local folder.
  Extraction Worker(const std::string& run, const std::vector<std::string>& more) const;

  // Everything that must hold of a finished run, whatever has happened to its workers. `verify` is
  // the program's command for it.
  void ExpectLikeUndisturbed(Store& store, const Command& verify) const;
  void ExpectLikeUndisturbed(const std::string& run) const;  // in a local folder

  int64_t UnitCount() const { return undisturbed_->run.plan.unit_count(); }

  TemporaryFolder folder_;
  std::vector<std::string> flags_;
  std::optional<RunContent> undisturbed_;
};

struct Disturbance {
  int workers = 4;
  int64_t longest_gap_ms = 60;  // from one to the next
  uint64_t one_in_sleeps = 4;   // SIGSTOP instead of SIGKILL
  int64_t sleep_ms = 800;       // longer than the time to live
  // Workers may give up with status 1; they are started again, as a scheduler would.
  bool may_give_up = false;
};

// Workers of one run that are killed, or put to sleep, at random instants while their commits are
// watched through `store`. A worker must end with status 0 unless it was killed, or may give up.
class DisturbedWorkers {
 public:
  // All are borrowed. Starts the workers: `worker_command` is asked for each start.
  DisturbedWorkers(Random& random, Store& store, const Disturbance& disturbance,
                   std::function<Command(int)> worker_command);

  // Kills `kills` workers at random instants and starts them again; now and then one sleeps for
  // longer than the time to live instead. Calls `meanwhile` between two of these. Ends early when
  // all workers are done. Returns how many it killed.
  int Disturb(int kills, const std::function<void()>& meanwhile = {});

  // Waits for the end of all, which must be well.
  void LeaveAlone(int64_t limit_ms = 60'000);

  int sleeps() const { return sleeps_; }
  int given_up() const { return given_up_; }

 private:
  struct SeenCommit {
    int64_t modified_ms = 0;
    std::string text;
  };

  void Start(int worker) { workers_.emplace(worker, Process(worker_command_(worker))); }
  bool HasLiveWorker();
  // Takes the worker away. True if it is to be started again: it was killed, or gave up.
  bool End(int worker, const ProcessResult& result);
  void WakeSleeper(bool now);
  void WatchCommits();
  void ExpectCommitsUnchanged();

  Random& random_;
  Store& store_;
  const Disturbance disturbance_;
  std::function<Command(int)> worker_command_;
  std::map<int, Process> workers_;
  std::optional<int> sleeper_;
  int64_t wake_at_ms_ = 0;
  int sleeps_ = 0;
  int killed_ = 0;
  int given_up_ = 0;
  std::map<std::string, SeenCommit> commits_;
};

}  // namespace thresher

#endif  // THRESHER_TESTS_CHAOS_H_
