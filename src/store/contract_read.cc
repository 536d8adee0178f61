// The contract of GetText, GetRange and Stat.

#include <atomic>
#include <cstdlib>
#include <thread>

#include "store/contract_checks.h"

namespace thresher {
namespace {

// Two machines of one store may differ by so much, and HTTP dates are in whole seconds.
constexpr int64_t kNetworkTimeSlackMs = 2'000;

Status AbsentObjects(Store& store, Clock&, const ContractOptions&) {
  RETURN_IF_ERROR(ExpectKeys(store, "", {}));
  RETURN_IF_ERROR(ExpectKeys(store, "a/b", {}));
  RETURN_IF_ERROR(ExpectAbsent(store, "a"));
  RETURN_IF_ERROR(ExpectAbsent(store, "a/b/c"));
  RETURN_IF_ERROR(PutText(store, "a/b/c", "x"));
  RETURN_IF_ERROR(ExpectAbsent(store, "a/b"));  // a folder is no object
  return ExpectAbsent(store, "a/b/c/d");
}

Status ReadAfterWrite(Store& store, Clock&, const ContractOptions& options) {
  for (int64_t round = 0; round < options.rounds; ++round) {
    const std::string key = fmt::format("object-{}", round);
    RETURN_IF_ERROR(ExpectAbsent(store, key));
    RETURN_IF_ERROR(PutText(store, key, "new"));
    RETURN_IF_ERROR(ExpectText(store, key, "new").WithContext("right after a put"));
    RETURN_IF_ERROR(PutText(store, key, "newer still"));
    RETURN_IF_ERROR(ExpectText(store, key, "newer still").WithContext("right after a second put"));
    RETURN_IF_ERROR(store.Delete(key));
    RETURN_IF_ERROR(ExpectAbsent(store, key).WithContext("right after a delete"));
  }
  return OkStatus();
}

Status ReadWhileOverwritten(Store& store, Clock&, const ContractOptions& options) {
  const std::string short_text(100, 's');
  const std::string long_text(20'000, 'l');
  RETURN_IF_ERROR(PutText(store, "heartbeat", short_text));
  std::atomic<bool> stop = false;
  Status written;
  std::thread writer([&] {
    for (int64_t i = 0; i < options.overwrites && written.ok(); ++i) {
      written = PutText(store, "heartbeat", i % 2 == 0 ? long_text : short_text);
    }
    stop = true;
  });
  Status read;
  while (!stop && read.ok()) {
    const Result<std::string> text = store.GetText("heartbeat");
    if (!text.ok()) {
      read = text.status().code() == Code::kNotFound
                 ? FailedPrecondition("the object was not there while it was overwritten")
                 : text.status();
      break;
    }
    read = Expect(*text == short_text || *text == long_text, [&] {
      return fmt::format(
          "a reader saw {} bytes that are neither the old nor the new object, while it was "
          "overwritten",
          text->size());
    });
  }
  writer.join();
  return read.ok() ? written : read;
}

Status Ranges(Store& store, Clock&, const ContractOptions&) {
  RETURN_IF_ERROR(PutText(store, "a", "0123456789"));
  struct Range {
    int64_t offset;
    size_t bytes;
    const char* expected;  // nullptr: past the end
  };
  const Range ranges[] = {{0, 10, "0123456789"}, {3, 4, "3456"},   {9, 1, "9"},
                          {10, 0, ""},           {0, 11, nullptr}, {9, 2, nullptr},
                          {10, 1, nullptr},      {11, 0, nullptr}, {int64_t{1} << 40, 1, nullptr}};
  for (const auto& [offset, bytes, expected] : ranges) {
    std::string out(bytes, '?');
    const Status status =
        store.GetRange("a", offset, std::as_writable_bytes(std::span(out.data(), out.size())));
    const std::string what = fmt::format("{} bytes from {} of an object of 10", bytes, offset);
    if (expected != nullptr) {
      if (!status.ok()) return status.WithContext(what);
      RETURN_IF_ERROR(Expect(out == expected, [&] {
        return fmt::format("{} should be {} and are {}", what, Quoted(expected), Quoted(out));
      }));
    } else {
      RETURN_IF_ERROR(Expect(status.code() == Code::kDataLoss, [&] {
        return fmt::format("{}: it ends before, and the answer is {}", what,
                           CodeName(status.code()));
      }));
    }
  }
  return OkStatus();
}

Status StatTellsBytesAndTime(Store& store, Clock&, const ContractOptions& options) {
  const int64_t slack_ms = options.over_network ? kNetworkTimeSlackMs : 0;
  RETURN_IF_ERROR(PutText(store, "a/first", "12345"));
  RETURN_IF_ERROR(PutText(store, "a/second", "1"));
  ASSIGN_OR_RETURN(const ObjectInfo first, store.Stat("a/first"));
  ASSIGN_OR_RETURN(const ObjectInfo second, store.Stat("a/second"));
  RETURN_IF_ERROR(Expect(first.key == "a/first" && first.bytes == 5, [&] {
    return fmt::format("stat a/first, 5 bytes, says {}, {} bytes", Quoted(first.key), first.bytes);
  }));
  RETURN_IF_ERROR(Expect(first.modified_ms <= second.modified_ms + slack_ms, [&] {
    return fmt::format("an object seems {} ms older than one that was put before it",
                       first.modified_ms - second.modified_ms);
  }));
  ASSIGN_OR_RETURN(const ListPage page, store.List("a/f", "", 10));
  RETURN_IF_ERROR(Expect(page.objects.size() == 1 && page.objects[0].bytes == 5,
                         "the listing does not tell the object's size"));
  return Expect(std::abs(page.objects[0].modified_ms - first.modified_ms) <= slack_ms, [&] {
    return fmt::format("listing and stat of one object differ in its time by {} ms",
                       page.objects[0].modified_ms - first.modified_ms);
  });
}

constexpr ContractCheck kChecks[] = {
    {"absent-objects", "what is not there is said not to be there", Need::kRun, AbsentObjects},
    {"read-after-write", "a read right after a put, a second put or a delete sees it", Need::kRun,
     ReadAfterWrite},
    {"read-while-overwritten", "a reader sees the old or the new object, whole", Need::kRun,
     ReadWhileOverwritten},
    {"ranges", "any range can be read, and one past the end is refused", Need::kRun, Ranges},
    {"stat", "size and time of an object, the same in stat and listing", Need::kRun,
     StatTellsBytesAndTime},
};

}  // namespace

std::span<const ContractCheck> ReadChecks() { return kChecks; }

}  // namespace thresher
