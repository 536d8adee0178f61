#include "store/contract.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <mutex>
#include <thread>
#include <vector>

#include "store/contract_checks.h"
#include "store/subfolder_store.h"

namespace thresher {
namespace {

// Keeps the first error of several threads.
class FirstError {
 public:
  void Note(Status status) {
    if (status.ok()) return;
    std::lock_guard lock(mutex_);
    if (first_.ok()) first_ = std::move(status);
    failed_ = true;
  }
  bool failed() const { return failed_; }
  Status Take() { return first_; }

 private:
  std::mutex mutex_;
  Status first_;
  std::atomic<bool> failed_ = false;
};

}  // namespace

Status ForEach(int64_t threads, int64_t count, const std::function<Status(int64_t)>& task) {
  FirstError error;
  std::atomic<int64_t> next = 0;
  std::vector<std::thread> workers;
  for (int64_t i = 0; i < std::min(threads, count); ++i) {
    workers.emplace_back([&] {
      for (int64_t index = next++; index < count && !error.failed(); index = next++) {
        error.Note(task(index));
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  return error.Take();
}

Status Race(int64_t racers, const std::function<Status(int64_t)>& task) {
  FirstError error;
  std::barrier start(static_cast<std::ptrdiff_t>(racers));
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < racers; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      error.Note(task(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  return error.Take();
}

Status PutAll(Store& store, const std::vector<std::string>& keys, int64_t threads) {
  return ForEach(threads, static_cast<int64_t>(keys.size()), [&](int64_t i) {
    const std::string& key = keys[static_cast<size_t>(i)];
    return PutText(store, key, key);
  });
}

Status ExpectText(Store& store, std::string_view key, std::string_view text) {
  const Result<std::string> found = store.GetText(key);
  if (!found.ok()) return found.status().WithContext(fmt::format("read {}", Quoted(key)));
  RETURN_IF_ERROR(Expect(*found == text, [&] {
    return fmt::format("{} should hold {} ({} bytes) and holds {} ({} bytes)", Quoted(key),
                       Quoted(text), text.size(), Quoted(*found), found->size());
  }));
  ASSIGN_OR_RETURN(const ObjectInfo info, store.Stat(key));
  return Expect(info.bytes == static_cast<int64_t>(text.size()), [&] {
    return fmt::format("stat {} should say {} bytes and says {}", Quoted(key), text.size(),
                       info.bytes);
  });
}

Status ExpectAbsent(Store& store, std::string_view key) {
  const auto expect_not_found = [&](const char* call, const Status& status) {
    if (!status.ok() && status.code() != Code::kNotFound &&
        status.code() != Code::kFailedPrecondition) {
      return status.WithContext(fmt::format("{} {}", call, Quoted(key)));
    }
    return Expect(status.code() == Code::kNotFound, [&] {
      return fmt::format("{} {}: there is no such object, and the answer is {}", call, Quoted(key),
                         CodeName(status.code()));
    });
  };
  std::byte out[1];
  RETURN_IF_ERROR(expect_not_found("read", store.GetText(key).status()));
  RETURN_IF_ERROR(expect_not_found("read a range of", store.GetRange(key, 0, out)));
  return expect_not_found("stat", store.Stat(key).status());
}

Status ExpectKeys(Store& store, std::string_view prefix, const std::vector<std::string>& expected) {
  Result<ListPage> page = store.List(prefix, "", static_cast<int64_t>(expected.size()) + 10);
  if (!page.ok()) return page.status().WithContext(fmt::format("list {}", Quoted(prefix)));
  const auto at = [](const auto& keys, size_t i, const auto& key_of) {
    return i < keys.size() ? Quoted(key_of(keys[i])) : std::string("nothing");
  };
  const size_t count = std::max(expected.size(), page->objects.size());
  for (size_t i = 0; i < count; ++i) {
    const bool same =
        i < expected.size() && i < page->objects.size() && page->objects[i].key == expected[i];
    RETURN_IF_ERROR(Expect(same, [&] {
      return fmt::format(
          "the listing of {} should have {} as key {} of {}, and has {} there (it has {})",
          Quoted(prefix), at(expected, i, [](const std::string& key) { return key; }), i + 1,
          expected.size(),
          at(page->objects, i, [](const ObjectInfo& object) { return object.key; }),
          page->objects.size());
    }));
  }
  return Expect(!page->more, "a listing that is whole says that there is more");
}

std::span<const ContractCheck> ContractChecks() {
  static const std::vector<ContractCheck> checks = [] {
    std::vector<ContractCheck> all;
    for (const auto part : {WriteChecks(), ReadChecks(), ListChecks()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return checks;
}

Status DeleteAll(Store& store, std::string_view prefix, int64_t connections) {
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, prefix));
  FirstError error;
  RETURN_IF_ERROR(ForEach(connections, static_cast<int64_t>(objects.size()), [&](int64_t i) {
    error.Note(store.Delete(objects[static_cast<size_t>(i)].key));
    return OkStatus();
  }));
  return error.Take();
}

Status RunContractCheck(const ContractCheck& check, Store& store, std::string_view folder,
                        Clock& clock, const ContractOptions& options) {
  SubfolderStore own(store, folder);
  const Status found = check.run(own, clock, options);
  const Status cleaned = DeleteAll(own, "", options.connections);
  return found.ok() ? cleaned.WithContext("removing what the check made") : found;
}

}  // namespace thresher
