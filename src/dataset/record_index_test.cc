#include "dataset/record_index.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace thresher {
namespace {

RecordIndex RandomIndex(Random& random, std::vector<int64_t>* lengths = nullptr) {
  const auto files = static_cast<int32_t>(1 + random.Below(4));
  std::vector<RecordIndex::File> list;
  for (int32_t i = 0; i < files; ++i) {
    list.push_back({"f" + std::to_string(i), int64_t{1} << 40,
                    i == 2 ? RecordKind::kParquet : RecordKind::kJsonLines});
  }
  RecordIndexBuilder builder(list);
  for (int32_t file = 0; file < files; ++file) {
    int64_t at = 0;
    int64_t line = 1;
    for (uint64_t n = random.Below(700); n > 0; --n) {
      const auto bytes =
          static_cast<int64_t>(random.Below(random.Below(50) == 0 ? 2'000'000 : 300));
      builder.Add(file, {.begin = at,
                         .end = at + bytes + 1,
                         .line = line,
                         .bytes = bytes,
                         .hash = {random.Next(), random.Next()}});
      if (lengths != nullptr) lengths->push_back(bytes);
      at += bytes + 1 + static_cast<int64_t>(random.Below(3));
      line += 1 + static_cast<int64_t>(random.Below(2));
    }
  }
  return builder.Finish();
}

TEST(RecordIndexTest, BlocksAreBounded) {
  Random random(1);
  std::vector<int64_t> lengths;
  const RecordIndex index = RandomIndex(random, &lengths);
  ASSERT_EQ(index.record_count(), static_cast<int64_t>(lengths.size()));
  int64_t record = 0;
  for (int64_t block = 0; block < index.block_count(); ++block) {
    ASSERT_EQ(index.block(block).first_record, record);
    int64_t bytes = 0;
    int64_t records = 0;
    for (const int64_t length : index.LengthsOf(block)) {
      ASSERT_LT(bytes, RecordIndex::kBlockBytes);
      ASSERT_EQ(index.BlockOf(record), block);
      ASSERT_EQ(index.RecordBytes(record), lengths[static_cast<size_t>(record)]);
      ASSERT_EQ(length, lengths[static_cast<size_t>(record)]);
      bytes += length;
      ++records;
      ++record;
    }
    ASSERT_LE(records, RecordIndex::kMaxBlockRecords);
    int64_t in_segments = 0;
    for (const auto& segment : index.SegmentsOf(block)) in_segments += segment.record_count;
    ASSERT_EQ(in_segments, records);
  }
  ASSERT_EQ(record, index.record_count());
}

TEST(RecordIndexTest, SurvivesItsFile) {
  Random random(2);
  for (int round = 0; round < 50; ++round) {
    const RecordIndex index = RandomIndex(random);
    const std::string bytes = index.Serialize();
    const Result<RecordIndex> parsed = RecordIndex::Parse(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    ASSERT_EQ(*parsed, index);
    ASSERT_EQ(parsed->Serialize(), bytes);
  }
}

// As HashOf does it at the file's end, so that damage gets past the checksum.
std::string WithChecksum(std::string bytes) {
  bytes.resize(bytes.size() - 16);
  const RecordHash hash = HashOf(bytes);
  for (const uint64_t number : {hash.low, hash.high}) {
    for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(number >> shift);
  }
  return bytes;
}

TEST(RecordIndexFuzzTest, DamagedFilesAreRefusedOrConsistent) {
  Random random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = RandomIndex(random).Serialize();
    if (bytes.size() > 4000) continue;
    const size_t at = random.Below(bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ (1 + random.Below(255)));
    ASSERT_FALSE(RecordIndex::Parse(bytes).ok());
    ASSERT_FALSE(RecordIndex::Parse(bytes.substr(0, at)).ok());
    const Result<RecordIndex> forged = RecordIndex::Parse(WithChecksum(bytes));
    if (!forged.ok()) continue;
    for (int64_t block = 0; block < forged->block_count(); ++block) {
      (void)forged->LengthsOf(block);
      for (const auto& segment : forged->SegmentsOf(block)) {
        ASSERT_LT(static_cast<size_t>(segment.file), forged->files().size());
        ASSERT_LE(segment.end, forged->files()[static_cast<size_t>(segment.file)].bytes);
      }
    }
  }
  ASSERT_FALSE(RecordIndex::Parse("").ok());
}

}  // namespace
}  // namespace thresher
