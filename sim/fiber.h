#ifndef THRESHER_SIM_FIBER_H_
#define THRESHER_SIM_FIBER_H_

#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace thresher::sim {

// A memory area for a fiber's stack. The lowest page is a guard page, as long as a process may have
// that many (Linux limits the number of mappings); a word above it is checked after each switch.
class FiberStack {
 public:
  explicit FiberStack(bool with_guard_page);
  ~FiberStack();
  FiberStack(const FiberStack&) = delete;
  FiberStack& operator=(const FiberStack&) = delete;

  std::byte* bottom() const { return bottom_; }
  size_t bytes() const { return bytes_; }
  void CheckCanary() const;

 private:
  std::byte* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  std::byte* bottom_ = nullptr;
  size_t bytes_ = 0;
};

// Stacks to be used again. Not thread-safe: one pool for each simulated world.
class FiberStackPool {
 public:
  std::unique_ptr<FiberStack> Take();
  void Return(std::unique_ptr<FiberStack> stack) { free_.push_back(std::move(stack)); }

 private:
  std::vector<std::unique_ptr<FiberStack>> free_;
  size_t created_ = 0;
};

// A function with a stack of its own, which runs on the thread that resumes it and gives the thread
// back whenever it pauses. No exception may leave the function.
class Fiber {
 public:
  Fiber(FiberStackPool& pool, std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs until the body pauses or ends. Called from the thread's own stack only.
  void Resume();
  // Called by the body: back to Resume.
  void Pause();
  bool ended() const { return ended_; }

 private:
  static void Enter(unsigned high, unsigned low);
  void Run();

  FiberStackPool& pool_;
  std::unique_ptr<FiberStack> stack_;
  std::function<void()> body_;
  ucontext_t own_{};
  ucontext_t resumer_{};
  bool ended_ = false;
  // What AddressSanitizer has to know about the two stacks.
  void* own_fake_stack_ = nullptr;
  const void* resumer_bottom_ = nullptr;
  size_t resumer_bytes_ = 0;
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_FIBER_H_
