#include "launch/dealing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace thresher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Shares = std::vector<std::vector<int>>;

// As Linux numbers them: processor i and i + cores are the two threads of one core.
std::vector<Processor> Machine(int packages, int cores_each, int threads) {
  std::vector<Processor> processors;
  for (int thread = 0; thread < threads; ++thread) {
    for (int package = 0; package < packages; ++package) {
      for (int core = 0; core < cores_each; ++core) {
        processors.push_back(
            {.number = static_cast<int>(processors.size()), .package = package, .core = core});
      }
    }
  }
  return processors;
}

TEST(DealingTest, WorkersGetWholeCoresOfOnePackage) {
  EXPECT_EQ(DealProcessors(Machine(1, 4, 2), 2), (Shares{{0, 4, 1, 5}, {2, 6, 3, 7}}));
  EXPECT_EQ(DealProcessors(Machine(2, 2, 1), 2), (Shares{{0, 1}, {2, 3}}));
}

TEST(DealingTest, SharesDifferByAtMostOneCore) {
  EXPECT_EQ(DealProcessors(Machine(1, 5, 1), 3), (Shares{{0}, {1, 2}, {3, 4}}));
}

TEST(DealingTest, WithMoreWorkersThanCoresTheyShare) {
  EXPECT_EQ(DealProcessors(Machine(1, 2, 2), 3), (Shares{{0}, {2}, {1, 3}}));
  EXPECT_EQ(DealProcessors(Machine(1, 2, 1), 3), (Shares{{0}, {1}, {0}}));
  EXPECT_EQ(DealProcessors({}, 2), (Shares{{}, {}}));
}

TEST(DealingTest, EveryProcessorIsDealtOutOnce) {
  for (int64_t workers = 1; workers <= 16; ++workers) {
    std::multiset<int> dealt;
    for (const std::vector<int>& share : DealProcessors(Machine(2, 4, 2), workers)) {
      EXPECT_FALSE(share.empty());
      dealt.insert(share.begin(), share.end());
    }
    EXPECT_EQ(dealt.size(), 16u) << workers;
    EXPECT_EQ(std::set<int>(dealt.begin(), dealt.end()).size(), 16u) << workers;
  }
}

TEST(DealingTest, FindsProcessorsHere) { EXPECT_FALSE(UsableProcessors().empty()); }

TEST(DealingTest, DealsDevices) {
  const Result<Devices> devices = ParseDevices("CUDA_VISIBLE_DEVICES=0,1,2,10,11");
  ASSERT_TRUE(devices.ok());
  EXPECT_EQ(devices->variable, "CUDA_VISIBLE_DEVICES");
  EXPECT_THAT(*DealDevices(*devices, 2), ElementsAre("0,1", "2,10,11"));
  const Result<std::vector<std::string>> too_few = DealDevices(*devices, 6);
  EXPECT_THAT(too_few.status().message(), HasSubstr("--devices: 5 devices for 6 workers"));
}

TEST(DealingTest, RefusesOtherDevices) {
  for (const char* text : {"", "0,1", "A=", "A=0,", "A=,0", "A=x", "1A=0", "A B=0", "A=0 1"}) {
    EXPECT_THAT(ParseDevices(text).status().message(), HasSubstr("--devices: expected")) << text;
  }
  EXPECT_THAT(ParseDevices("A=0,1,0").status().message(), HasSubstr("device 0 is named twice"));
}

TEST(DealingTest, TellsApartWhatOnlyOneProcessCanHave) {
  EXPECT_EQ(FlagOfWorker("--metrics-port=9090", 3), "--metrics-port=9093");
  EXPECT_EQ(FlagOfWorker("--metrics-port=0.0.0.0:9090", 0), "--metrics-port=0.0.0.0:9090");
  EXPECT_EQ(FlagOfWorker("--metrics-port=:9090", 1), "--metrics-port=:9091");
  EXPECT_EQ(FlagOfWorker("--metrics-port=0", 3), "--metrics-port=0");
  EXPECT_EQ(FlagOfWorker("--metrics-port=x", 3), "--metrics-port=x");
  EXPECT_EQ(FlagOfWorker("--trace=out/trace.json", 2), "--trace=out/trace-2.json");
  EXPECT_EQ(FlagOfWorker("--trace=trace", 0), "--trace=trace-0");
  EXPECT_EQ(FlagOfWorker("--model=m-1", 2), "--model=m-1");
}

}  // namespace
}  // namespace thresher
