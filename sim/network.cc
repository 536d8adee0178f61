#include "sim/network.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/crc32c.h"
#include "work/keys.h"

namespace thresher::sim {
namespace {

constexpr const char* kCallNames[kStoreCallCount] = {"put",  "create", "get",   "range",
                                                     "stat", "list",   "delete"};

bool IsHeartbeat(const Network::Request& request) {
  return request.key.starts_with(kWorkersPrefix) &&
         (request.call == StoreCall::kPut || request.call == StoreCall::kStat);
}

bool IsShardUpload(const Network::Request& request) {
  return request.call == StoreCall::kPut && IsShardObject(request.key);
}

std::string Outcome(const Network::Answer& answer) {
  if (!answer.status.ok()) return answer.status.message();
  return answer.conflict ? "conflict" : "ok";
}

}  // namespace

int64_t RequestCounts::TotalOfUnits() const {
  return std::accumulate(of_units.begin(), of_units.end(), int64_t{0});
}

void Network::Say(const Request& request, std::string_view what) {
  if (!trace_) return;
  trace_(request.sender + " " + kCallNames[static_cast<size_t>(request.call)] + " " + request.key +
         ": " + std::string(what));
}

void Network::Count(const Request& request) {
  auto& counts = IsHeartbeat(request) ? counts_.of_heartbeats : counts_.of_units;
  ++counts[static_cast<size_t>(request.call)];
}

// One way. Half to three halves of the average.
int64_t Network::DrawLatency() {
  const auto half = static_cast<double>(profile_.latency_us) / 2;
  return 1 + static_cast<int64_t>(half * (0.5 + random_.Uniform()));
}

Network::Fate Network::DrawFate(const Request& request) {
  if (cut_off_.contains(&request.process->machine())) return Fate::kHangs;
  if (FaultsOver()) return Fate::kDelivered;
  for (const Outage& outage : profile_.outages) {
    if (scheduler_.now_us() < outage.begin_us || scheduler_.now_us() >= outage.end_us) continue;
    return outage.hangs ? Fate::kHangs : Fate::kErrorBefore;
  }
  const StoreFaults& f = profile_.faults;
  const bool writes = request.call == StoreCall::kPut || request.call == StoreCall::kDelete ||
                      request.call == StoreCall::kCreateIfAbsent;
  const bool creates = request.call == StoreCall::kCreateIfAbsent;
  double draw = random_.Uniform();
  const auto hit = [&](double probability) {
    draw -= probability;
    return draw < 0;
  };
  if (hit(f.error_before)) return Fate::kErrorBefore;
  if (hit(f.error_after)) return Fate::kErrorAfter;
  if (hit(f.lost_request)) return Fate::kLostRequest;
  if (hit(f.lost_answer)) return Fate::kLostAnswer;
  if (hit(f.late_effect)) return writes ? Fate::kLate : Fate::kHangs;
  if (hit(f.duplicate)) return writes ? Fate::kDuplicate : Fate::kDelivered;
  if (hit(f.false_conflict)) return creates ? Fate::kFalseConflict : Fate::kDelivered;
  return Fate::kDelivered;
}

Network::Answer Network::Perform(Request request) {
  auto shared = std::make_shared<Request>(std::move(request));
  shared->waiting = scheduler_.PrepareToWait();
  const Fate fate = DrawFate(*shared);
  if (!FaultsOver()) {
    const StoreFaults& f = profile_.faults;
    if (random_.Uniform() < f.slow && f.max_slow_us > 0) {
      shared->transfer_us += static_cast<int64_t>(
          random_.Below(static_cast<uint64_t>(std::min(f.max_slow_us, profile_.timeout_us / 4))));
    }
    if (shared->call == StoreCall::kList && random_.Uniform() < f.stale_list &&
        f.max_list_lag_us > 0) {
      shared->list_lag_us =
          static_cast<int64_t>(random_.Below(static_cast<uint64_t>(f.max_list_lag_us)));
    }
    shared->truncated =
        fate == Fate::kDelivered && IsShardUpload(*shared) && random_.Uniform() < f.truncate;
  }
  if (IsShardUpload(*shared)) {
    shared->transfer_us += static_cast<int64_t>(static_cast<double>(profile_.shard_transfer_us) *
                                                (0.8 + 0.4 * random_.Uniform()));
  }
  Dispatch(shared, fate);
  scheduler_.Wait();
  return std::move(shared->answer);
}

void Network::Dispatch(const std::shared_ptr<Request>& request, Fate fate) {
  const int64_t there_us = DrawLatency() + request->transfer_us;
  const int64_t back_us = DrawLatency();
  const auto timed_out = [&] { return Answer{.status = Unavailable("timed out")}; };
  const auto error = [] { return Answer{.status = Unavailable("503 service unavailable")}; };
  switch (fate) {
    case Fate::kDelivered:
      AtEffect(there_us, request, [this, request, back_us](Answer answer) {
        AnswerAfter(back_us, request, std::move(answer));
      });
      break;
    case Fate::kErrorBefore:
      Say(*request, "refused");
      AnswerAfter(DrawLatency() + back_us, request, error());
      break;
    case Fate::kErrorAfter:
      AtEffect(there_us, request, [this, request, back_us, error](const Answer&) {
        AnswerAfter(back_us, request, error());
      });
      break;
    case Fate::kLostRequest:
    case Fate::kHangs:
      Say(*request, "lost on its way");
      AnswerAfter(profile_.timeout_us, request, timed_out());
      break;
    case Fate::kLostAnswer:
      AtEffect(there_us, request, [](const Answer&) {});
      AnswerAfter(profile_.timeout_us, request, timed_out());
      break;
    case Fate::kLate: {
      const auto most = static_cast<uint64_t>(std::max<int64_t>(1, profile_.faults.max_late_us));
      AtEffect(profile_.timeout_us + static_cast<int64_t>(random_.Below(most)), request,
               [](const Answer&) {});
      AnswerAfter(profile_.timeout_us, request, timed_out());
      break;
    }
    case Fate::kDuplicate:
      AtEffect(there_us, request, [](const Answer&) {});
      AtEffect(there_us + DrawLatency(), request, [this, request, back_us](Answer answer) {
        AnswerAfter(back_us, request, std::move(answer));
      });
      break;
    case Fate::kFalseConflict:
      Say(*request, "refused with a false conflict");
      AnswerAfter(there_us + back_us, request, Answer{.status = OkStatus(), .conflict = true});
      break;
  }
}

void Network::AtEffect(int64_t delay_us, const std::shared_ptr<Request>& request,
                       const std::function<void(Answer)>& then) {
  ++in_flight_;
  scheduler_.After(delay_us, [this, request, then] {
    --in_flight_;
    if (!Arrives(*request)) return;
    Count(*request);
    Answer answer = Apply(*request);
    Say(*request, Outcome(answer) + (request->truncated ? " (cut off)" : ""));
    then(std::move(answer));
  });
}

// What becomes of a request whose sender died while it was on its way.
bool Network::Arrives(const Request& request) {
  if (!request.process->killed()) return true;
  if (IsShardUpload(request)) {
    // Cut off while it replaces an object: no store forgets that one.
    const bool shown = profile_.faults.shows_partial_uploads && state_.Find(request.key) == nullptr;
    if (!shown || request.bytes < 2) return false;
    const auto arrived = static_cast<int64_t>(random_.Below(static_cast<uint64_t>(request.bytes)));
    Say(request, "cut off by the death of its sender");
    state_.Put(request.key, "", arrived, request.crc ^ 1);
    return false;
  }
  return random_.Below(2) == 0;
}

void Network::AnswerAfter(int64_t delay_us, const std::shared_ptr<Request>& request,
                          Answer answer) {
  request->answer = std::move(answer);
  scheduler_.After(delay_us, [this, request] {
    if (request->answer.status.code() == Code::kUnavailable) {
      Say(*request, "answer: " + request->answer.status.message());
    }
    scheduler_.Wake(request->waiting);
  });
}

Network::Answer Network::ApplyWrite(const Request& request) {
  if (request.call == StoreCall::kDelete) {
    state_.Delete(request.key);
    return {};
  }
  if (request.call == StoreCall::kCreateIfAbsent) {
    return {.status = OkStatus(), .conflict = !state_.CreateIfAbsent(request.key, request.text)};
  }
  if (request.truncated) {
    state_.Put(request.key, "", request.bytes / 2, request.crc ^ 1);
  } else {
    state_.Put(request.key, request.text, request.bytes, request.crc);
  }
  return {};
}

Network::Answer Network::Apply(const Request& request) {
  switch (request.call) {
    case StoreCall::kPut:
    case StoreCall::kCreateIfAbsent:
    case StoreCall::kDelete:
      return ApplyWrite(request);
    case StoreCall::kList:
      return {.page =
                  state_.List(request.key, request.start_after,
                              std::min(request.limit, profile_.page_objects), request.list_lag_us)};
    case StoreCall::kGetText:
    case StoreCall::kGetRange:
    case StoreCall::kStat:
      break;
  }
  const StoredObject* object = state_.Find(request.key);
  if (object == nullptr) return {.status = NotFound("no such object: " + request.key)};
  if (request.call != StoreCall::kStat) return {.text = object->text};
  Answer answer{.info = state_.Describe(request.key, *object)};
  if (profile_.gives_checksums && IsShardObject(request.key)) {
    answer.info.checksum = FormatCrc32c(object->crc);
  }
  return answer;
}

void Network::Partition(const Machine& machine, bool cut_off) {
  if (cut_off) {
    cut_off_.insert(&machine);
  } else {
    cut_off_.erase(&machine);
  }
}

}  // namespace thresher::sim
