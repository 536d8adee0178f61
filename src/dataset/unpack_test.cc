#include "dataset/unpack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "dataset/decompressor.h"
#include "dataset/file_source.h"
#include "dataset/packed_for_test.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string RandomText(Random& random, size_t bytes) {
  std::string text;
  while (text.size() < bytes) {
    text.append(random.Below(40), static_cast<char>('a' + random.Below(26)));
  }
  return text;
}

std::string Pack(Compression compression, std::string_view text) {
  return compression == Compression::kGzip ? GzipForTest(text) : ZstdForTest(text);
}

struct Unpacked {
  Status status;
  std::string text;
};

Unpacked UnpackInPieces(Compression compression, std::string_view packed, size_t piece_bytes) {
  Unpacked unpacked;
  const auto decompressor = Decompressor::New(compression);
  const auto sink = [&](std::span<const std::byte> piece) {
    unpacked.text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return OkStatus();
  };
  while (!packed.empty() && unpacked.status.ok()) {
    const std::string_view piece = packed.substr(0, piece_bytes);
    packed.remove_prefix(piece.size());
    unpacked.status = decompressor->Add(std::as_bytes(std::span(piece)), sink);
  }
  if (unpacked.status.ok()) unpacked.status = decompressor->Finish();
  return unpacked;
}

TEST(DecompressorTest, ManyMembersInManyPieces) {
  Random random(1);
  for (const Compression compression : {Compression::kGzip, Compression::kZstd}) {
    for (const size_t piece_bytes : {1, 7, 1000, 10'000'000}) {
      std::string text;
      std::string packed;
      for (int member = 0; member < 4; ++member) {
        const std::string part = RandomText(random, member == 2 ? 0 : 3000);
        text += part;
        packed += Pack(compression, part);
      }
      const Unpacked unpacked = UnpackInPieces(compression, packed, piece_bytes);
      ASSERT_TRUE(unpacked.status.ok()) << unpacked.status.message();
      ASSERT_EQ(unpacked.text, text);
    }
  }
  EXPECT_TRUE(UnpackInPieces(Compression::kGzip, GzipForTest("x") + std::string(512, '\0'), 100)
                  .status.ok())
      << "zero bytes at the end";
  const std::string large(3'000'000, 'x');
  EXPECT_EQ(UnpackInPieces(Compression::kGzip, GzipForTest(large), 1 << 20).text, large);
  EXPECT_EQ(UnpackInPieces(Compression::kZstd, ZstdForTest(large), 1 << 20).text, large);
}

TEST(DecompressorFuzzTest, DamageIsFound) {
  Random random(2);
  for (const Compression compression : {Compression::kGzip, Compression::kZstd}) {
    const std::string text = RandomText(random, 2000);
    const std::string packed = Pack(compression, text) + Pack(compression, "end");
    for (size_t bytes = 1; bytes < packed.size(); ++bytes) {
      const Unpacked cut = UnpackInPieces(compression, packed.substr(0, bytes), 64);
      // Cut right between the two members it is a whole file.
      ASSERT_TRUE(!cut.status.ok() || cut.text == text) << bytes;
    }
    for (int round = 0; round < 2000; ++round) {
      std::string damaged = packed;
      damaged[random.Below(damaged.size())] ^= static_cast<char>(1 << random.Below(8));
      const Unpacked result = UnpackInPieces(compression, damaged, 1 + random.Below(300));
      // Of some bytes of a header (time, name) nothing depends.
      ASSERT_TRUE(!result.status.ok() || result.text == text + "end");
    }
  }
}

class UnpackTest : public testing::Test {
 protected:
  Result<std::string> UnpackFile(const std::string& name, const std::string& packed,
                                 Compression compression, int64_t max_bytes = 1 << 30) {
    const auto source = FileSource::Open(folder_.Write(name, packed)).value();
    return Unpack(*source, compression, name,
                  {.cache_folder = folder_.PathOf("cache"),
                   .max_bytes = max_bytes,
                   .events = [&](const std::string& line) { events_.push_back(line); }});
  }

  TemporaryFolder folder_;
  std::vector<std::string> events_;
};

TEST_F(UnpackTest, OnceAndWhole) {
  Random random(3);
  const std::string text = RandomText(random, 9'000'000);
  const std::string path = UnpackFile("a.jsonl.gz", GzipForTest(text), Compression::kGzip).value();
  EXPECT_TRUE(ReadFileForTest(path) == text);
  EXPECT_EQ(UnpackFile("a.jsonl.gz", GzipForTest(text), Compression::kGzip).value(), path);
  EXPECT_EQ(events_.size(), 1U);
}

TEST_F(UnpackTest, ThreadsAgree) {
  const std::string packed = ZstdForTest("hello");
  const auto source = FileSource::Open(folder_.Write("a.zst", packed)).value();
  std::vector<std::string> paths(4);
  {
    std::vector<std::jthread> threads;
    for (std::string& path : paths) {
      threads.emplace_back([&] {
        path = Unpack(*source, Compression::kZstd, "id",
                      {.cache_folder = folder_.PathOf("cache"), .max_bytes = 99, .events = {}})
                   .value();
      });
    }
  }
  for (const std::string& path : paths) EXPECT_EQ(path, paths[0]);
  EXPECT_EQ(ReadFileForTest(paths[0]), "hello");
}

TEST_F(UnpackTest, ErrorsNameFileAndPlaceAndLeaveNothing) {
  const std::string packed = GzipForTest(std::string(100'000, 'x') + "y");
  const Status cut =
      UnpackFile("cut.gz", packed.substr(0, packed.size() - 9), Compression::kGzip).status();
  EXPECT_EQ(cut.code(), Code::kDataLoss);
  EXPECT_THAT(cut.message(),
              AllOf(HasSubstr("cut.gz ends too early, at byte"), HasSubstr("cut off")));
  std::string damaged = packed;
  damaged[20] ^= 0x55;
  const Status broken = UnpackFile("broken.gz", damaged, Compression::kGzip).status();
  EXPECT_EQ(broken.code(), Code::kDataLoss);
  EXPECT_THAT(broken.message(), AllOf(HasSubstr("broken.gz, bytes 0-"), HasSubstr("damaged")));
  const Status large = UnpackFile("large.gz", packed, Compression::kGzip, 50'000).status();
  EXPECT_EQ(large.code(), Code::kInvalidArgument);
  EXPECT_THAT(large.message(), HasSubstr("large.gz: unpacks to more than 50.0 KB"));
  for (const auto& entry : std::filesystem::directory_iterator(folder_.PathOf("cache/unpacked"))) {
    EXPECT_EQ(entry.path().extension(), ".lock") << entry.path();
  }
}

TEST_F(UnpackTest, CacheThatCannotBeMade) {
  const auto source = FileSource::Open(folder_.Write("a.gz", GzipForTest("x"))).value();
  const Status status = Unpack(*source, Compression::kGzip, "id",
                               {.cache_folder = "/proc/thresher", .max_bytes = 9, .events = {}})
                            .status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("/proc/thresher"));
}

}  // namespace
}  // namespace thresher
