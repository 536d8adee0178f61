#include "engine/pjrt/staging.h"

#include <cstdlib>

#include "base/check.h"

namespace thresher {
namespace {

constexpr size_t kPage = 4096;

bool Register(const PjrtClient& client, std::byte* memory, size_t bytes) {
  if (client.platform() == "cpu") return false;  // its devices' memory is the host's
  PJRT_ARGS(PJRT_Client_DmaMap, args);
  args.client = client.client();
  args.data = memory;
  args.size = bytes;
  return PJRT_CALL(client.api(), PJRT_Client_DmaMap, args).ok();
}

void Unregister(const PjrtClient& client, std::byte* memory) {
  PJRT_ARGS(PJRT_Client_DmaUnmap, args);
  args.client = client.client();
  args.data = memory;
  static_cast<void>(PJRT_CALL(client.api(), PJRT_Client_DmaUnmap, args));
}

}  // namespace

StagingPool::~StagingPool() {
  for (const Block& block : blocks_) {
    if (block.is_registered) Unregister(client_, block.memory);
    std::free(block.memory);
  }
}

std::byte* StagingPool::Take(size_t bytes) {
  Block* best = nullptr;
  for (Block& block : blocks_) {
    if (block.in_use || block.bytes < bytes) continue;
    if (best == nullptr || block.bytes < best->bytes) best = &block;
  }
  if (best == nullptr) {
    const size_t rounded = (bytes + kPage - 1) / kPage * kPage;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kPage, rounded));
    if (memory == nullptr) return nullptr;
    blocks_.push_back({memory, rounded, false, Register(client_, memory, rounded)});
    best = &blocks_.back();
  }
  best->in_use = true;
  return best->memory;
}

void StagingPool::Return(std::byte* memory) {
  for (Block& block : blocks_) {
    if (block.memory != memory) continue;
    block.in_use = false;
    return;
  }
  THRESHER_CHECK(false);
}

}  // namespace thresher
