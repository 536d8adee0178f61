// The contract of List, and the names that objects may have.

#include <algorithm>

#include "store/contract_checks.h"

namespace thresher {
namespace {

using Keys = std::vector<std::string>;

Status PrefixIsOfTheKey(Store& store, Clock&, const ContractOptions& options) {
  RETURN_IF_ERROR(PutAll(store, {"a/bc", "a/b/d", "a/c", "ab", "b"}, options.connections));
  RETURN_IF_ERROR(ExpectKeys(store, "a/b", {"a/b/d", "a/bc"}));
  RETURN_IF_ERROR(ExpectKeys(store, "a/b/", {"a/b/d"}));
  RETURN_IF_ERROR(ExpectKeys(store, "a/", {"a/b/d", "a/bc", "a/c"}));
  RETURN_IF_ERROR(ExpectKeys(store, "a", {"a/b/d", "a/bc", "a/c", "ab"}));
  RETURN_IF_ERROR(ExpectKeys(store, "a/bc", {"a/bc"}));
  for (const char* prefix : {"a/bc/", "c", "/", "../", "a/../", "a//b", "./a", "a/./"}) {
    RETURN_IF_ERROR(ExpectKeys(store, prefix, {}));
  }
  return OkStatus();
}

// The page of `limit` keys after `start` is what `sorted` says.
Status ExpectPage(Store& store, const Keys& sorted, const std::string& start, int64_t limit) {
  const auto first = std::upper_bound(sorted.begin(), sorted.end(), start);
  const int64_t left = sorted.end() - first;
  const int64_t count = std::min(limit, left);
  ASSIGN_OR_RETURN(const ListPage page, store.List("", start, limit));
  const auto what = [&] { return fmt::format("a page of {} keys after {}", limit, Quoted(start)); };
  RETURN_IF_ERROR(Expect(static_cast<int64_t>(page.objects.size()) == count, [&] {
    return fmt::format("{} should have {} and has {}", what(), count, page.objects.size());
  }));
  for (int64_t i = 0; i < count; ++i) {
    const std::string& found = page.objects[static_cast<size_t>(i)].key;
    RETURN_IF_ERROR(Expect(found == first[i], [&] {
      return fmt::format("{} should have {} as key {} and has {} there", what(), Quoted(first[i]),
                         i + 1, Quoted(found));
    }));
  }
  return Expect(page.more == (count < left), [&] {
    return fmt::format("{}: {} keys follow, and it says that {}", what(), left - count,
                       page.more ? "more follow" : "none follow");
  });
}

// '!' < '-' < '.' < '/' < '0' in bytes, so a folder's place among its neighbours is easily wrong.
Status ByteOrder(Store& store, Clock&, const ContractOptions& options) {
  Keys keys = {"a!",   "a-b",   "a.b", "a/a", "a/b.c", "a/z/1",    "a/z.1",
               "a/z0", "a/b/c", "a0b", "b/1", "Z",     "\xc3\xa9", "a b"};
  RETURN_IF_ERROR(PutAll(store, keys, options.connections));
  std::sort(keys.begin(), keys.end());
  RETURN_IF_ERROR(ExpectKeys(store, "", keys));
  // From every key, and from between keys, in pages of every size.
  Keys starts = keys;
  for (const char* start : {"", "a", "a/", "a/z/", "a/z", "a.", "a/zz", "zzz"}) {
    starts.push_back(start);
  }
  constexpr int64_t kLimits = 4;
  return ForEach(options.connections, static_cast<int64_t>(starts.size()), [&](int64_t i) {
    for (int64_t limit = 1; limit <= kLimits; ++limit) {
      RETURN_IF_ERROR(ExpectPage(store, keys, starts[static_cast<size_t>(i)], limit));
    }
    return OkStatus();
  });
}

// All keys below the prefix, in pages of `limit`; ends also if the store turns in circles.
Result<Keys> KeysInPages(Store& store, std::string_view prefix, int64_t limit) {
  Keys keys;
  while (true) {
    const std::string start = keys.empty() ? "" : keys.back();
    ASSIGN_OR_RETURN(const ListPage page, store.List(prefix, start, limit));
    for (const ObjectInfo& object : page.objects) {
      RETURN_IF_ERROR(Expect(keys.empty() || object.key > keys.back(), [&] {
        return fmt::format("in pages of {}, {} comes after {}", limit, Quoted(object.key),
                           Quoted(keys.back()));
      }));
      keys.push_back(object.key);
    }
    RETURN_IF_ERROR(Expect(static_cast<int64_t>(page.objects.size()) <= limit,
                           "a page has more keys than were asked for"));
    if (!page.more) return keys;
    RETURN_IF_ERROR(Expect(!page.objects.empty(), "an empty page says that there is more"));
  }
}

Status Pages(Store& store, Clock&, const ContractOptions& options) {
  Keys keys;
  for (int64_t i = 0; i < options.listed_objects; ++i) {
    keys.push_back(fmt::format("leases/{:03}/unit-{:06}", i / 100, i * 7));
  }
  Keys all = keys;
  all.push_back("leased");
  all.push_back("other");
  RETURN_IF_ERROR(PutAll(store, all, options.connections));
  for (const int64_t limit :
       {int64_t{97}, int64_t{1000}, options.listed_objects, 5 * options.listed_objects}) {
    ASSIGN_OR_RETURN(const Keys found, KeysInPages(store, "leases/", limit));
    RETURN_IF_ERROR(Expect(found == keys, [&] {
      return fmt::format("in pages of {}, a listing of {} keys has {}, or others", limit,
                         keys.size(), found.size());
    }));
  }
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(store, ""));
  return Expect(objects.size() == all.size(), [&] {
    return fmt::format("a listing of {} keys has {}", all.size(), objects.size());
  });
}

Status ListAfterWrite(Store& store, Clock&, const ContractOptions& options) {
  for (int64_t round = 0; round < options.rounds; ++round) {
    const std::string key = fmt::format("commits/unit-{:06}.json", round);
    RETURN_IF_ERROR(PutText(store, key, "new"));
    RETURN_IF_ERROR(ExpectKeys(store, key, {key}).WithContext("right after a put"));
    RETURN_IF_ERROR(PutText(store, key, "newer still"));
    ASSIGN_OR_RETURN(const ListPage page, store.List(key, "", 1));
    RETURN_IF_ERROR(Expect(page.objects.size() == 1 && page.objects[0].bytes == 11,
                           "a listing right after a second put does not show the new size"));
  }
  return OkStatus();
}

Status ListAfterDelete(Store& store, Clock&, const ContractOptions&) {
  RETURN_IF_ERROR(PutAll(store, {"a/1", "a/2", "a/3"}, 3));
  RETURN_IF_ERROR(store.Delete("a/2"));
  RETURN_IF_ERROR(ExpectKeys(store, "", {"a/1", "a/3"}));
  RETURN_IF_ERROR(store.Delete("a/1"));
  RETURN_IF_ERROR(store.Delete("a/3"));
  RETURN_IF_ERROR(ExpectKeys(store, "", {}));
  RETURN_IF_ERROR(PutText(store, "a/2", "again"));
  RETURN_IF_ERROR(ExpectText(store, "a/2", "again"));
  return ExpectKeys(store, "", {"a/2"});
}

// Each can be written, read by its name alone, listed under it and removed.
Status ExpectNames(Store& store, Keys keys, const ContractOptions& options) {
  RETURN_IF_ERROR(PutAll(store, keys, options.connections));
  for (const std::string& key : keys) RETURN_IF_ERROR(ExpectText(store, key, key));
  std::sort(keys.begin(), keys.end());
  RETURN_IF_ERROR(ExpectKeys(store, "", keys));
  while (!keys.empty()) {
    const std::string key = keys.front();
    Keys longer = keys;
    std::erase_if(longer, [&](const std::string& other) { return !other.starts_with(key); });
    RETURN_IF_ERROR(ExpectKeys(store, key, longer));
    RETURN_IF_ERROR(store.Delete(key));
    RETURN_IF_ERROR(ExpectAbsent(store, key));
    keys.erase(keys.begin());
  }
  return ExpectKeys(store, "", {});
}

Status OddNames(Store& store, Clock&, const ContractOptions& options) {
  return ExpectNames(store,
                     {"with space", "plus+", "per%20cent%", "hash#", "que?ry", "quote\"'", "a=b&c",
                      "~", "star*", "-", "(round)", "a:b;c,d@e$f", "<tag>", ".hidden",
                      "\xe6\x97\xa5\xe6\x9c\xac/\xf0\x9f\x8c\xbe", "e\xcc\x81", "\xc3\xa9"},
                     options);
}

// Some clouds forbid or rewrite such names; no run has any.
Status HostileNames(Store& store, Clock&, const ContractOptions& options) {
  return ExpectNames(store, {" ", "...", ".tmp", "back\\slash", "new\nline", "dot."}, options);
}

Status LongNames(Store& store, Clock&, const ContractOptions& options) {
  constexpr size_t kPartBytes = 179;
  std::string key(kPartBytes, 'n');
  for (int part = 1; part < 5; ++part) key += "/" + std::string(kPartBytes, 'n');
  key += "x";  // 900 bytes
  return ExpectNames(store, {key, key.substr(0, kPartBytes - 1), std::string(200, 'm')}, options);
}

constexpr ContractCheck kChecks[] = {
    {"list-prefix", "a listing has the keys that begin with its prefix, and no others", Need::kRun,
     PrefixIsOfTheKey},
    {"list-order", "keys come in byte order, from any key on, in pages of any size", Need::kRun,
     ByteOrder},
    {"list-pages", "a long listing is whole, in pages of any size", Need::kRun, Pages},
    {"list-after-write", "a listing right after a put shows the object and its size", Need::kRun,
     ListAfterWrite},
    {"list-after-delete", "a listing right after a delete does not show the object", Need::kRun,
     ListAfterDelete},
    {"long-names", "names of 900 bytes", Need::kGeneral, LongNames},
    {"odd-names", "names with spaces, %, +, #, ? and Unicode are kept as they are", Need::kGeneral,
     OddNames},
    {"hostile-names", "names with control characters, backslashes and dots at their end",
     Need::kGeneral, HostileNames},
};

}  // namespace

std::span<const ContractCheck> ListChecks() { return kChecks; }

}  // namespace thresher
