#ifndef THRESHER_EXTRACT_READ_IN_ORDER_H_
#define THRESHER_EXTRACT_READ_IN_ORDER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.h"

namespace thresher {

// Calls read(i) for every i in [0, count) on `readers` threads, and visit(i, result) in order on
// the calling thread. For objects of a store, which answers many requests in the time of one.
// Memory does not grow with `count`. With one reader all happens on the calling thread.
template <typename T>
void ReadInOrder(int64_t count, int readers, const std::function<Result<T>(int64_t index)>& read,
                 const std::function<void(int64_t index, const Result<T>& result)>& visit) {
  if (readers <= 1) {
    for (int64_t i = 0; i < count; ++i) visit(i, read(i));
    return;
  }
  constexpr int64_t kRound = 1024;
  for (int64_t begin = 0; begin < count; begin += kRound) {
    const int64_t size = std::min(kRound, count - begin);
    std::vector<std::optional<Result<T>>> results(static_cast<size_t>(size));
    std::atomic<int64_t> next{0};
    const auto work = [&] {
      for (int64_t i = next++; i < size; i = next++) {
        results[static_cast<size_t>(i)] = read(begin + i);
      }
    };
    std::vector<std::thread> threads;
    for (int64_t i = 1; i < std::min<int64_t>(readers, size); ++i) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    for (int64_t i = 0; i < size; ++i) visit(begin + i, *results[static_cast<size_t>(i)]);
  }
}

}  // namespace thresher

#endif  // THRESHER_EXTRACT_READ_IN_ORDER_H_
