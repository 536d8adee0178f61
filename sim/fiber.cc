#include "sim/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace thresher::sim {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = 512 << 10;  // instrumented frames are several times larger
#else
constexpr size_t kStackBytes = 64 << 10;
#endif
constexpr size_t kPageBytes = 4096;
constexpr size_t kMaxGuardPages = 16'000;  // each costs two of the 65,530 mappings of a process
constexpr uint64_t kCanary = 0x7ea5'ab1e'5eed'f1be;

void StartSwitch([[maybe_unused]] void** fake_stack, [[maybe_unused]] const void* bottom,
                 [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
#endif
}

void FinishSwitch([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** old_bottom,
                  [[maybe_unused]] size_t* old_bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, old_bottom, old_bytes);
#endif
}

}  // namespace

FiberStack::FiberStack(bool with_guard_page)
    : memory_bytes_(kStackBytes + (with_guard_page ? kPageBytes : 0)) {
  void* memory = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  THRESHER_CHECK(memory != MAP_FAILED);
  memory_ = static_cast<std::byte*>(memory);
  bottom_ = memory_ + (with_guard_page ? kPageBytes : 0);
  bytes_ = kStackBytes;
  if (with_guard_page) THRESHER_CHECK(mprotect(memory_, kPageBytes, PROT_NONE) == 0);
  std::memcpy(bottom_, &kCanary, sizeof(kCanary));
}

FiberStack::~FiberStack() { munmap(memory_, memory_bytes_); }

void FiberStack::CheckCanary() const {
  THRESHER_CHECK(std::memcmp(bottom_, &kCanary, sizeof(kCanary)) == 0);
}

std::unique_ptr<FiberStack> FiberStackPool::Take() {
  if (free_.empty()) return std::make_unique<FiberStack>(created_++ < kMaxGuardPages);
  std::unique_ptr<FiberStack> stack = std::move(free_.back());
  free_.pop_back();
  return stack;
}

Fiber::Fiber(FiberStackPool& pool, std::function<void()> body)
    : pool_(pool), stack_(pool.Take()), body_(std::move(body)) {
  THRESHER_CHECK(getcontext(&own_) == 0);
  own_.uc_stack.ss_sp = stack_->bottom();
  own_.uc_stack.ss_size = stack_->bytes();
  own_.uc_link = nullptr;
  const auto address = reinterpret_cast<uintptr_t>(this);
  makecontext(&own_, reinterpret_cast<void (*)()>(&Fiber::Enter), 2,
              static_cast<unsigned>(address >> 32), static_cast<unsigned>(address & 0xffff'ffffU));
}

Fiber::~Fiber() {
  THRESHER_CHECK(ended_);
  pool_.Return(std::move(stack_));
}

void Fiber::Enter(unsigned high, unsigned low) {
  reinterpret_cast<Fiber*>((static_cast<uintptr_t>(high) << 32) | low)->Run();
}

void Fiber::Run() {
  FinishSwitch(nullptr, &resumer_bottom_, &resumer_bytes_);
  body_();
  body_ = nullptr;
  ended_ = true;
  // A null fake stack tells AddressSanitizer that this stack is left for good.
  StartSwitch(nullptr, resumer_bottom_, resumer_bytes_);
  setcontext(&resumer_);
  THRESHER_CHECK(false);
}

void Fiber::Resume() {
  THRESHER_CHECK(!ended_);
  void* resumer_fake_stack = nullptr;
  StartSwitch(&resumer_fake_stack, stack_->bottom(), stack_->bytes());
  THRESHER_CHECK(swapcontext(&resumer_, &own_) == 0);
  FinishSwitch(resumer_fake_stack, nullptr, nullptr);
  stack_->CheckCanary();
}

void Fiber::Pause() {
  StartSwitch(&own_fake_stack_, resumer_bottom_, resumer_bytes_);
  THRESHER_CHECK(swapcontext(&own_, &resumer_) == 0);
  FinishSwitch(own_fake_stack_, &resumer_bottom_, &resumer_bytes_);
}

}  // namespace thresher::sim
