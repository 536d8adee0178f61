// How much memory a worker takes: arenas x the largest shard and a constant, however long the run.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"
#include "work/keys.h"

namespace thresher {
namespace {

constexpr int64_t kMegabyte = 1'000'000;

class MemoryTest : public testing::Test {
 protected:
  struct Measured {
    int64_t peak_bytes = 0;
    int64_t unit_count = 0;
    int64_t largest_shard_bytes = 0;

    int64_t BytesBesideArenas(int64_t arenas) const {
      return peak_bytes - arenas * largest_shard_bytes;
    }
  };

  // The first `samples` of the data set, in shards of about `shard_bytes`.
  Measured Measure(int64_t samples, const std::string& shard_bytes, int arenas) {
    const std::string output = fmt::format("{}/run-{}", folder_.path(), number_++);
    const ProcessResult result = Extraction{
        GoldenModel("llama"),
        Dataset(),
        output,
        {"--hooks", "all", "--quiet", "--shard-bytes", shard_bytes, "--max-samples",
         std::to_string(samples), "--arenas",
         std::to_string(arenas)}}.Run();
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    Measured measured{.peak_bytes = result.peak_resident_bytes};
    for (const std::string& name : FilesBelow(output)) {
      if (!IsShardKey(name)) continue;
      ++measured.unit_count;
      const auto bytes = static_cast<int64_t>(std::filesystem::file_size(output + "/" + name));
      measured.largest_shard_bytes = std::max(measured.largest_shard_bytes, bytes);
    }
    fmt::print("{} units, {} arenas, largest shard {:.1f} MB: peak {:.1f} MB\n",
               measured.unit_count, arenas,
               static_cast<double>(measured.largest_shard_bytes) / kMegabyte,
               static_cast<double>(measured.peak_bytes) / kMegabyte);
    std::filesystem::remove_all(output);
    return measured;
  }

  std::string Dataset() {
    const std::string path = folder_.path() + "/samples.jsonl";
    if (!std::filesystem::exists(path)) {
      WriteSamples(path, {.count = 1600, .shortest = 100, .longest = 100, .seed = 4});
    }
    return path;
  }

  TemporaryFolder folder_;
  int number_ = 0;
};

TEST_F(MemoryTest, DoesNotGrowWithTheRun) {
  // Shards differ a little in size, as samples are not divided.
  const Measured shorter = Measure(160, "31MB", 2);
  const Measured longer = Measure(1600, "31MB", 2);
  EXPECT_LE(shorter.unit_count, 5);
  EXPECT_GE(longer.unit_count, 40);
  EXPECT_LE(longer.BytesBesideArenas(2), shorter.BytesBesideArenas(2) + 10 * kMegabyte);
}

TEST_F(MemoryTest, IsArenasTimesShardBytesAndAConstant) {
  // Everything else: the program, the model, the engine's buffers, a page of rounding per arena.
  const int64_t constant = Measure(4, "100KB", 1).peak_bytes + 16 * kMegabyte;
  for (const int arenas : {1, 2, 3}) {
    for (const char* shard_bytes : {"20MB", "60MB"}) {
      const Measured measured = Measure(480, shard_bytes, arenas);
      ASSERT_GE(measured.unit_count, 4);
      EXPECT_LE(measured.BytesBesideArenas(arenas), constant);
      // And the arenas are really what is measured.
      EXPECT_GE(measured.peak_bytes, measured.largest_shard_bytes);
    }
  }
}

}  // namespace
}  // namespace thresher
