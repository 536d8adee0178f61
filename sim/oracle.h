#ifndef THRESHER_SIM_ORACLE_H_
#define THRESHER_SIM_ORACLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "extract/run_store.h"
#include "sim/store_state.h"
#include "sim/workload.h"
#include "work/records.h"

namespace thresher::sim {

// Sees every change of the store at the moment that it takes effect, knows the truth about every
// unit, and finds what may never be.
class Oracle : public StoreObserver {
 public:
  // `fail` is called with the first thing that is wrong. All borrowed.
  Oracle(const Workload& workload, std::function<void(const std::string&)> fail);

  void Watch(const StoreState& state) { state_ = &state; }

  void OnWrite(std::string_view key, const StoredObject* old, const StoredObject& written) override;
  void OnDelete(std::string_view key, const StoredObject& old) override;

  // What must hold once all work is done and nothing is on its way any more.
  void CheckFinished();

  // Units that were set aside although nothing is wrong with them: too many of their workers died.
  int64_t innocent_count() const { return innocent_count_; }
  int64_t committed_count() const { return static_cast<int64_t>(commits_.size()); }

 private:
  struct ExpectedShard {
    int64_t bytes = 0;
    uint32_t crc = 0;
  };

  void Fail(const std::string& what);
  ExpectedShard Expected(int64_t unit) const;
  void CheckShard(int64_t unit, const StoredObject& object, std::string_view key);
  void OnCommit(std::string_view key, const std::string& text);
  void OnQuarantine(std::string_view key, const std::string& text);
  void CheckManifest(const std::string& text);
  void CheckFinishFiles();

  const Workload& workload_;
  std::function<void(const std::string&)> fail_;
  const StoreState* state_ = nullptr;
  const Run run_;
  std::map<int64_t, Commit> commits_;
  std::map<int64_t, Quarantine> quarantined_;
  std::map<std::string, int64_t, std::less<>> unit_of_shard_;  // of committed shards
  std::map<int64_t, int64_t> claims_;                          // by unit
  int64_t innocent_count_ = 0;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_ORACLE_H_
