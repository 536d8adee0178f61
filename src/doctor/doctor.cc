#include "doctor/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/byte_size.h"
#include "base/check.h"
#include "base/random.h"
#include "doctor/advice.h"
#include "doctor/local_traces.h"
#include "doctor/observed_store.h"
#include "store/contract.h"
#include "store/subfolder_store.h"

namespace thresher {
namespace {

constexpr std::string_view kProbe = "probe";
constexpr std::string_view kTransfer = "transfer";
constexpr size_t kProbeBytes = 1000;
constexpr int64_t kPieceBytes = int64_t{8} << 20;
constexpr int64_t kMaxLargeBytes = int64_t{256} << 20;  // held in memory

// One examination of one store.
class Examination {
 public:
  Examination(const StoresToExamine& stores, Clock& clock, const DoctorOptions& options)
      : store_(stores.store),
        clock_(clock),
        options_(options),
        cloud_(CloudOf(store_.url())),
        folder_("thresher-doctor-" + RandomSessionId()),
        traces_(store_.url(), folder_),
        observed_(store_, clock, options.stop),
        own_(observed_, folder_),
        observed_single_(stores.single_stream, clock, options.stop),
        own_single_(observed_single_, folder_),
        observed_impatient_(stores.impatient, clock, options.stop) {}

  DoctorReport Run();

 private:
  void Step(std::string_view what) const {
    if (options_.on_step) options_.on_step(what);
  }
  void Add(DoctorLine line);
  void AddGood(std::string name, std::string text) {
    Add({std::move(name), Verdict::kGood, std::move(text), ""});
  }

  bool IsReached();
  bool CheckRights();
  void AddRight(const char* name, Right right, const char* what, const Status& status);
  void CheckContract(std::string_view name, std::string_view advice);
  void CheckWholeContract();
  void MeasureLatency();
  void MeasureTransfers();
  Status Upload(Store& store, const char* name, std::span<const std::byte> bytes);
  Status Download(const char* name, int64_t streams);
  void ReadClock();
  void CheckChecksum();
  void CleanUp();

  Store& store_;
  Clock& clock_;
  const DoctorOptions& options_;
  const Cloud cloud_;
  const std::string folder_;
  const LocalTraces traces_;
  ObservedStore observed_;
  SubfolderStore own_;
  ObservedStore observed_single_;
  SubfolderStore own_single_;
  ObservedStore observed_impatient_;
  DoctorReport report_;
  bool was_reached_ = false;
  bool may_have_left_something_ = true;
};

void Examination::Add(DoctorLine line) {
  // What a stopped examination says of the store is about the stop.
  if (observed_.Stopped()) return;
  if (options_.on_line) options_.on_line(line);
  report_.lines.push_back(std::move(line));
}

void Examination::AddRight(const char* name, Right right, const char* what, const Status& status) {
  if (status.ok()) return AddGood(name, what);
  Add({name, Verdict::kBad, fmt::format("{}: {}", what, status.message()),
       AdviceFor(cloud_, right, status)});
}

// Where nobody listens, every further call would take as long as its retries.
bool Examination::IsReached() {
  Step("waiting for the first answer of " + store_.url());
  const Status first = observed_impatient_.Stat(folder_ + "/" + std::string(kProbe)).status();
  if (first.code() != Code::kUnavailable) return true;
  Add({"reach", Verdict::kBad, "no answer: " + first.message(),
       AdviceIfNothingWorks(cloud_, first)});
  Add({"rights", Verdict::kNotChecked, "the permissions one by one", "mend the above first"});
  return false;
}

// Each right by itself, so that what is missing can be named. False if one is.
bool Examination::CheckRights() {
  Step("permissions");
  const std::string probe(kProbeBytes, 'p');
  const Status written = own_.Put(kProbe, AsBytes(probe));
  // Of an object that could not be written the answer "not there" shows that one may ask.
  const auto unless_absent = [&](const Status& status) {
    return !written.ok() && status.code() == Code::kNotFound ? OkStatus() : status;
  };
  const Result<std::string> read = own_.GetText(kProbe);
  Status can_read = unless_absent(read.status());
  if (can_read.ok()) can_read = unless_absent(own_.Stat(kProbe).status());
  if (read.ok() && *read != probe) can_read = DataLoss("what was read is not what was written");
  const Status listed = own_.List("", "", 10).status();
  const Status overwritten = written.ok() ? own_.Put(kProbe, AsBytes(probe)) : OkStatus();
  const Status deleted = own_.Delete(kProbe);
  may_have_left_something_ = written.ok() && !deleted.ok();
  if (!written.ok() && !can_read.ok() && !listed.ok()) {
    Add({"reach", Verdict::kBad, "no call works: " + written.message(),
         AdviceIfNothingWorks(cloud_, written)});
    Add({"rights", Verdict::kNotChecked, "the permissions one by one", "mend the above first"});
    return false;
  }
  AddGood("reach", "the store answers, and takes the credentials");
  AddRight("write", Right::kWrite, "objects can be written", written);
  AddRight("read", Right::kRead, "objects can be read", can_read);
  AddRight("list", Right::kList, "objects can be listed", listed);
  if (written.ok()) {
    AddRight("overwrite", Right::kOverwrite, "objects can be replaced", overwritten);
  }
  AddRight("delete", Right::kDelete, "objects can be deleted", deleted);
  return written.ok() && can_read.ok() && listed.ok() && overwritten.ok() && deleted.ok();
}

ContractOptions ContractOptionsFor(const DoctorOptions& options, Cloud cloud) {
  ContractOptions contract;
  contract.rounds = 5;
  contract.overwrites = 10;  // clouds limit how often one object may be replaced
  contract.over_network = cloud != Cloud::kNone;
  // Two whole parts and a piece of one, if they are no larger than usual.
  if (options.part_bytes > 0) {
    contract.large_bytes =
        std::min(5 * std::min(options.part_bytes, kMaxLargeBytes) / 2, kMaxLargeBytes);
  }
  return contract;
}

const ContractCheck& CheckNamed(std::string_view name) {
  for (const ContractCheck& check : ContractChecks()) {
    if (check.name == name) return check;
  }
  THRESHER_CHECK(false);
  std::abort();
}

void Examination::CheckContract(std::string_view name, std::string_view advice) {
  const ContractCheck& check = CheckNamed(name);
  Step(check.proves);
  const Status status = RunContractCheck(check, own_, "contract-" + std::string(name), clock_,
                                         ContractOptionsFor(options_, cloud_));
  if (status.ok()) return AddGood(std::string(name), std::string(check.proves));
  const bool is_breach = status.code() == Code::kFailedPrecondition;
  Add({std::string(name), check.need == Need::kRun ? Verdict::kBad : Verdict::kNote,
       fmt::format("{}: {}", check.proves, status.message()),
       is_breach ? std::string(advice) : AdviceFor(cloud_, Right::kWrite, status)});
}

void Examination::CheckWholeContract() {
  for (const ContractCheck& check : ContractChecks()) {
    const bool is_known =
        std::any_of(report_.lines.begin(), report_.lines.end(),
                    [&](const DoctorLine& line) { return line.name == check.name; });
    if (is_known) continue;
    CheckContract(check.name, check.need == Need::kRun
                                  ? "this server does not do what the store must; use another one, "
                                    "or a newer version of it"
                                  : "nothing: no run has such names");
  }
}

CallLatency LatencyOf(StoreCall call, std::vector<int64_t> durations_us) {
  std::sort(durations_us.begin(), durations_us.end());
  const auto quantile_ms = [&](double q) {
    const auto rank = std::llround(q * static_cast<double>(durations_us.size() - 1));
    return static_cast<double>(durations_us[static_cast<size_t>(rank)]) / 1000;
  };
  return {std::string(StoreCallName(call)), static_cast<int64_t>(durations_us.size()),
          quantile_ms(0.5), quantile_ms(0.95), quantile_ms(1)};
}

constexpr StoreCall kCalls[kStoreCallCount] = {
    StoreCall::kPut,  StoreCall::kCreateIfAbsent, StoreCall::kGetText, StoreCall::kGetRange,
    StoreCall::kStat, StoreCall::kList,           StoreCall::kDelete};

void Examination::MeasureLatency() {
  Step("latency");
  for (const StoreCall call : kCalls) (void)observed_.TakeDurations(call);
  const std::string text(kProbeBytes, 'l');
  std::vector<std::byte> piece(kProbeBytes / 2);
  Status failed;
  const auto note = [&](const Status& status) {
    if (failed.ok()) failed = status;
  };
  for (int64_t i = 0; i < options_.latency_calls; ++i) {
    const std::string put = fmt::format("latency/put-{}", i);
    const std::string created = fmt::format("latency/created-{}", i);
    note(own_.Put(put, AsBytes(text)));
    note(own_.CreateIfAbsent(created, AsBytes(text)).status);
    note(own_.GetText(put).status());
    note(own_.GetRange(put, 100, piece));
    note(own_.Stat(put).status());
    note(own_.List("latency/", "", 1000).status());
    note(own_.Delete(created));
  }
  double slowest_ms = 0;
  for (const StoreCall call : kCalls) {
    std::vector<int64_t> durations_us = observed_.TakeDurations(call);
    if (durations_us.empty()) continue;
    report_.latencies.push_back(LatencyOf(call, std::move(durations_us)));
    slowest_ms = std::max(slowest_ms, report_.latencies.back().median_ms);
  }
  if (!failed.ok()) {
    return Add({"latency", Verdict::kBad, "small calls: " + failed.message(),
                AdviceFor(cloud_, Right::kWrite, failed)});
  }
  AddGood("latency", fmt::format("small calls take {:.1f} ms or less at the median", slowest_ms));
}

Status Examination::Upload(Store& store, const char* name, std::span<const std::byte> bytes) {
  Step(name);
  const int64_t begin_us = clock_.MonotonicUs();
  RETURN_IF_ERROR(store.Put(kTransfer, bytes));
  report_.transfers.push_back(
      {name, static_cast<int64_t>(bytes.size()), clock_.MonotonicUs() - begin_us});
  return OkStatus();
}

Status Examination::Download(const char* name, int64_t streams) {
  Step(name);
  const int64_t pieces = (options_.transfer_bytes + kPieceBytes - 1) / kPieceBytes;
  const int64_t begin_us = clock_.MonotonicUs();
  RETURN_IF_ERROR(ForEach(streams, pieces, [&](int64_t piece) {
    const int64_t offset = piece * kPieceBytes;
    std::vector<std::byte> bytes(
        static_cast<size_t>(std::min(kPieceBytes, options_.transfer_bytes - offset)));
    return own_.GetRange(kTransfer, offset, bytes);
  }));
  report_.transfers.push_back({name, options_.transfer_bytes, clock_.MonotonicUs() - begin_us});
  return OkStatus();
}

void Examination::MeasureTransfers() {
  if (options_.transfer_bytes == 0) return;
  // Random, so that nothing on the way can make it smaller.
  std::vector<std::byte> bytes(static_cast<size_t>(options_.transfer_bytes));
  Random random(1);
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t)) {
    const uint64_t word = random.Next();
    std::copy_n(reinterpret_cast<const std::byte*>(&word), std::min(sizeof(word), bytes.size() - i),
                bytes.begin() + static_cast<int64_t>(i));
  }
  const bool has_parts = cloud_ != Cloud::kNone && options_.part_bytes > 0 &&
                         options_.part_bytes < options_.transfer_bytes;
  Status status = Upload(own_single_, "up, one stream", bytes);
  if (status.ok() && has_parts) status = Upload(own_, "up, parallel parts", bytes);
  if (status.ok()) status = Download("down, one stream", 1);
  if (status.ok()) status = Download("down, parallel parts", options_.parallel_parts);
  if (!status.ok()) {
    return Add({"transfer", Verdict::kBad, "large objects: " + status.message(),
                "a smaller --part-bytes, a longer --store-timeout or a longer --retry-budget may "
                "help on a slow line"});
  }
  double fastest = 0;
  for (const TransferRate& rate : report_.transfers) {
    if (rate.name.starts_with("up")) fastest = std::max(fastest, rate.BytesPerSecond());
  }
  AddGood("transfer", fmt::format("objects of {} go up at {}/s",
                                  FormatBytes(static_cast<double>(options_.transfer_bytes)),
                                  FormatBytes(fastest)));
}

void Examination::ReadClock() {
  Step("the store's clock");
  constexpr int kWrites = 10;
  constexpr int64_t kFarMs = 60'000;
  StoreClockReading reading{.resolution_ms = 1000, .ahead_ms = 0, .uncertainty_ms = -1};
  for (int i = 0; i < kWrites; ++i) {
    const int64_t before_ms = clock_.UnixMs();
    const Status written = own_.Put(kProbe, AsBytes("time"));
    const int64_t after_ms = clock_.UnixMs();
    const Result<ObjectInfo> info = own_.Stat(kProbe);
    if (!written.ok() || !info.ok()) return;  // said elsewhere
    while (info->modified_ms % reading.resolution_ms != 0) reading.resolution_ms /= 10;
    const int64_t half_ms = (after_ms - before_ms + 1) / 2;
    if (reading.uncertainty_ms >= 0 && half_ms >= reading.uncertainty_ms) continue;
    reading.uncertainty_ms = half_ms;
    reading.ahead_ms = info->modified_ms - (before_ms + half_ms);
  }
  // A timestamp is cut to its resolution: half of that is missing on average.
  reading.ahead_ms += reading.resolution_ms / 2;
  reading.uncertainty_ms += (reading.resolution_ms + 1) / 2;
  report_.clock = reading;
  const std::string text = fmt::format(
      "timestamps are in steps of {} ms; the store's clock is {} ms {} this machine's "
      "(give or take {} ms)",
      reading.resolution_ms, std::abs(reading.ahead_ms),
      reading.ahead_ms < 0 ? "behind" : "ahead of", reading.uncertainty_ms);
  const bool is_far = std::abs(reading.ahead_ms) > kFarMs;
  Add({"clock", is_far ? Verdict::kNote : Verdict::kGood, text,
       is_far ? "nothing for the run, which goes by the store's clock alone; but logs will not "
                "match, and clouds refuse signed requests from a clock that is minutes off"
              : ""});
}

void Examination::CheckChecksum() {
  const std::string text(kProbeBytes, 'c');
  if (!own_.Put(kProbe, AsBytes(text)).ok()) return;  // said elsewhere
  const Result<ObjectInfo> info = own_.Stat(kProbe);
  if (!info.ok()) return;
  report_.checksum = info->checksum.substr(0, info->checksum.find(':'));
  if (report_.checksum.empty()) {
    return AddGood("checksum",
                   "the store tells no checksum: after an upload sizes are compared, and verify "
                   "reads the bytes");
  }
  AddGood("checksum", "the store tells " + report_.checksum +
                          " of its objects: it is compared after each upload");
}

// Also after a stop, hence not through the observed store.
void Examination::CleanUp() {
  if (!was_reached_) return;
  Step("removing what was written");
  constexpr int64_t kConnections = 16;
  const Status removed = DeleteAll(store_, folder_ + "/", kConnections);
  traces_.Remove();
  if (removed.ok() || !may_have_left_something_) return;
  DoctorLine line{"clean-up", Verdict::kNote,
                  fmt::format("not everything below {}/{} could be removed: {}", store_.url(),
                              folder_, removed.message()),
                  "remove that folder by hand"};
  if (options_.on_line) options_.on_line(line);
  report_.lines.push_back(std::move(line));
}

DoctorReport Examination::Run() {
  report_.url = store_.url();
  report_.folder = folder_;
  was_reached_ = IsReached();
  if (was_reached_ && CheckRights()) {
    may_have_left_something_ = true;
    CheckContract("create-race",
                  "no run is safe here: this server does not honour conditional writes; use "
                  "another one, or a newer version of it");
    constexpr const char* kStale =
        "a run stays exact, but workers will do work twice; is there a cache or a replica between "
        "this machine and the store?";
    for (const char* name : {"read-after-write", "list-after-write", "list-after-delete"}) {
      CheckContract(name, kStale);
    }
    MeasureLatency();
    MeasureTransfers();
    ReadClock();
    CheckChecksum();
    if (options_.thorough) CheckWholeContract();
  } else {
    Add({"create-race", Verdict::kNotChecked, "conditional create", "mend the above first"});
  }
  report_.was_stopped = observed_.Stopped();
  CleanUp();
  return std::move(report_);
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "good";
    case Verdict::kBad:
      return "bad";
    case Verdict::kNote:
      return "note";
    case Verdict::kNotChecked:
      return "not checked";
  }
  return "";
}

double TransferRate::BytesPerSecond() const {
  return 1e6 * static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(1, duration_us));
}

bool DoctorReport::ok() const {
  return !was_stopped && std::none_of(lines.begin(), lines.end(), [](const DoctorLine& line) {
    return line.verdict == Verdict::kBad;
  });
}

DoctorReport ExamineStore(const StoresToExamine& stores, Clock& clock,
                          const DoctorOptions& options) {
  return Examination(stores, clock, options).Run();
}

}  // namespace thresher
