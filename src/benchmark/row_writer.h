#ifndef THRESHER_BENCHMARK_ROW_WRITER_H_
#define THRESHER_BENCHMARK_ROW_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace thresher {

// Blocks of bytes that lie where they will be written from.
using ByteBlocks = std::vector<std::span<const std::byte>>;

// Writes blocks one after another to a file without a name, on a thread of its own.
class RowWriter {
 public:
  static Result<RowWriter> Create(const std::string& folder);

  RowWriter(RowWriter&&) = default;
  RowWriter& operator=(RowWriter&&) = default;
  ~RowWriter();

  // Begins to write the blocks, which stay as they are until Wait. Call Wait before the next one.
  void Begin(ByteBlocks blocks);

  // Until what was begun is written.
  Status Wait();

  // Waits until all of it is on the disk. The next block is the file's first again.
  Status Finish();

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit RowWriter(std::FILE* file) : file_(file) {}

  std::unique_ptr<std::FILE, CloseFile> file_;
  std::future<Status> writing_;
};

}  // namespace thresher

#endif  // THRESHER_BENCHMARK_ROW_WRITER_H_
