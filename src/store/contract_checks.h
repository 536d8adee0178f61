#ifndef THRESHER_STORE_CONTRACT_CHECKS_H_
#define THRESHER_STORE_CONTRACT_CHECKS_H_

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "store/contract.h"

namespace thresher {

// What the files of the contract suite share.

// The checks of one file.
std::span<const ContractCheck> WriteChecks();
std::span<const ContractCheck> ReadChecks();
std::span<const ContractCheck> ListChecks();

// kFailedPrecondition with the text of `describe` (called only then) unless `holds`.
template <typename DescribeFn>
Status Expect(bool holds, const DescribeFn& describe) {
  return holds ? OkStatus() : FailedPrecondition(describe());
}
inline Status Expect(bool holds, const char* what) {
  return holds ? OkStatus() : FailedPrecondition(what);
}

// The object holds exactly `text`, and Stat tells its size.
Status ExpectText(Store& store, std::string_view key, std::string_view text);
// GetText, GetRange and Stat all say that there is no such object.
Status ExpectAbsent(Store& store, std::string_view key);
// A first page with room for all of them holds exactly these keys, in this order.
Status ExpectKeys(Store& store, std::string_view prefix, const std::vector<std::string>& expected);

inline Status PutText(Store& store, std::string_view key, std::string_view text) {
  return store.Put(key, AsBytes(text)).WithContext(fmt::format("put {}", Quoted(key)));
}

// Calls task(i) on a thread for each i in [0, racers), all beginning at the same moment.
Status Race(int64_t racers, const std::function<Status(int64_t)>& task);

// Objects that hold their own names.
Status PutAll(Store& store, const std::vector<std::string>& keys, int64_t threads);

}  // namespace thresher

#endif  // THRESHER_STORE_CONTRACT_CHECKS_H_
