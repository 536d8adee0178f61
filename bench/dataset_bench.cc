// How fast data sets are indexed and read, beside what memory allows: memchr and memcpy over the
// same bytes. One thread unless --threads says otherwise.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "dataset/dataset.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

struct Duration {
  double seconds = 0;
  double processor_seconds = 0;  // of all threads: says more where the machine is shared
};

Duration DurationOf(const std::function<void()>& body) {
  const std::clock_t processor_begin = std::clock();
  const auto begin = std::chrono::steady_clock::now();
  body();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
          static_cast<double>(std::clock() - processor_begin) / CLOCKS_PER_SEC};
}

void Report(const std::string& what, int64_t bytes, const Duration& duration) {
  const double gigabytes = static_cast<double>(bytes) / 1e9;
  fmt::print("  {:<34} {:6.2f} GB/s; {:6.2f} GB/s per core\n", what, gigabytes / duration.seconds,
             gigabytes / duration.processor_seconds);
}

// JSONL whose lines have half to one and a half times `line_bytes`.
std::string MakeJsonLines(int64_t bytes, int64_t line_bytes) {
  Random random(7);
  std::string text;
  text.reserve(static_cast<size_t>(bytes + 2 * line_bytes));
  const auto range = static_cast<uint64_t>(line_bytes);
  while (static_cast<int64_t>(text.size()) < bytes) {
    const auto length = static_cast<size_t>(line_bytes / 2) + random.Below(range);
    text += R"({"text":")";
    const char letter = static_cast<char>('a' + random.Below(26));
    text.append(length, letter);
    text += "\"}\n";
  }
  return text;
}

void MeasureMemory(const std::string& text) {
  const auto bytes = static_cast<int64_t>(text.size());
  int64_t lines = 0;
  Report("memchr for line ends", bytes, DurationOf([&] {
           const char* at = text.data();
           const char* end = at + text.size();
           while (at < end) {
             const void* found = std::memchr(at, '\n', static_cast<size_t>(end - at));
             if (found == nullptr) break;
             at = static_cast<const char*>(found) + 1;
             ++lines;
           }
         }));
  std::vector<char> copy(text.size());
  std::memcpy(copy.data(), text.data(), text.size());
  Report("memcpy", bytes, DurationOf([&] { std::memcpy(copy.data(), text.data(), text.size()); }));
  THRESHER_CHECK(lines > 0 && copy.back() == '\n');
}

void Measure(int64_t bytes, int64_t line_bytes, int64_t threads) {
  const TemporaryFolder folder;
  const std::string text = MakeJsonLines(bytes, line_bytes);
  const auto size = static_cast<int64_t>(text.size());
  const std::string path = folder.Write("data.jsonl", text);
  fmt::print("{:.2f} GB of JSONL, lines of about {} bytes, {} thread(s)\n",
             static_cast<double>(size) / 1e9, line_bytes, threads);
  MeasureMemory(text);
  MemoryStore store;
  DatasetOptions options;
  options.threads = threads;
  options.index_store = &store;
  Report("index made", size,
         DurationOf([&] { THRESHER_CHECK(Dataset::Open(path, options).ok()); }));
  const Duration loading = DurationOf([&] { THRESHER_CHECK(Dataset::Open(path, options).ok()); });
  const Dataset dataset = Dataset::Open(path, options).value();
  const int64_t count = dataset.record_count();
  Report("all records read in their order", size, DurationOf([&] {
           constexpr int64_t kAtOnce = 4096;
           for (int64_t first = 0; first < count; first += kAtOnce) {
             THRESHER_CHECK(dataset.Read(first, std::min(kAtOnce, count - first)).ok());
           }
         }));
  Random random(1);
  constexpr int64_t kReads = 1000;
  const Duration reading = DurationOf([&] {
    for (int64_t i = 0; i < kReads; ++i) {
      const auto index = static_cast<int64_t>(random.Below(static_cast<uint64_t>(count)));
      THRESHER_CHECK(dataset.Read(index, 1).ok());
    }
  });
  const Result<ListPage> page = store.List("", "", 10);
  fmt::print(
      "  {} records; index of {} bytes, loaded in {:.1f} ms; one record anywhere {:.0f} us\n",
      count, page->objects.front().bytes, loading.seconds * 1e3,
      reading.seconds / static_cast<double>(kReads) * 1e6);
}

int Main(int argc, char** argv) {
  CLI::App app("Speed of the data set's index");
  bool tiny = false;
  int64_t megabytes = 1000;
  int64_t threads = 1;
  app.add_flag("--tiny", tiny, "a run of a second, to see that it works");
  app.add_option("--megabytes", megabytes, "size of each data set");
  app.add_option("--threads", threads, "that make the index");
  CLI11_PARSE(app, argc, argv);
  const int64_t bytes = tiny ? 4'000'000 : megabytes * 1'000'000;
  for (const int64_t line_bytes : {100, 500, 5'000, 100'000}) Measure(bytes, line_bytes, threads);
  return 0;
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) { return thresher::Main(argc, argv); }
