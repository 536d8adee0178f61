#ifndef THRESHER_EXTRACT_LEDGER_H_
#define THRESHER_EXTRACT_LEDGER_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "extract/idle_pause.h"
#include "extract/run_store.h"
#include "store/store.h"
#include "work/records.h"
#include "work/unit_board.h"

namespace thresher {

// One worker's side of the protocol (docs/protocol.md) in a store that is all the workers share:
//   1. claim      create leases/unit-N/eK; whoever creates it holds the unit until its heartbeat
//                 grows older than the time to live
//   2. produce    elsewhere; the shard's name holds unit, epoch and session
//   3. commit     create commits/unit-N.json; whoever creates it has made the unit's shard. Nothing
//                 else decides
// Ages are differences between timestamps of the store, never of this machine's clock.
// Thread-safety: Beat from one thread; Next and finished_count from one thread; the rest from any.
class Ledger {
 public:
  struct Options {
    int64_t worker_id = 0;
    std::string session;
    std::optional<int64_t> worker_count = std::nullopt;  // streams; unknown: no preferred part
    int64_t lease_ttl_ms = 180'000;
    int64_t idle_poll_ms = 1'000;  // the first pause of an idle worker; later ones are longer
  };

  // `store`, `clock` and `run` must outlive the ledger.
  Ledger(Store& store, Clock& clock, const Run& run, Options options);

  // Writes this session's heartbeat.
  Status Beat(const Heartbeat& heartbeat);

  // How long ago, by this machine's monotonic clock, the last Beat succeeded.
  int64_t MillisecondsSinceBeat() const;

  struct Claimed {
    int64_t unit = 0;
    int64_t epoch = 0;
  };
  struct Step {
    enum class Kind {
      kClaimed,  // `claimed` is this worker's to produce
      kWait,     // all that is left is held by others: ask again after `wait_ms`
      kDone,     // every unit is committed or set aside, as far as is known
    };
    Kind kind = Kind::kDone;
    Claimed claimed = {};
    int64_t wait_ms = 0;
  };
  // Gets the next unit, reading what others have done as far as that is needed; sets poisoned units
  // aside on the way. Works in bounded time: kWait may also mean that it should be asked at once.
  Result<Step> Next();

  enum class CommitOutcome { kCommitted, kDuplicate };
  // Offers the record for the unit. kDuplicate: another shard of this unit was committed before;
  // the caller deletes its own.
  Result<CommitOutcome> CommitUnit(const Commit& commit);

  // Ends a claim of ours without a commit, so that anybody may claim the unit at once. If the store
  // cannot be told now, the next call of Next tells it.
  Status EndClaim(const Claimed& claimed, LeaseEnd end, const std::string& reason);

  const Options& options() const { return options_; }
  // Units that are committed or set aside, as far as is known.
  int64_t finished_count() const { return board_.finished_count(); }

 private:
  // What this worker did to a claim of its own, until the board knows it.
  struct OwnEvent {
    Claimed claimed = {};
    bool finished = false;  // the unit is committed, by us or someone else; else the claim ended:
    LeaseEnd end = LeaseEnd::kReleased;
    std::string text = {};  // of the record of the claim's end
    bool recorded = false;  // in the store
  };

  void Add(OwnEvent event);
  Status SettleOwnEvents();
  Status RecordEnd(const OwnEvent& ended);
  Status ReadIndex();
  Status ReadReports();
  Status ReadStoreTime();
  Status Look(int64_t block);
  Status Examine(const UnitBoard::Choice& choice);
  Holder StateOf(const std::string& session, int64_t seen_ms);
  Status SetAside(int64_t unit);
  Result<bool> TryClaim(int64_t unit, int64_t epoch);
  Status RefreshWhileIdle();
  int64_t BackupAfterMs() const;

  Store& store_;
  Clock& clock_;
  const Run& run_;
  const Options options_;
  UnitBoard board_;
  IdlePause pause_;
  struct LastSeen {
    int64_t stamp_ms = -1;  // the newest sign of life, store time
    int64_t since_ms = 0;   // when we saw it first, our own monotonic time
  };
  std::map<std::string, LastSeen> last_seen_;  // by session, of holders that were examined
  int64_t store_now_ms_ = -1;                  // of our heartbeat, when last asked; -1: unknown
  int64_t store_time_read_ms_ = 0;             // our own monotonic time
  std::atomic<int64_t> last_beat_monotonic_ms_{0};

  mutable std::mutex own_mutex_;
  std::vector<OwnEvent> own_events_;          // guarded by own_mutex_
  std::map<int64_t, int64_t> claimed_at_ms_;  // guarded by own_mutex_; by unit, monotonic time
  std::optional<int64_t> unit_ms_;            // guarded by own_mutex_; mean from claim to commit
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_LEDGER_H_
