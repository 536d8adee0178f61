// The Store interface over real servers: the contract, large objects in parts, and servers that
// die or fall silent in the middle of calls. The simulated faults are those of src/store.
//
// With THRESHER_LONG_TESTS=1 the large object has 1 GB.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "servers.h"
#include "store/contract.h"
#include "store/store.h"

namespace thresher {
namespace {

bool LongTests() {
  const char* text = std::getenv("THRESHER_LONG_TESTS");
  return text != nullptr && *text != '\0';
}

class StoreServersTest : public testing::TestWithParam<ServerKind> {
 protected:
  void SetUp() override {
    if (const std::string reason = WhyServerIsMissing(GetParam()); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    server_ = std::make_unique<Server>(GetParam());
    const Status started = server_->Start();
    ASSERT_TRUE(started.ok()) << started.message();
    Result<std::unique_ptr<Store>> store = server_->Open("test/folder");
    ASSERT_TRUE(store.ok()) << store.status().message();
    store_ = std::move(store).value();
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<Store> store_;
};

std::string NameOf(const testing::TestParamInfo<ServerKind>& kind) {
  return ServerName(kind.param);
}

// --- the contract ---

// Where a server itself, asked directly, breaks the contract in a way that no run meets: it is
// told, and does not fail the test.
struct Quirk {
  ServerKind kind;
  std::string_view check;
  const char* what;
};
constexpr Quirk kQuirks[] = {
    {ServerKind::kMoto, "hostile-names", "answers 404 to names with a line break"},
    {ServerKind::kAzurite, "hostile-names", "stores '\\' as '/'"},
};

const char* KnownQuirk(ServerKind kind, std::string_view check) {
  for (const Quirk& quirk : kQuirks) {
    if (quirk.kind == kind && quirk.check == check) return quirk.what;
  }
  return nullptr;
}

class ContractTest : public StoreServersTest {};

TEST_P(ContractTest, IsKept) {
  ContractOptions options;
  options.over_network = true;
  for (const ContractCheck& check : ContractChecks()) {
    const int64_t begin_ms = Clock::Real().MonotonicMs();
    const Status status = RunContractCheck(check, *store_, fmt::format("contract/{}", check.name),
                                           Clock::Real(), options);
    const char* quirk = status.ok() ? nullptr : KnownQuirk(GetParam(), check.name);
    EXPECT_TRUE(status.ok() || quirk != nullptr) << check.name << ": " << status.message();
    fmt::print("{:>7} ms  {}{}\n", Clock::Real().MonotonicMs() - begin_ms, check.name,
               quirk == nullptr ? "" : fmt::format(": the server {}", quirk));
  }
}

// FakeGcsOnDisk is left out: it opens an object's file after it has read the attributes, so that
// readers of an object that is being replaced may find both at odds.
INSTANTIATE_TEST_SUITE_P(Servers, ContractTest,
                         testing::Values(ServerKind::kFakeGcs, ServerKind::kMinio,
                                         ServerKind::kMoto, ServerKind::kAzurite),
                         NameOf);

// --- races ---

class RaceTest : public StoreServersTest {};

// The same as the contract's, on the server that the contract is not asked of.
TEST_P(RaceTest, OfManyCreatorsExactlyOneWins) {
  ContractOptions options;
  options.over_network = true;
  for (const ContractCheck& check : ContractChecks()) {
    if (check.name != "create-race") continue;
    const Status status = RunContractCheck(check, *store_, "race", Clock::Real(), options);
    EXPECT_TRUE(status.ok()) << status.message();
    return;
  }
  ADD_FAILURE() << "the contract has no such check";
}

INSTANTIATE_TEST_SUITE_P(Servers, RaceTest, testing::Values(ServerKind::kFakeGcsOnDisk), NameOf);

// --- large objects ---

class LargeObjectTest : public StoreServersTest {};

TEST_P(LargeObjectTest, ComesBackAsItWas) {
  const size_t bytes = LongTests() ? size_t{1'000'000'007} : (size_t{256} << 20) + 7;
  std::string text(bytes, '\0');
  Random random(1);
  for (size_t i = 0; i + 8 <= bytes; i += 8) {
    const uint64_t value = random.Next();
    std::copy_n(reinterpret_cast<const char*>(&value), 8, text.begin() + static_cast<long>(i));
  }
  const int64_t begin_ms = Clock::Real().MonotonicMs();
  const Status put = store_->Put("large", AsBytes(text));
  ASSERT_TRUE(put.ok()) << put.message();
  const int64_t put_ms = Clock::Real().MonotonicMs() - begin_ms;
  const Result<ObjectInfo> info = store_->Stat("large");
  ASSERT_TRUE(info.ok()) << info.status().message();
  EXPECT_EQ(info->bytes, static_cast<int64_t>(bytes));
  // In ranges that do not fit the parts it went up in.
  std::string range(size_t{50'000'000}, '\0');
  for (size_t offset = 0; offset < bytes; offset += range.size()) {
    range.resize(std::min(range.size(), bytes - offset));
    const Status got = store_->GetRange("large", static_cast<int64_t>(offset),
                                        std::as_writable_bytes(std::span(range)));
    ASSERT_TRUE(got.ok()) << got.message();
    ASSERT_TRUE(text.compare(offset, range.size(), range) == 0) << "at byte " << offset;
  }
  fmt::print("{} bytes up in {} ms, up and down in {} ms; checksum: {}\n", bytes, put_ms,
             Clock::Real().MonotonicMs() - begin_ms,
             info->checksum.empty() ? "none" : info->checksum);
}

INSTANTIATE_TEST_SUITE_P(Servers, LargeObjectTest,
                         testing::Values(ServerKind::kFakeGcs, ServerKind::kMinio,
                                         ServerKind::kMoto, ServerKind::kAzurite),
                         NameOf);

// --- servers that die and fall silent ---

// Threads that write all the time, each object once, and remember what they were told.
class Writers {
 public:
  explicit Writers(Store& store) : store_(store) {
    for (int thread = 0; thread < kThreads; ++thread) {
      threads_.emplace_back([this, thread] { Write(thread); });
    }
  }
  ~Writers() { Stop(); }

  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  int written() const { return written_; }

  // After Stop: everything that was acknowledged is there, and nobody was told a lie.
  void ExpectAllThere() {
    for (const auto& [key, text] : put_) {
      const Result<std::string> found = store_.GetText(key);
      ASSERT_TRUE(found.ok()) << key << ": " << found.status().message();
      EXPECT_EQ(*found, text);
    }
    for (const auto& [key, texts] : created_) {
      EXPECT_LE(texts.size(), 1u) << key << " was created twice";
      const Result<std::string> found = store_.GetText(key);
      ASSERT_TRUE(found.ok()) << key << ": " << found.status().message();
      EXPECT_TRUE(texts.empty() || texts.contains(*found)) << key << " holds " << *found;
    }
    EXPECT_EQ(errors_, std::vector<std::string>());
  }

 private:
  static constexpr int kThreads = 8;

  void Write(int thread) {
    for (int i = 0; !stop_; ++i) {
      const std::string text = fmt::format("object {} of thread {}", i, thread);
      // Everybody wants this name.
      const std::string wanted = fmt::format("wanted/{:06}", i);
      const CreateResult created = store_.CreateIfAbsent(wanted, AsBytes(text));
      const std::string own = fmt::format("own/{}-{:06}", thread, i);
      const Status put = store_.Put(own, AsBytes(text));
      const std::lock_guard<std::mutex> lock(mutex_);
      if (created.outcome == CreateOutcome::kWritten) created_[wanted].insert(text);
      if (created.outcome == CreateOutcome::kConflict) created_[wanted];
      if (put.ok()) {
        put_[own] = text;
      } else {
        errors_.push_back(put.message());
      }
      ++written_;
    }
  }

  Store& store_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> written_ = 0;
  std::mutex mutex_;
  std::map<std::string, std::string> put_;
  std::map<std::string, std::set<std::string>> created_;  // the texts of those who were told so
  std::vector<std::string> errors_;
  std::vector<std::thread> threads_;
};

class ServerFaultTest : public StoreServersTest {
 protected:
  // Until the writers have got on by that many objects; false if they do not.
  static bool GetsOnBy(const Writers& writers, int objects) {
    const int before = writers.written();
    const int64_t deadline_ms = Clock::Real().MonotonicMs() + 60'000;
    while (writers.written() < before + objects) {
      if (Clock::Real().MonotonicMs() >= deadline_ms) return false;
      PassMilliseconds(1);
    }
    return true;
  }
};

TEST_P(ServerFaultTest, KilledAndStartedAgainInTheMiddleOfCalls) {
  ASSERT_TRUE(server_->KeepsObjects());
  Writers writers(*store_);
  for (int round = 0; round < 4; ++round) {
    ASSERT_TRUE(GetsOnBy(writers, 100));
    server_->Kill();
    PassMilliseconds(200 * round);
    const Status started = server_->Start();
    ASSERT_TRUE(started.ok()) << started.message();
  }
  ASSERT_TRUE(GetsOnBy(writers, 100));
  writers.Stop();
  writers.ExpectAllThere();
}

TEST_P(ServerFaultTest, SilentInTheMiddleOfCalls) {
  StoreOptions options = server_->Options();
  options.request_timeout_ms = 1'000;
  const Result<std::unique_ptr<Store>> impatient = OpenStore(store_->url(), options);
  ASSERT_TRUE(impatient.ok()) << impatient.status().message();
  Writers writers(**impatient);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(GetsOnBy(writers, 100));
    server_->Signal(SIGSTOP);
    PassMilliseconds(1'500);  // the first requests are given up, the next ones wait
    server_->Signal(SIGCONT);
  }
  ASSERT_TRUE(GetsOnBy(writers, 100));
  writers.Stop();
  writers.ExpectAllThere();
}

INSTANTIATE_TEST_SUITE_P(Servers, ServerFaultTest,
                         testing::Values(ServerKind::kFakeGcsOnDisk, ServerKind::kMinio), NameOf);

}  // namespace
}  // namespace thresher
