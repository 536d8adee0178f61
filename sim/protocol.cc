#include "sim/protocol.h"

#include "store/forwarding_store.h"

namespace thresher::sim {
std::unique_ptr<Store> Protocol::Wrap(Store& store) {
  return std::make_unique<ForwardingStore>(store);
}

Result<Published> Protocol::Publish(Store& store, Clock& clock, Ledger& ledger,
                                    const Commit& commit, std::span<const std::byte> file) {
  return PublishShard(store, clock, ledger, commit, file);
}

void Protocol::WhileWaiting(Store& /*store*/, const Run& /*run*/) {}

}  // namespace thresher::sim
