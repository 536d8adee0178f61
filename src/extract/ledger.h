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
#include "extract/run_store.h"
#include "store/store.h"
#include "work/records.h"
#include "work/unit_board.h"

namespace thresher {

// One worker's side of the protocol (DESIGN: claim, produce, commit) in a store that is all the
// workers share:
//   1. claim      create leases/unit-N/eK; whoever creates it holds the unit until its heartbeat
//                 grows older than the time to live
//   2. produce    elsewhere; the shard's name holds unit, epoch and session
//   3. commit     create commits/unit-N.json; whoever creates it has made the unit's shard. Nothing
//                 else decides
// Ages are differences between timestamps of the store, never of this machine's clock.
// Thread-safety: Beat from one thread; Refresh, ClaimNext from one thread; the rest from any.
class Ledger {
 public:
  struct Options {
    int64_t worker_id = 0;
    std::string session;
    std::optional<int64_t> worker_count = std::nullopt;  // streams; unknown: no preferred part
    int64_t lease_ttl_ms = 180'000;
  };

  // `store`, `clock` and `run` must outlive the ledger.
  Ledger(Store& store, Clock& clock, const Run& run, Options options);

  // Writes this session's heartbeat and takes the store's time from it.
  Status Beat(const Heartbeat& heartbeat);

  // How long ago, by this machine's monotonic clock, the last Beat succeeded.
  int64_t MillisecondsSinceBeat() const;

  // Reads what others have done.
  Status Refresh();

  struct Claimed {
    int64_t unit = 0;
    int64_t epoch = 0;
  };
  // Claims the best unit there is; sets poisoned units aside on the way. Nothing if all that is
  // left is held by others, or if all is done (see Done). Works from what Refresh saw.
  Result<std::optional<Claimed>> ClaimNext();

  // Every unit is committed or set aside, as far as is known.
  bool Done() const { return board_.Next().action == UnitBoard::Action::kDone; }

  enum class CommitOutcome { kCommitted, kDuplicate };
  // Offers the record for the unit. kDuplicate: another shard of this unit was committed before;
  // the caller deletes its own.
  Result<CommitOutcome> CommitUnit(const Commit& commit);

  // Ends a claim of ours without a commit, so that anybody may claim the unit at once. If the store
  // cannot be told now, the next Refresh tells it.
  Status EndClaim(const Claimed& claimed, LeaseEnd end, const std::string& reason);

  const Options& options() const { return options_; }
  int64_t committed_count() const { return board_.committed_count(); }
  int64_t quarantined_count() const { return board_.quarantined_count(); }

 private:
  struct EndedClaim {
    Claimed claimed;
    LeaseEnd end = LeaseEnd::kReleased;
    std::string text;
  };

  Status RecordEnd(const EndedClaim& ended);
  Status SettleEndedClaims();
  Status ObserveLeases();
  Status ObserveSessions();
  bool IsFresh(const std::string& session, int64_t seen_ms);
  bool HasStopped(const std::string& heartbeat_key);
  Status SetAside(int64_t unit);
  Result<bool> TryClaim(int64_t unit, int64_t epoch);

  Store& store_;
  Clock& clock_;
  const Run& run_;
  const Options options_;
  UnitBoard board_;
  std::map<std::string, std::string>
      session_of_lease_;                             // lease key -> session; leases never change
  std::map<std::string, int64_t> lease_written_ms_;  // session -> its newest claim, store time
  struct LastSeen {
    int64_t stamp_ms = -1;  // the newest sign of life, store time
    int64_t since_ms = 0;   // when we saw it first, our own monotonic time
  };
  std::map<std::string, LastSeen> last_seen_;  // by session
  std::mutex ended_mutex_;
  std::vector<std::pair<EndedClaim, bool>> ended_;  // and whether the store knows
  std::atomic<int64_t> store_now_ms_{0};            // of the last heartbeat
  std::atomic<int64_t> last_beat_monotonic_ms_{0};
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_LEDGER_H_
