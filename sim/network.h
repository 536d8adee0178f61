#ifndef THRESHER_SIM_NETWORK_H_
#define THRESHER_SIM_NETWORK_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/random.h"
#include "sim/fault_profile.h"
#include "sim/scheduler.h"
#include "sim/store_state.h"
#include "store/fault_store.h"
#include "store/store.h"

namespace thresher::sim {

// Requests that reached the store.
struct RequestCounts {
  std::array<int64_t, kStoreCallCount> of_units{};
  std::array<int64_t, kStoreCallCount> of_heartbeats{};  // put and stat below workers/
  int64_t TotalOfUnits() const;
};

// Everything between workers and the store: latency and faults, drawn from `seed`.
class Network {
 public:
  using Trace = std::function<void(const std::string&)>;

  Network(Scheduler& scheduler, StoreState& state, const StoreProfile& profile, uint64_t seed)
      : scheduler_(scheduler), state_(state), profile_(profile), random_(seed) {}

  // Lines for people, one for each request and each effect. Empty: none.
  void SetTrace(Trace trace) { trace_ = std::move(trace); }
  const RequestCounts& counts() const { return counts_; }
  // Requests that may still take effect.
  int64_t in_flight() const { return in_flight_; }

  struct Answer {
    Status status = OkStatus();
    bool conflict = false;  // of a create
    std::string text = {};
    ObjectInfo info = {};
    ListPage page = {};
  };
  struct Request {
    StoreCall call = StoreCall::kStat;
    std::string key;
    std::string text;
    int64_t bytes = 0;
    uint32_t crc = 0;
    std::string start_after;
    int64_t limit = 0;
    int64_t transfer_us = 0;
    bool truncated = false;
    int64_t list_lag_us = 0;
    // Where the answer goes.
    Process* process = nullptr;
    std::string sender;
    WakeToken waiting;
    Answer answer;
  };
  // Sends a request and waits for its answer.
  Answer Perform(Request request);

  // Requests of this machine do not get through, or do again.
  void Partition(const Machine& machine, bool cut_off);

 private:
  enum class Fate : uint8_t {
    kDelivered,
    kErrorBefore,
    kErrorAfter,
    kLostRequest,
    kLostAnswer,
    kLate,
    kDuplicate,
    kFalseConflict,
    kHangs,
  };

  bool FaultsOver() const { return scheduler_.now_us() >= profile_.faults_end_us; }
  int64_t DrawLatency();
  Fate DrawFate(const Request& request);
  void Count(const Request& request);
  void Dispatch(const std::shared_ptr<Request>& request, Fate fate);
  void AtEffect(int64_t delay_us, const std::shared_ptr<Request>& request,
                const std::function<void(Answer)>& then);
  void AnswerAfter(int64_t delay_us, const std::shared_ptr<Request>& request, Answer answer);
  bool Arrives(const Request& request);
  Answer Apply(const Request& request);
  Answer ApplyWrite(const Request& request);
  void Say(const Request& request, std::string_view what);

  Scheduler& scheduler_;
  StoreState& state_;
  const StoreProfile& profile_;
  Random random_;
  Trace trace_;
  RequestCounts counts_;
  int64_t in_flight_ = 0;
  std::set<const Machine*> cut_off_;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_NETWORK_H_
