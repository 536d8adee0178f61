// Bytes that are not what was written.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "verify/verify_for_test.h"
#include "verify/verify_run.h"

namespace thresher {
namespace {

using testing::Contains;
using testing::Each;
using testing::Field;

// The tensor that holds each byte of the file.
std::vector<std::string> OwnersOfBytes(RunForTest& run, const std::string& file) {
  const SafetensorsHeader header = run.HeaderOf(file);
  std::vector<std::string> owners(static_cast<size_t>(header.data_begin), "header");
  for (const TensorEntry& entry : header.tensors) {
    owners.insert(owners.end(), static_cast<size_t>(entry.end - entry.begin), entry.name);
  }
  EXPECT_EQ(owners.size(), file.size());
  return owners;
}

TEST(VerifyDamageTest, EveryFlippedByteIsReportedWithUnitAndTensor) {
  for (const DType dtype : {DType::kBf16, DType::kI8}) {
    RunForTest run({.dtype = dtype});
    for (int64_t unit = 0; unit < 2; ++unit) {
      const std::string key = run.ShardKeyOf(unit);
      const std::string file = run.Text(key);
      const std::vector<std::string> owners = OwnersOfBytes(run, file);
      for (size_t position = 0; position < file.size(); ++position) {
        std::string damaged = file;
        damaged[position] = static_cast<char>(damaged[position] ^ (1 << (position % 8)));
        run.Put(key, damaged);
        const VerifyReport report = Verify(run);
        ASSERT_THAT(DamageOf(report), Contains(IsAbout(unit, owners[position])))
            << "byte " << position << "\n"
            << Lines(report);
        // A byte of a tensor is nobody else's fault.
        if (owners[position] != "header") {
          ASSERT_THAT(DamageOf(report), Each(IsAbout(unit, owners[position]))) << Lines(report);
        } else {
          ASSERT_THAT(DamageOf(report), Each(Field(&Finding::unit, std::optional(unit))));
        }
      }
      run.Put(key, file);
    }
    EXPECT_TRUE(Verify(run).ok());
  }
}

TEST(VerifyDamageTest, DamageInTwoPlacesIsReportedTwice) {
  RunForTest run({});
  for (int64_t unit = 0; unit < 2; ++unit) {
    std::string file = run.Text(run.ShardKeyOf(unit));
    for (const char* tensor : {"token_ids", "blocks.0.hook_resid_post"}) {
      file[static_cast<size_t>(run.HeaderOf(file).Find(tensor)->begin)] ^= 1;
    }
    run.Put(run.ShardKeyOf(unit), file);
  }
  const VerifyReport report = Verify(run);
  EXPECT_EQ(report.damage_count, 4) << Lines(report);
  for (int64_t unit = 0; unit < 2; ++unit) {
    EXPECT_THAT(report.findings, Contains(IsAbout(unit, "token_ids", "checksum")));
    EXPECT_THAT(report.findings, Contains(IsAbout(unit, "blocks.0.hook_resid_post", "checksum")));
  }
}

TEST(VerifyDamageTest, ADeletedShardIsReported) {
  RunForTest run({});
  run.Delete(run.ShardKeyOf(1));
  const VerifyReport report = Verify(run);
  EXPECT_EQ(report.damage_count, 1) << Lines(report);
  EXPECT_THAT(report.findings, Contains(IsAbout(1, "", "does not exist")));
}

TEST(VerifyDamageTest, EveryTruncationNamesTheTensorsThatAreCutOff) {
  RunForTest run({});
  const std::string key = run.ShardKeyOf(0);
  const std::string file = run.Text(key);
  const SafetensorsHeader header = run.HeaderOf(file);
  for (size_t bytes = 0; bytes < file.size(); ++bytes) {
    run.Put(key, file.substr(0, bytes));
    const VerifyReport report = Verify(run);
    ASSERT_THAT(report.findings, Contains(IsAbout(0, "", "it was cut off")));
    for (const TensorEntry& entry : header.tensors) {
      if (static_cast<size_t>(entry.end) <= bytes) continue;
      ASSERT_THAT(report.findings, Contains(IsAbout(0, entry.name, "cut off"))) << bytes;
    }
  }
}

TEST(VerifyDamageTest, BytesBehindTheEndAreReported) {
  RunForTest run({});
  run.Put(run.ShardKeyOf(0), run.Text(run.ShardKeyOf(0)) + "x");
  EXPECT_THAT(Verify(run).findings, Contains(IsAbout(0, "", "bytes, its commit says")));
}

TEST(VerifyDamageTest, SwappedShardsAreReportedForBothUnits) {
  RunForTest run({});
  const std::string first = run.Text(run.ShardKeyOf(0));
  const std::string second = run.Text(run.ShardKeyOf(1));
  run.Put(run.ShardKeyOf(0), second);
  run.Put(run.ShardKeyOf(1), first);
  const VerifyReport report = Verify(run);
  for (int64_t unit = 0; unit < 2; ++unit) {
    EXPECT_THAT(report.findings, Contains(IsAbout(unit, "header", "checksum")));
    EXPECT_THAT(report.findings, Contains(IsAbout(unit, "token_ids")));
  }
}

TEST(VerifyDamageTest, SwappedShardsOfEqualSizeAreNamedByTheirHeader) {
  RunForTest run(
      {.records = {R"({"token_ids":[1,2]})", R"({"token_ids":[3,4]})"}, .samples_per_unit = 1});
  const std::string first = run.Text(run.ShardKeyOf(0));
  run.Put(run.ShardKeyOf(0), run.Text(run.ShardKeyOf(1)));
  run.Put(run.ShardKeyOf(1), first);
  const VerifyReport report = Verify(run);
  EXPECT_THAT(report.findings,
              Contains(IsAbout(0, "header", "metadata 'unit': expected 0, found 1")));
  EXPECT_THAT(report.findings,
              Contains(IsAbout(1, "header", "metadata 'unit': expected 1, found 0")));
}

}  // namespace
}  // namespace thresher
