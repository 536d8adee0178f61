// SQLite's way: fail the n-th call to the store, for n = 1, 2, 3, ... until a run meets no fault
// any more, in every way that a call can fail; after each, a healthy worker finishes the run, and
// the result is verified. No assumption is made about which calls there are.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "extract/completion.h"
#include "extract/worker_fixture_for_test.h"
#include "shard/safetensors.h"
#include "store/fault_store.h"
#include "store/memory_store.h"
#include "verify/verify_run.h"

namespace thresher {
namespace {

struct Way {
  const char* name;
  Fault fault;
};

constexpr int64_t kLeaseTtlMs = 1'000;
// A request's time-out; longer than the lease lasts, so that others may take the unit meanwhile.
constexpr int64_t kHangMs = 60'000;

class AnyStoreCallTest : public WorkerTest, public ::testing::WithParamInterface<Way> {
 protected:
  // How often each sample is stored in a committed shard or named as rejected by a commit.
  std::map<int64_t, int> CountSamples(Store& store, const thresher::Run& run) {
    std::map<int64_t, int> counts;
    for (int64_t unit = 0; unit < run.plan.unit_count(); ++unit) {
      const Result<Commit> commit = ReadCommit(store, unit);
      EXPECT_TRUE(commit.ok()) << commit.status().message();
      if (!commit.ok()) continue;
      for (const RejectedSample& sample : commit->rejected) ++counts[sample.sample];
      std::vector<std::byte> file(static_cast<size_t>(commit->bytes));
      EXPECT_TRUE(store.GetRange(commit->shard, 0, file).ok());
      const Result<int64_t> begin = SafetensorsDataBegin(std::span(file).first(8), commit->bytes);
      EXPECT_TRUE(begin.ok());
      if (!begin.ok()) continue;
      const Result<SafetensorsHeader> header =
          ParseSafetensorsHeader(std::span(file).first(static_cast<size_t>(*begin)), commit->bytes);
      EXPECT_TRUE(header.ok());
      if (!header.ok()) continue;
      const TensorEntry* index = header->Find("sample_index");
      for (int64_t at = index->begin; at < index->end; at += 8) {
        int64_t sample = 0;
        std::memcpy(&sample, file.data() + at, sizeof(sample));
        ++counts[sample];
      }
    }
    return counts;
  }

  void ExpectVerified(Store& store) {
    const Result<thresher::Run> run = LoadRun(store);
    ASSERT_TRUE(run.ok()) << run.status().message();
    VerifyOptions options;
    options.recompute_fraction = 0;
    options.threads = 1;
    const Result<VerifyReport> report = VerifyRun(store, options);
    ASSERT_TRUE(report.ok()) << report.status().message();
    std::string findings;
    for (const Finding& finding : report->findings) findings += FindingLine(finding) + "\n";
    EXPECT_TRUE(report->ok()) << findings;
    EXPECT_EQ(report->committed_count, run->plan.unit_count());
    EXPECT_EQ(report->stored_samples, samples_->sample_count());
    const std::map<int64_t, int> counts = CountSamples(store, *run);
    EXPECT_EQ(static_cast<int64_t>(counts.size()), samples_->sample_count());
    for (const auto& [sample, count] : counts) EXPECT_EQ(count, 1) << "sample " << sample;
  }

  // As `thresher extract` does it: a worker, and the manifest when the run is complete.
  Status Extract(Store& store, int64_t worker_id) {
    FakeEngine engine(format_, 100'000);
    WorkerRun worker;
    RunWorker(store, engine, worker_id, worker, {.beat_interval_ms = 20});
    RETURN_IF_ERROR(worker.outcome.status());
    if (*worker.outcome != Worker::Outcome::kComplete) return Internal("it did not complete");
    ASSIGN_OR_RETURN(const thresher::Run run, LoadRun(store));
    ASSIGN_OR_RETURN(const std::optional<Completion> completion,
                     ConcludeRun(store, clock_, run, {.lease_ttl_ms = kLeaseTtlMs}));
    return completion ? OkStatus() : Internal("commits have disappeared");
  }
};

TEST_P(AnyStoreCallTest, MayFail) {
  lease_ttl_ms_ = kLeaseTtlMs;
  int64_t faults_met = 0;
  for (int64_t n = 1;; ++n) {
    MemoryStore inner(clock_);
    Fault fault = GetParam().fault;
    fault.first_call = n;
    FaultStore store(inner, clock_, {fault});
    (void)Extract(store, 0);
    if (store.FaultCount() == 0) break;
    ++faults_met;
    const Status healthy = Extract(inner, 1);
    ASSERT_TRUE(healthy.ok()) << "call " << n << ": " << healthy.message();
    ExpectVerified(inner);
    if (HasFatalFailure() || HasNonfatalFailure()) FAIL() << "after call " << n;
  }
  EXPECT_GT(faults_met, 10);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, AnyStoreCallTest,
    ::testing::Values(Way{"ErrorBefore", {.kind = FaultKind::kErrorBefore}},
                      Way{"ErrorAfter", {.kind = FaultKind::kErrorAfter}},
                      Way{"Hang", {.kind = FaultKind::kHang, .latency_ms = kHangMs}},
                      Way{"HangAfter", {.kind = FaultKind::kHangAfter, .latency_ms = kHangMs}},
                      Way{"FalseConflict",
                          {.kind = FaultKind::kFalseConflict, .call = StoreCall::kCreateIfAbsent}},
                      // One that no retry can mend, so that the worker gives up.
                      Way{"Denied",
                          {.kind = FaultKind::kErrorBefore, .status = PermissionDenied("403")}}),
    [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace thresher
