#ifndef THRESHER_STORE_CONTRACT_H_
#define THRESHER_STORE_CONTRACT_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace thresher {

// What every store must do, whatever it is made of, as a list of checks that need nothing but the
// store: the unit tests run them over each driver, the server tests over real servers, and
// `thresher doctor` over a user's bucket.

struct ContractOptions {
  int64_t racers = 16;             // threads that want the same thing at the same time
  int64_t rounds = 20;             // of each race
  int64_t overwrites = 50;         // of one object while others read it
  int64_t listed_objects = 1100;   // more than one page of any cloud's listing
  int64_t large_bytes = 20 << 20;  // of the large object: held in memory once
  int64_t connections = 32;        // requests at a time where many objects are made or removed
  // A network lies between us and the store. Then an answer may be lost, a refused create may mean
  // "try again" (S3's 409), and times come from several machines and, in HTTP headers, in seconds.
  // Otherwise every call must say what it did, and times must be exact.
  bool over_network = false;
};

enum class Need {
  kRun,      // a run relies on it
  kGeneral,  // the contract has it, no run needs it: a finding is worth a note
};

struct ContractCheck {
  std::string_view name;    // "create-race": for test lists and scripts
  std::string_view proves;  // for people: "of many creators of one object exactly one wins"
  Need need = Need::kRun;
  // `store` is empty at the beginning. kFailedPrecondition, saying what was expected and what was
  // found, if the store breaks the contract; a call's own error if the store did not answer.
  Status (*run)(Store& store, Clock& clock, const ContractOptions& options);
};

// All of them, the simple ones first.
std::span<const ContractCheck> ContractChecks();

// Runs the check in the folder `folder` of `store`, which must be empty or not there, and removes
// all objects from it, whatever came out.
Status RunContractCheck(const ContractCheck& check, Store& store, std::string_view folder,
                        Clock& clock, const ContractOptions& options);

// Calls task(i) for i in [0, count), on `threads` threads at a time, until one fails: the first
// error. For work that waits for a store.
Status ForEach(int64_t threads, int64_t count, const std::function<Status(int64_t)>& task);

// Deletes every object whose key begins with `prefix`; the first error, after having tried all.
Status DeleteAll(Store& store, std::string_view prefix, int64_t connections);

}  // namespace thresher

#endif  // THRESHER_STORE_CONTRACT_H_
