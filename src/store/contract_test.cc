// What every store must do, whatever it is made of.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/temporary_folder_for_test.h"
#include "store/fault_store.h"
#include "store/local_store.h"
#include "store/memory_store.h"
#include "store/store.h"

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

struct Driver {
  std::string name;
  std::function<Bench()> open;
};

void PrintTo(const Driver& driver, std::ostream* out) { *out << driver.name; }

class StoreContract : public testing::TestWithParam<Driver> {
 protected:
  StoreContract() : bench_(GetParam().open()), store_(*bench_.store) {}

  Status Put(std::string_view key, std::string_view text) { return store_.Put(key, AsBytes(text)); }

  void MustPut(std::string_view key, std::string_view text = "x") {
    const Status status = Put(key, text);
    ASSERT_TRUE(status.ok()) << status.message();
  }

  // Puts many objects from many threads, so that they wait for the disk together.
  void MustPutAll(const std::vector<std::string>& keys) {
    constexpr size_t kThreads = 32;
    std::atomic<int> failed = 0;
    std::vector<std::thread> threads;
    for (size_t first = 0; first < kThreads; ++first) {
      threads.emplace_back([&, first] {
        for (size_t i = first; i < keys.size(); i += kThreads)
          failed += !Put(keys[i], keys[i]).ok();
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(failed, 0);
  }

  std::string Text(std::string_view key) {
    const Result<std::string> text = store_.GetText(key);
    return text.ok() ? *text : std::string(CodeName(text.status().code()));
  }

  std::vector<std::string> Keys(std::string_view prefix, std::string_view start_after = "",
                                int64_t limit = 1000) {
    const Result<ListPage> page = store_.List(prefix, start_after, limit);
    EXPECT_TRUE(page.ok()) << page.status().message();
    std::vector<std::string> keys;
    if (!page.ok()) return keys;
    for (const ObjectInfo& object : page->objects) keys.push_back(object.key);
    return keys;
  }

  Bench bench_;
  Store& store_;
};

using StringList = std::vector<std::string>;

TEST_P(StoreContract, EmptyStoreHasNothing) {
  EXPECT_EQ(Keys(""), StringList());
  EXPECT_EQ(Keys("a/b"), StringList());
  EXPECT_EQ(store_.Stat("a").status().code(), Code::kNotFound);
  EXPECT_EQ(store_.Stat("a/b/c").status().code(), Code::kNotFound);
  std::array<std::byte, 1> out;
  EXPECT_EQ(store_.GetRange("a", 0, out).code(), Code::kNotFound);
  EXPECT_TRUE(store_.Delete("a").ok());
  EXPECT_TRUE(store_.Delete("a/b/c").ok());
}

TEST_P(StoreContract, PutReplaces) {
  MustPut("a/b", "one, the longer");
  MustPut("a/b", "two");
  EXPECT_EQ(Text("a/b"), "two");
  EXPECT_EQ(store_.Stat("a/b")->bytes, 3);
  EXPECT_EQ(Keys(""), StringList{"a/b"});
}

TEST_P(StoreContract, CreateIfAbsentNeverReplaces) {
  EXPECT_EQ(store_.CreateIfAbsent("a/b", AsBytes("first")).outcome, CreateOutcome::kWritten);
  const CreateResult second = store_.CreateIfAbsent("a/b", AsBytes("second"));
  EXPECT_EQ(second.outcome, CreateOutcome::kConflict);
  EXPECT_TRUE(second.status.ok());
  EXPECT_EQ(Text("a/b"), "first");
  EXPECT_TRUE(store_.Delete("a/b").ok());
  EXPECT_EQ(store_.CreateIfAbsent("a/b", AsBytes("third")).outcome, CreateOutcome::kWritten);
  EXPECT_EQ(Text("a/b"), "third");
}

TEST_P(StoreContract, OfManyCreatorsExactlyOneWins) {
  constexpr int kThreads = 16;
  for (int round = 0; round < 20; ++round) {
    const std::string key = fmt::format("commits/unit-{:06}.json", round);
    std::atomic<int> ready = 0;
    std::atomic<int> winners = 0;
    std::atomic<int> losers = 0;
    std::atomic<int> winner = -1;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        const std::string text = fmt::format("creator {}", i);
        ++ready;
        while (ready < kThreads) std::this_thread::yield();
        const CreateResult result = store_.CreateIfAbsent(key, AsBytes(text));
        if (result.outcome == CreateOutcome::kWritten) {
          ++winners;
          winner = i;
        }
        if (result.outcome == CreateOutcome::kConflict) ++losers;
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(winners, 1);
    ASSERT_EQ(losers, kThreads - 1);
    ASSERT_EQ(Text(key), fmt::format("creator {}", winner.load()));
  }
  EXPECT_EQ(Keys("").size(), 20u);
}

TEST_P(StoreContract, ReadersOfAReplacedObjectSeeItWhole) {
  const std::string short_text(100, 's');
  const std::string long_text(20'000, 'l');
  MustPut("heartbeat", short_text);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; i < 50; ++i) (void)Put("heartbeat", i % 2 == 0 ? long_text : short_text);
    stop = true;
  });
  while (!stop) {
    const Result<std::string> text = store_.GetText("heartbeat");
    EXPECT_TRUE(text.ok()) << text.status().message();
    if (!text.ok()) break;
    EXPECT_TRUE(*text == short_text || *text == long_text) << text->size();
  }
  writer.join();
}

TEST_P(StoreContract, Ranges) {
  MustPut("a", "0123456789");
  const auto range = [this](int64_t offset, size_t bytes) {
    std::string out(bytes, '?');
    const Status status =
        store_.GetRange("a", offset, std::as_writable_bytes(std::span(out.data(), out.size())));
    return status.ok() ? out : std::string(CodeName(status.code()));
  };
  const std::string too_short(CodeName(Code::kDataLoss));
  EXPECT_EQ(range(0, 10), "0123456789");
  EXPECT_EQ(range(3, 4), "3456");
  EXPECT_EQ(range(9, 1), "9");
  EXPECT_EQ(range(10, 0), "");
  EXPECT_EQ(range(0, 11), too_short);
  EXPECT_EQ(range(9, 2), too_short);
  EXPECT_EQ(range(10, 1), too_short);
  EXPECT_EQ(range(11, 0), too_short);
  EXPECT_EQ(range(int64_t{1} << 40, 1), too_short);
}

TEST_P(StoreContract, EmptyObject) {
  MustPut("empty", "");
  EXPECT_EQ(store_.CreateIfAbsent("also", {}).outcome, CreateOutcome::kWritten);
  EXPECT_EQ(store_.CreateIfAbsent("also", {}).outcome, CreateOutcome::kConflict);
  EXPECT_EQ(Text("empty"), "");
  EXPECT_EQ(store_.Stat("empty")->bytes, 0);
  EXPECT_EQ(Keys(""), (StringList{"also", "empty"}));
}

TEST_P(StoreContract, LargeObjectWithAllByteValues) {
  std::string text(size_t{20} << 20, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  MustPut("large", text);
  EXPECT_EQ(store_.Stat("large")->bytes, int64_t{20} << 20);
  const Result<std::string> read = store_.GetText("large");
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(*read == text);
}

TEST_P(StoreContract, StatTellsBytesAndTime) {
  MustPut("a/first", "12345");
  MustPut("a/second", "1");
  const Result<ObjectInfo> first = store_.Stat("a/first");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->key, "a/first");
  EXPECT_EQ(first->bytes, 5);
  EXPECT_LE(first->modified_ms, store_.Stat("a/second")->modified_ms);
  const Result<ListPage> page = store_.List("a/f", "", 10);
  ASSERT_EQ(page->objects.size(), 1u);
  EXPECT_EQ(page->objects[0].bytes, 5);
  EXPECT_EQ(page->objects[0].modified_ms, first->modified_ms);
  EXPECT_EQ(store_.Stat("a").status().code(), Code::kNotFound);  // a folder is no object
}

TEST_P(StoreContract, PrefixIsOfTheKeyNotOfAFolder) {
  for (const char* key : {"a/b", "a/bc", "a/b/d", "a/c", "ab", "b"}) {
    if (std::string_view(key) != "a/b") MustPut(key);  // a key is not also a folder
  }
  EXPECT_EQ(Keys("a/b"), (StringList{"a/b/d", "a/bc"}));
  EXPECT_EQ(Keys("a/b/"), StringList{"a/b/d"});
  EXPECT_EQ(Keys("a/"), (StringList{"a/b/d", "a/bc", "a/c"}));
  EXPECT_EQ(Keys("a"), (StringList{"a/b/d", "a/bc", "a/c", "ab"}));
  EXPECT_EQ(Keys("a/bc"), StringList{"a/bc"});
  EXPECT_EQ(Keys("a/bc/"), StringList());
  EXPECT_EQ(Keys("c"), StringList());
  for (const char* prefix : {"/", "../", "a/../", "a//b", "./a", "a/./"}) {
    EXPECT_EQ(Keys(prefix), StringList()) << prefix;
  }
}

// '!' < '-' < '.' < '/' < '0' in bytes, so a folder's place among its neighbours is easily wrong.
TEST_P(StoreContract, KeysComeInByteOrderAcrossFolders) {
  StringList keys = {"a!",  "a-b", "a.b",  "a/a", "a/z/1",    "a/z.1", "a/z0",
                     "a0b", "b/1", "a/z/", "Z",   "\xc3\xa9", "a b"};
  keys.erase(std::find(keys.begin(), keys.end(), "a/z/"));
  MustPutAll(keys);
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(Keys(""), keys);
  // From every key, and from between keys, in pages of every size.
  StringList starts = keys;
  for (const char* start : {"", "a", "a/", "a/z/", "a/z", "a.", "a/zz", "zzz", "\xff"}) {
    starts.push_back(start);
  }
  for (const std::string& start : starts) {
    StringList expected;
    for (const std::string& key : keys) {
      if (key > start) expected.push_back(key);
    }
    EXPECT_EQ(Keys("", start), expected) << start;
    for (int64_t limit = 1; limit <= 4; ++limit) {
      const Result<ListPage> page = store_.List("", start, limit);
      const size_t count = std::min(expected.size(), static_cast<size_t>(limit));
      ASSERT_EQ(page->objects.size(), count) << start;
      for (size_t i = 0; i < count; ++i) EXPECT_EQ(page->objects[i].key, expected[i]);
      EXPECT_EQ(page->more, count < expected.size()) << start << " " << limit;
    }
  }
}

TEST_P(StoreContract, PagesOverManyKeys) {
  StringList keys;
  for (int i = 0; i < 1100; ++i) {
    keys.push_back(fmt::format("leases/{:02}/unit-{:06}", i / 100, i * 7));
  }
  MustPutAll(keys);
  MustPut("leased");
  MustPut("other");
  for (const int64_t limit : {97, 1100, 5000}) {
    StringList found;
    bool more = true;
    while (more) {
      const Result<ListPage> page =
          store_.List("leases/", found.empty() ? "" : found.back(), limit);
      ASSERT_TRUE(page.ok());
      for (const ObjectInfo& object : page->objects) found.push_back(object.key);
      more = page->more;
    }
    EXPECT_EQ(found, keys);
  }
  const Result<std::vector<ObjectInfo>> all = ListAll(store_, "");
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), keys.size() + 2);
}

TEST_P(StoreContract, ListAfterDelete) {
  for (const char* key : {"a/1", "a/2", "a/3"}) MustPut(key);
  EXPECT_TRUE(store_.Delete("a/2").ok());
  EXPECT_TRUE(store_.Delete("a/2").ok());
  EXPECT_EQ(Keys(""), (StringList{"a/1", "a/3"}));
  EXPECT_EQ(Text("a/2"), CodeName(Code::kNotFound));
  EXPECT_TRUE(store_.Delete("a/1").ok());
  EXPECT_TRUE(store_.Delete("a/3").ok());
  EXPECT_EQ(Keys(""), StringList());
  MustPut("a/2", "again");
  EXPECT_EQ(Text("a/2"), "again");
}

TEST_P(StoreContract, OddNames) {
  StringList keys = {"with space",  " ",         "plus+",
                     "per%20cent%", "hash#",     "que?ry",
                     "back\\slash", "new\nline", "\xe6\x97\xa5\xe6\x9c\xac/\xf0\x9f\x8c\xbe",
                     "...",         ".hidden",   ".tmp",
                     "quote\"'",    "-",         "a=b&c",
                     "~",           "star*",     std::string(200, 'n')};
  MustPutAll(keys);
  for (const std::string& key : keys) EXPECT_EQ(Text(key), key);
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(Keys(""), keys);
}

TEST_P(StoreContract, BadKeysAreRefused) {
  MustPut("a", "stays");
  const StringList bad = {"",         "/a",    "a//b",
                          "../a",     "a/./b", "a/",
                          "a/..",     ".",     "..",
                          "a/../..",  "/",     std::string("a\0b", 3),
                          "a/.tmp-1", ".tmp-", std::string("\0", 1)};
  for (const std::string& key : bad) {
    EXPECT_EQ(CheckKey(key).code(), Code::kInvalidArgument) << key;
    EXPECT_EQ(Put(key, "x").code(), Code::kInvalidArgument) << key;
    const CreateResult created = store_.CreateIfAbsent(key, AsBytes("x"));
    EXPECT_EQ(created.outcome, CreateOutcome::kUnknown) << key;
    EXPECT_EQ(created.status.code(), Code::kInvalidArgument) << key;
    EXPECT_EQ(store_.GetRange(key, 0, {}).code(), Code::kInvalidArgument) << key;
    EXPECT_EQ(store_.Stat(key).status().code(), Code::kInvalidArgument) << key;
    EXPECT_EQ(store_.Delete(key).code(), Code::kInvalidArgument) << key;
  }
  EXPECT_EQ(Keys(""), StringList{"a"});
}

INSTANTIATE_TEST_SUITE_P(Drivers, StoreContract,
                         testing::Values(Driver{"Local", LocalBench}, Driver{"Memory", MemoryBench},
                                         Driver{"Faultless", FaultlessBench}),
                         [](const auto& driver) { return driver.param.name; });

}  // namespace
}  // namespace thresher
