#include "doctor/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>

#include "base/temporary_folder_for_test.h"
#include "doctor/advice.h"
#include "store/broken_stores_for_test.h"
#include "store/contract.h"
#include "store/fault_store.h"
#include "store/forwarding_store.h"
#include "store/local_store.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

using testing::HasSubstr;

DoctorOptions SmallOptions() {
  return {.transfer_bytes = 20'000'000, .latency_calls = 3, .part_bytes = 0};
}

DoctorReport Examine(Store& store, const DoctorOptions& options = SmallOptions()) {
  return ExamineStore({store, store, store}, Clock::Real(), options);
}

const DoctorLine* Find(const DoctorReport& report, std::string_view name) {
  for (const DoctorLine& line : report.lines) {
    if (line.name == name) return &line;
  }
  return nullptr;
}

std::string BadLines(const DoctorReport& report) {
  std::string names;
  for (const DoctorLine& line : report.lines) {
    if (line.verdict == Verdict::kBad) names += (names.empty() ? "" : " ") + line.name;
  }
  return names;
}

// Says that it is a store of some cloud.
class NamedStore : public ForwardingStore {
 public:
  NamedStore(Store& inner, std::string url) : ForwardingStore(inner), url_(std::move(url)) {}
  std::string url() const override { return url_; }

 private:
  const std::string url_;
};

TEST(DoctorTest, AGoodStorePassesAndIsLeftAsItWas) {
  MemoryStore store;
  ASSERT_TRUE(store.Put("run.json", AsBytes("{}")).ok());
  const DoctorReport report = Examine(store);
  EXPECT_TRUE(report.ok()) << BadLines(report);
  for (const char* name :
       {"write", "read", "list", "overwrite", "delete", "create-race", "read-after-write",
        "list-after-write", "list-after-delete", "latency", "transfer", "checksum"}) {
    ASSERT_NE(Find(report, name), nullptr) << name;
    EXPECT_EQ(Find(report, name)->verdict, Verdict::kGood) << name;
    EXPECT_EQ(Find(report, name)->advice, "");
  }
  EXPECT_EQ(report.latencies.size(), kStoreCallCount);
  for (const CallLatency& latency : report.latencies) {
    EXPECT_EQ(latency.count, 3) << latency.call;
    EXPECT_LE(latency.median_ms, latency.p95_ms);
    EXPECT_LE(latency.p95_ms, latency.max_ms);
  }
  ASSERT_EQ(report.transfers.size(), 3u);
  EXPECT_EQ(report.transfers[0].name, "up, one stream");
  EXPECT_GT(report.transfers[0].BytesPerSecond(), 0);
  EXPECT_EQ(ListAll(store, "")->size(), 1u);
}

TEST(DoctorTest, NothingStaysOnALocalDisk) {
  TemporaryFolder folder;
  LocalStore store(folder.path() + "/not/there/yet");
  const DoctorReport report = Examine(store);
  EXPECT_TRUE(report.ok()) << BadLines(report);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(DoctorTest, TheWholeSuiteWhereAsked) {
  MemoryStore store;
  DoctorOptions options = SmallOptions();
  options.thorough = true;
  const DoctorReport report = Examine(store, options);
  EXPECT_TRUE(report.ok()) << BadLines(report);
  for (const ContractCheck& check : ContractChecks()) {
    EXPECT_NE(Find(report, check.name), nullptr) << check.name;
  }
}

// Remembers the longest object that it was to take, and takes none as long.
class SmallStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Put(std::string_view key, std::span<const std::byte> bytes) override {
    longest = std::max(longest, bytes.size());
    return bytes.size() > size_t{1} << 20 ? Unavailable("full") : inner_.Put(key, bytes);
  }

  size_t longest = 0;
};

TEST(DoctorTest, LargeObjectsHaveALimitWhateverThePartsAre) {
  MemoryStore inner;
  SmallStore store(inner);
  DoctorOptions options = SmallOptions();
  options.thorough = true;
  options.transfer_bytes = 0;
  options.part_bytes = int64_t{1} << 58;
  EXPECT_FALSE(Examine(store, options).ok());
  EXPECT_EQ(store.longest, size_t{256} << 20);
}

struct MissingRight {
  StoreCall call;
  std::string line;
  std::string google;
  std::string amazon;
};

TEST(DoctorTest, AMissingRightIsNamedInTheCloudsOwnWords) {
  const MissingRight rights[] = {
      {StoreCall::kPut, "write", "storage.objects.create", "s3:PutObject"},
      {StoreCall::kGetText, "read", "storage.objects.get", "s3:GetObject"},
      {StoreCall::kList, "list", "storage.objects.list", "s3:ListBucket"},
      {StoreCall::kDelete, "delete", "storage.objects.delete", "s3:DeleteObject"}};
  for (const MissingRight& right : rights) {
    for (const std::string url : {"gs://bucket/runs", "s3://bucket/runs", "az://box/runs"}) {
      MemoryStore inner;
      FaultStore denying(inner, Clock::Real(),
                         {{.call = right.call,
                           .call_count = 1'000'000,
                           .status = PermissionDenied("403 forbidden")}});
      NamedStore store(denying, url);
      const DoctorReport report = Examine(store);
      EXPECT_FALSE(report.ok());
      EXPECT_EQ(BadLines(report), right.line) << url;
      const DoctorLine* line = Find(report, right.line);
      ASSERT_NE(line, nullptr);
      EXPECT_THAT(line->text, HasSubstr("403 forbidden"));
      EXPECT_THAT(line->advice,
                  HasSubstr(url.starts_with("gs")   ? right.google
                            : url.starts_with("s3") ? right.amazon
                                                    : "Storage Blob Data Contributor"));
      EXPECT_EQ(Find(report, "create-race")->verdict, Verdict::kNotChecked);
    }
  }
}

// Google's clouds let an account create objects that it may not replace.
TEST(DoctorTest, TheRightToReplaceIsOneOfItsOwn) {
  MemoryStore inner;
  FaultStore denying(inner, Clock::Real(),
                     {{.call = StoreCall::kPut,
                       .first_call = 2,
                       .call_count = 1'000'000,
                       .status = PermissionDenied("403")}});
  NamedStore store(denying, "gs://bucket/runs");
  const DoctorReport report = Examine(store);
  EXPECT_EQ(BadLines(report), "overwrite");
  EXPECT_THAT(Find(report, "overwrite")->advice, HasSubstr("storage.objects.delete"));
}

TEST(DoctorTest, AStoreThatDoesNotAnswerIsAFinding) {
  MemoryStore inner;
  FaultStore dead(inner, Clock::Real(),
                  {{.call_count = 1'000'000, .status = Unavailable("connection refused")}});
  NamedStore store(dead, "s3://bucket/runs");
  const DoctorReport report = Examine(store);
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(BadLines(report), "reach");
  EXPECT_THAT(Find(report, "reach")->text, HasSubstr("connection refused"));
  EXPECT_THAT(Find(report, "reach")->advice, HasSubstr("--store-endpoint"));
  EXPECT_EQ(dead.CallCount(), 1) << "each further call would take as long";
}

// Retries are for stores that are known to be there.
TEST(DoctorTest, TheFirstCallGoesToTheImpatientStore) {
  MemoryStore inner;
  FaultStore patient(inner, Clock::Real());
  FaultStore impatient(inner, Clock::Real(), {{.status = Unavailable("connection refused")}});
  std::string first_step;
  DoctorOptions options = SmallOptions();
  options.on_step = [&](std::string_view step) {
    if (first_step.empty()) first_step = step;
  };
  EXPECT_EQ(BadLines(ExamineStore({patient, patient, impatient}, Clock::Real(), options)), "reach");
  EXPECT_EQ(patient.CallCount(), 0);
  EXPECT_EQ(impatient.CallCount(), 1);
  EXPECT_THAT(first_step, HasSubstr("first answer of memory:"));
  EXPECT_TRUE(ExamineStore({patient, patient, impatient}, Clock::Real(), options).ok());
  EXPECT_EQ(impatient.CallCount(), 2);
}

TEST(DoctorTest, WhereEverythingIsRefusedTheCredentialsComeFirst) {
  MemoryStore inner;
  FaultStore refusing(inner, Clock::Real(),
                      {{.call_count = 1'000'000, .status = PermissionDenied("bad signature")}});
  NamedStore store(refusing, "s3://bucket/runs");
  const DoctorReport report = Examine(store);
  EXPECT_EQ(BadLines(report), "reach");
  EXPECT_THAT(Find(report, "reach")->advice, HasSubstr("AWS_SECRET_ACCESS_KEY"));
}

TEST(DoctorTest, AStoreThatIgnoresTheConditionIsUnsafe) {
  MemoryStore inner;
  OverwritingCreateStore store(inner);
  const DoctorReport report = Examine(store);
  EXPECT_EQ(BadLines(report), "create-race");
  EXPECT_THAT(Find(report, "create-race")->advice, HasSubstr("conditional writes"));
  EXPECT_TRUE(ListAll(inner, "")->empty());
}

TEST(DoctorTest, StaleListingsAreFound) {
  MemoryStore inner;
  LateListStore store(inner);
  EXPECT_THAT(BadLines(Examine(store)), HasSubstr("list-after-write"));
}

// Names that no run has are no reason to go elsewhere.
TEST(DoctorTest, WhatNoRunNeedsIsANote) {
  MemoryStore inner;
  TrimmingStore store(inner);
  DoctorOptions options = SmallOptions();
  options.thorough = true;
  const DoctorReport report = Examine(store, options);
  EXPECT_TRUE(report.ok()) << BadLines(report);
  EXPECT_EQ(Find(report, "hostile-names")->verdict, Verdict::kNote);
}

// Whenever it is interrupted, nothing stays.
TEST(DoctorTest, AnInterruptLeavesNothingBehind) {
  for (const int64_t calls : {0, 1, 3, 7, 50, 120, 400}) {
    MemoryStore store;
    DoctorOptions options = SmallOptions();
    options.thorough = true;
    std::atomic<int64_t> asked = 0;
    options.stop = [&] { return ++asked > calls; };
    const DoctorReport report = Examine(store, options);
    EXPECT_TRUE(report.was_stopped);
    EXPECT_FALSE(report.ok());
    EXPECT_EQ(BadLines(report), "") << "an interrupt says nothing about the store";
    EXPECT_TRUE(ListAll(store, "")->empty()) << calls;
  }
}

// Its timestamps are in whole seconds, and an hour ahead.
class HourAheadClock : public Clock {
 public:
  int64_t MonotonicUs() const override {
    return (Clock::Real().UnixMs() / 1000 + 3600) * 1'000'000;
  }
  int64_t UnixMs() const override { return Clock::Real().UnixMs(); }
  void SleepMs(int64_t) override {}
};

TEST(DoctorTest, TheStoresClockIsToldApartFromOurs) {
  HourAheadClock clock;
  MemoryStore store(clock);
  const DoctorReport report = Examine(store);
  EXPECT_TRUE(report.ok()) << "nothing rests on it";
  ASSERT_TRUE(report.clock.has_value());
  EXPECT_EQ(report.clock->resolution_ms, 1000);
  EXPECT_NEAR(static_cast<double>(report.clock->ahead_ms), 3'600'000,
              static_cast<double>(report.clock->uncertainty_ms) + 100);
  EXPECT_EQ(Find(report, "clock")->verdict, Verdict::kNote);
}

}  // namespace
}  // namespace thresher
