#include "store/notice_store.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <string_view>

#include "store/contract.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

// Answers Stat only when it may.
class SilentStore : public ForwardingStore {
 public:
  explicit SilentStore(Store& inner) : ForwardingStore(inner) {}

  Result<ObjectInfo> Stat(std::string_view key) override {
    may_answer.get_future().wait();
    return ForwardingStore::Stat(key);
  }

  std::promise<void> may_answer;
};

TEST(NoticeStoreTest, TellsOfASilenceOnce) {
  MemoryStore memory;
  auto silent = std::make_unique<SilentStore>(memory);
  std::promise<void>& may_answer = silent->may_answer;
  int told = 0;
  std::string line;
  NoticeStore store(std::move(silent), 2, [&](const std::string& text) {
    line = text;
    if (++told == 1) may_answer.set_value();  // a second time would throw
  });
  EXPECT_EQ(store.Stat("a").status().code(), Code::kNotFound);
  EXPECT_EQ(line, "waiting for an answer of memory:");
  EXPECT_EQ(told, 1);
}

TEST(NoticeStoreTest, NearStoresAndNobodyToTell) {
  auto memory = std::make_unique<MemoryStore>();
  const Store* before = memory.get();
  EXPECT_EQ(WithNotices(std::move(memory), [](const std::string&) {}).get(), before);
}

}  // namespace
}  // namespace thresher
