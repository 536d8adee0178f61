#ifndef THRESHER_SIM_SIM_STORE_H_
#define THRESHER_SIM_SIM_STORE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "sim/network.h"
#include "store/store.h"

namespace thresher::sim {

// The store as one process sees it. Blocks the calling task; throws Killed if its process is.
class SimStore : public Store {
 public:
  SimStore(Network& network, Process& process, std::string sender)
      : network_(network), process_(process), sender_(std::move(sender)) {}

  std::string url() const override { return "sim:"; }
  Status Put(std::string_view key, std::span<const std::byte> bytes) override;
  CreateResult CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) override;
  Result<std::string> GetText(std::string_view key) override;
  // Not of shards, whose bytes are not kept.
  Status GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) override;
  Result<ObjectInfo> Stat(std::string_view key) override;
  Result<ListPage> List(std::string_view prefix, std::string_view start_after,
                        int64_t limit) override;
  Status Delete(std::string_view key) override;

 private:
  Network::Request NewRequest(StoreCall call, std::string_view key) const;

  Network& network_;
  Process& process_;
  std::string sender_;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_SIM_STORE_H_
