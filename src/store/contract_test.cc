// What every store must do, whatever it is made of (contract.h), over the drivers that need no
// server; and broken stores, to see that the suite finds them.

#include "store/contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "store/broken_stores_for_test.h"
#include "store/fault_store.h"
#include "store/local_store.h"
#include "store/memory_store.h"
#include "store/subfolder_store.h"

namespace thresher {
namespace {

// A store with all that it stands on.
struct Bench {
  std::unique_ptr<TemporaryFolder> folder = nullptr;
  std::unique_ptr<Store> inner = nullptr;
  std::unique_ptr<Store> store = nullptr;
};

Bench LocalBench() {
  Bench bench;
  bench.folder = std::make_unique<TemporaryFolder>();
  bench.store = std::make_unique<LocalStore>(bench.folder->path() + "/not/there/yet");
  return bench;
}

Bench MemoryBench() {
  Bench bench;
  bench.store = std::make_unique<MemoryStore>();
  return bench;
}

Bench FaultlessBench() {
  Bench bench;
  bench.inner = std::make_unique<MemoryStore>();
  bench.store = std::make_unique<FaultStore>(*bench.inner, Clock::Real());
  return bench;
}

Bench SubfolderBench() {
  Bench bench;
  bench.inner = std::make_unique<MemoryStore>();
  // Neighbours that must not be seen from inside.
  for (const char* key : {"a", "sub", "sub/folder!", "sub/folder0", "z"}) {
    EXPECT_TRUE(bench.inner->Put(key, AsBytes("neighbour")).ok());
  }
  bench.store = std::make_unique<SubfolderStore>(*bench.inner, "sub/folder");
  return bench;
}

struct Driver {
  std::string name;
  std::function<Bench()> open;
};

void PrintTo(const Driver& driver, std::ostream* out) { *out << driver.name; }
// For the test lists.
std::string CamelName(std::string_view name) {
  std::string text;
  bool upper = true;
  for (const char character : name) {
    if (character != '-') text += upper ? static_cast<char>(std::toupper(character)) : character;
    upper = character == '-';
  }
  return text;
}

class StoreContract : public testing::TestWithParam<std::tuple<Driver, ContractCheck>> {};

TEST_P(StoreContract, Holds) {
  const auto& [driver, check] = GetParam();
  const Bench bench = driver.open();
  const Status status = check.run(*bench.store, Clock::Real(), {});
  EXPECT_TRUE(status.ok()) << check.proves << ": " << status.message();
}

INSTANTIATE_TEST_SUITE_P(
    Drivers, StoreContract,
    testing::Combine(testing::Values(Driver{"Local", LocalBench}, Driver{"Memory", MemoryBench},
                                     Driver{"Faultless", FaultlessBench},
                                     Driver{"Subfolder", SubfolderBench}),
                     testing::ValuesIn(ContractChecks().begin(), ContractChecks().end())),
    [](const auto& parameter) {
      return std::get<0>(parameter.param).name + CamelName(std::get<1>(parameter.param).name);
    });

TEST(ContractTest, ChecksHaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const ContractCheck& check : ContractChecks()) {
    EXPECT_TRUE(names.insert(check.name).second) << check.name;
    EXPECT_FALSE(check.proves.empty());
  }
}

TEST(ContractTest, EveryCheckLeavesTheStoreAsItWas) {
  MemoryStore store;
  ASSERT_TRUE(store.Put("run.json", AsBytes("{}")).ok());
  for (const ContractCheck& check : ContractChecks()) {
    const Status status = RunContractCheck(check, store, "thresher-doctor", Clock::Real(), {});
    EXPECT_TRUE(status.ok()) << check.name << ": " << status.message();
    const auto objects = ListAll(store, "");
    ASSERT_TRUE(objects.ok());
    ASSERT_EQ(objects->size(), 1u) << check.name;
    EXPECT_EQ(objects->front().key, "run.json");
  }
}

TEST(ContractTest, AFailedCheckLeavesTheStoreAsItWasToo) {
  MemoryStore inner;
  UnsortedListStore store(inner);
  for (const ContractCheck& check : ContractChecks()) {
    (void)RunContractCheck(check, store, "thresher-doctor", Clock::Real(), {});
    EXPECT_TRUE(ListAll(inner, "")->empty()) << check.name;
  }
}

TEST(ContractTest, AnErrorOfTheStoreIsNotABreachOfContract) {
  MemoryStore inner;
  for (const ContractCheck& check : ContractChecks()) {
    FaultStore store(inner, Clock::Real(),
                     {{.call_count = 1'000'000, .status = PermissionDenied("no")}});
    EXPECT_EQ(check.run(store, Clock::Real(), {}).code(), Code::kPermissionDenied) << check.name;
  }
}

// Over a network a refused create may mean "try again", and an answer may be lost.
TEST(ContractTest, TheRaceAllowsForANetworkWhereItIsTold) {
  for (const FaultKind kind :
       {FaultKind::kFalseConflict, FaultKind::kErrorAfter, FaultKind::kErrorBefore}) {
    MemoryStore inner;
    FaultStore store(inner, Clock::Real(),
                     {{.kind = kind, .call = StoreCall::kCreateIfAbsent, .call_count = 8}});
    const ContractOptions network{.over_network = true};
    for (const ContractCheck& check : ContractChecks()) {
      if (check.name != "create-race") continue;
      const Status status = check.run(store, Clock::Real(), network);
      EXPECT_TRUE(status.ok()) << status.message();
      MemoryStore other;
      FaultStore strict(other, Clock::Real(),
                        {{.kind = kind, .call = StoreCall::kCreateIfAbsent, .call_count = 8}});
      EXPECT_FALSE(check.run(strict, Clock::Real(), {}).ok());
    }
  }
}

// --- broken stores ---

struct Breakage {
  std::string name;
  std::function<std::unique_ptr<Store>(Store& inner)> breaks;
  std::vector<std::string> found_by;  // at least by these checks
};

template <typename Broken>
Breakage BreakageBy(const std::string& name, std::vector<std::string> found_by) {
  return {name, [](Store& inner) { return std::make_unique<Broken>(inner); }, std::move(found_by)};
}

const std::vector<Breakage>& Breakages() {
  static const std::vector<Breakage> breakages = {
      BreakageBy<OverwritingCreateStore>("OverwritingCreate",
                                         {"create-never-replaces", "create-race", "lost-answers"}),
      BreakageBy<CheckThenPutStore>("CheckThenPut", {"create-race"}),
      BreakageBy<TombstoneStore>("Tombstone", {"create-after-delete"}),
      BreakageBy<UnsortedListStore>("UnsortedList", {"list-order", "list-pages"}),
      BreakageBy<FolderFirstListStore>("FolderFirstList", {"list-order"}),
      BreakageBy<LastPageLostStore>("LastPageLost", {"list-pages", "list-order"}),
      BreakageBy<IgnoresStartAfterStore>("IgnoresStartAfter", {"list-pages", "list-order"}),
      BreakageBy<StaleListStore>("StaleList", {"list-after-delete"}),
      BreakageBy<LateListStore>("LateList", {"list-after-write"}),
      BreakageBy<FolderPrefixStore>("FolderPrefix", {"list-prefix"}),
      BreakageBy<TornWriteStore>("TornWrite", {"read-while-overwritten"}),
      BreakageBy<StaleReadStore>("StaleRead", {"read-after-write", "put-replaces"}),
      BreakageBy<MixedPutStore>("MixedPut", {"concurrent-put"}),
      BreakageBy<ShortRangeStore>("ShortRange", {"ranges"}),
      BreakageBy<DecodingStore>("Decoding", {"odd-names"}),
      BreakageBy<TrimmingStore>("Trimming", {"hostile-names"}),
      BreakageBy<ShortNameStore>("ShortName", {"long-names"}),
      BreakageBy<EmptyIsAbsentStore>("EmptyIsAbsent", {"empty-object"}),
      BreakageBy<LostPartStore>("LostPart", {"large-object"}),
      BreakageBy<StrictDeleteStore>("StrictDelete", {"delete"}),
      BreakageBy<FolderIsObjectStore>("FolderIsObject", {"absent-objects"}),
      BreakageBy<WrongTimeStore>("WrongTime", {"stat"}),
      BreakageBy<AnyKeyStore>("AnyKey", {"bad-keys"}),
  };
  return breakages;
}

void PrintTo(const Breakage& breakage, std::ostream* out) { *out << breakage.name; }

class BrokenStore : public testing::TestWithParam<Breakage> {};

TEST_P(BrokenStore, IsFound) {
  for (const ContractCheck& check : ContractChecks()) {
    const auto& names = GetParam().found_by;
    if (std::find(names.begin(), names.end(), check.name) == names.end()) continue;
    MemoryStore inner;
    const std::unique_ptr<Store> store = GetParam().breaks(inner);
    const Status status = check.run(*store, Clock::Real(), {});
    EXPECT_EQ(status.code(), Code::kFailedPrecondition)
        << check.name << " did not find it: " << status.message();
  }
}

INSTANTIATE_TEST_SUITE_P(Breakages, BrokenStore, testing::ValuesIn(Breakages()),
                         [](const auto& parameter) { return parameter.param.name; });

// A check that no breakage is found by proves nothing.
TEST(ContractTest, EveryCheckFindsSomething) {
  std::set<std::string> found_by;
  for (const Breakage& breakage : Breakages()) {
    found_by.insert(breakage.found_by.begin(), breakage.found_by.end());
  }
  for (const ContractCheck& check : ContractChecks()) {
    EXPECT_TRUE(found_by.contains(std::string(check.name))) << check.name;
    found_by.erase(std::string(check.name));
  }
  EXPECT_THAT(found_by, testing::IsEmpty()) << "no such checks";
}

}  // namespace
}  // namespace thresher
