// Units of samples of every kind (whole, split, with few or no rows stored, rejected) and their
// shards, compared with what is worked out here token by token.

#include "extract/unit_job.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/random.h"
#include "extract/fake_engine_for_test.h"
#include "extract/handover.h"
#include "extract/shard_builder.h"
#include "shard/convert.h"
#include "shard/safetensors.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

constexpr int64_t kBatchTokens = 24;

// One stored row, as it should be.
struct Row {
  int32_t token_id = 0;
  int32_t position = 0;
};

// Samples, and by sequence the rows that are to be stored of them.
struct MadeUpUnit {
  SampleRange range;
  std::vector<SampleOrRejection> outcomes;
  std::vector<std::vector<Row>> sequences;
  std::vector<int64_t> sample_of_sequence;
  int64_t token_count = 0;
};

// `store`: the chance that a token's row is stored; nothing: every sample stores all of them.
MadeUpUnit MakeUnit(uint64_t seed, int64_t sample_count, std::optional<double> store) {
  Random random(seed);
  MadeUpUnit unit;
  unit.range = {40, sample_count};
  for (int64_t s = 0; s < sample_count; ++s) {
    const int64_t number = unit.range.first + s;
    if (random.Below(6) == 0) {
      unit.outcomes.emplace_back(Rejection{"bad"});
      continue;
    }
    Sample sample;
    sample.key = "k" + std::to_string(number);
    sample.sequence_offsets = {0};
    std::vector<int32_t> stored;
    const uint64_t parts = 1 + random.Below(3);
    for (uint64_t part = 0; part < parts; ++part) {
      std::vector<Row>& rows = unit.sequences.emplace_back();
      unit.sample_of_sequence.push_back(number);
      const auto length = static_cast<int32_t>(1 + random.Below(30));
      for (int32_t position = 0; position < length; ++position) {
        const auto id = static_cast<int32_t>(random.Below(50));
        if (!store || random.Uniform() < *store) {
          stored.push_back(static_cast<int32_t>(sample.token_ids.size()));
          rows.push_back({id, position});
        }
        sample.token_ids.push_back(id);
      }
      sample.sequence_offsets.push_back(static_cast<int64_t>(sample.token_ids.size()));
    }
    // All of them may be said in two ways.
    const bool says_all = stored.size() == sample.token_ids.size() && random.Below(2) == 0;
    if (!says_all) sample.stored_tokens = stored;
    unit.token_count += sample.sequence_offsets.back();
    unit.outcomes.emplace_back(std::move(sample));
  }
  return unit;
}

UnitJob JobOf(const MadeUpUnit& unit) {
  UnitJob job = MakeUnitJob(unit.outcomes, 7, 1, unit.range);
  job.batches = PackBatches(job.sequence_offsets, kBatchTokens);
  return job;
}

ShardFormat FormatOf(DType dtype) {
  return {.run_fingerprint = "xxh3:run",
          .hooks = {{"blocks.0.hook_resid_post", 12}, {"blocks.1.hook_resid_post", 24}},
          .dtype = dtype};
}

// A shard as the pipeline builds it. Skips the first `done` sequences, which must be there already.
void Compute(ShardBuilder& builder, const UnitJob& job, const ShardFormat& format,
             int64_t done = 0) {
  FakeEngine engine(format, kBatchTokens);
  for (const BatchRange& batch : job.batches) {
    const int64_t first_row = job.row_offsets[static_cast<size_t>(batch.first_sequence)];
    if (batch.end_sequence > done) {
      const EngineBatch engine_batch(job, batch);
      ASSERT_TRUE(engine.Forward(engine_batch.packed(), builder.Outputs(first_row)).ok());
    }
    builder.Absorb(job.row_offsets[static_cast<size_t>(batch.end_sequence)]);
  }
}

struct BuiltShard {
  std::vector<std::byte> file;
  Commit commit;
};

BuiltShard Build(const UnitJob& job, const ShardFormat& format) {
  ShardBuilder builder(format, job);
  BuiltShard shard;
  shard.file.assign(static_cast<size_t>(builder.file_bytes()), std::byte{0xaa});
  builder.SetMemory(shard.file.data());
  Compute(builder, job, format);
  builder.Finish();
  shard.commit = builder.DescribeContent();
  return shard;
}

template <typename T>
std::vector<T> Values(const std::vector<std::byte>& file, const std::string& tensor) {
  const auto header = ParseSafetensorsHeader(
      std::span(file).first(static_cast<size_t>(
          SafetensorsDataBegin(std::span(file).first(8), static_cast<int64_t>(file.size()))
              .value())),
      static_cast<int64_t>(file.size()));
  const TensorEntry* entry = header->Find(tensor);
  std::vector<T> values(static_cast<size_t>(entry->end - entry->begin) / sizeof(T));
  if (!values.empty()) {
    std::memcpy(values.data(), file.data() + entry->begin, values.size() * sizeof(T));
  }
  return values;
}

void ExpectShardHolds(const BuiltShard& shard, const MadeUpUnit& unit, const ShardFormat& format) {
  std::vector<Row> rows;
  std::vector<int64_t> offsets = {0};
  for (const std::vector<Row>& sequence : unit.sequences) {
    rows.insert(rows.end(), sequence.begin(), sequence.end());
    offsets.push_back(static_cast<int64_t>(rows.size()));
  }
  EXPECT_EQ(Values<int64_t>(shard.file, "sequence_offsets"), offsets);
  EXPECT_EQ(Values<int64_t>(shard.file, "sample_index"), unit.sample_of_sequence);
  std::vector<int32_t> token_ids;
  std::vector<int32_t> positions;
  for (const Row& row : rows) {
    token_ids.push_back(row.token_id);
    positions.push_back(row.position);
  }
  EXPECT_EQ(Values<int32_t>(shard.file, "token_ids"), token_ids);
  EXPECT_EQ(Values<int32_t>(shard.file, "positions"), positions);
  for (size_t hook = 0; hook < format.hooks.size(); ++hook) {
    const auto& [name, width] = format.hooks[hook];
    std::vector<float> values;
    for (const Row& row : rows) {
      for (int64_t channel = 0; channel < width; ++channel) {
        values.push_back(FakeEngine::Value(row.token_id, row.position, hook, channel));
      }
    }
    std::vector<std::byte> encoded(values.size() * static_cast<size_t>(DTypeBytes(format.dtype)));
    std::vector<float> scales(rows.size());
    EncodeRows(values.data(), static_cast<int64_t>(rows.size()), width, width, format.dtype,
               encoded.data(), scales.data());
    EXPECT_EQ(Values<std::byte>(shard.file, name), encoded) << name;
    if (HasScale(format.dtype)) {
      EXPECT_EQ(Values<float>(shard.file, name + ".scale"), scales) << name;
    }
    EXPECT_EQ(shard.commit.statistics[hook].statistics.count, static_cast<int64_t>(values.size()));
  }
  EXPECT_EQ(shard.commit.token_count, static_cast<int64_t>(rows.size()));
  EXPECT_EQ(shard.commit.forward_token_count, unit.token_count);
  EXPECT_EQ(shard.commit.sequence_count, static_cast<int64_t>(unit.sequences.size()));
  EXPECT_EQ(shard.commit.checksum, FormatCrc32c(ExtendCrc32c(0, shard.file)));
}

TEST(UnitJobTest, ShardsHoldTheSelectedRowsOfEverySequence) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const std::optional<double> store :
         {std::optional<double>(), {0.0}, {0.05}, {0.6}, {1.0}}) {
      const MadeUpUnit unit = MakeUnit(seed, 12, store);
      const ShardFormat format = FormatOf(seed % 2 == 0 ? DType::kBf16 : DType::kI8);
      ExpectShardHolds(Build(JobOf(unit), format), unit, format);
      if (HasFailure()) FAIL() << "seed " << seed << ", chance " << store.value_or(2);
    }
  }
}

TEST(UnitJobTest, AUnitWithoutAnySampleHasAnEmptyShard) {
  MadeUpUnit unit;
  unit.range = {3, 2};
  unit.outcomes = {Rejection{"a"}, Rejection{"b"}};
  const ShardFormat format = FormatOf(DType::kI8);
  const BuiltShard shard = Build(JobOf(unit), format);
  ExpectShardHolds(shard, unit, format);
  EXPECT_EQ(shard.commit.rejected.size(), 2U);
}

TEST(UnitJobTest, ABatchOfWhichAllIsStoredSaysSo) {
  const UnitJob all = JobOf(MakeUnit(1, 5, std::nullopt));
  const UnitJob none = JobOf(MakeUnit(1, 5, 0.0));
  EXPECT_FALSE(EngineBatch(all, all.batches[0]).packed().stored_tokens);
  ASSERT_TRUE(EngineBatch(none, none.batches[0]).packed().stored_tokens);
  EXPECT_EQ(EngineBatch(none, none.batches[0]).packed().row_count(), 0);
}

// Whatever of a unit is handed over, whoever goes on builds the same shard.
TEST(UnitJobTest, HandedOverAfterAnyBatchTheShardIsTheSame) {
  for (const std::optional<double> store : {std::optional<double>(), {0.0}, {0.3}}) {
    const MadeUpUnit unit = MakeUnit(5, 10, store);
    const ShardFormat format = FormatOf(DType::kF8E4M3);
    UnitJob job = JobOf(unit);
    const BuiltShard whole = Build(job, format);
    ASSERT_GT(job.batches.size(), 3U);
    for (const BatchRange& last : job.batches) {
      MemoryStore memory;
      std::vector<std::byte> file(whole.file.size(), std::byte{0});
      {
        ShardBuilder first(format, job);
        first.SetMemory(file.data());
        Compute(first, job, format);
        ASSERT_TRUE(SaveHandover(memory, format, job, first, last.end_sequence).ok());
      }
      std::fill(file.begin(), file.end(), std::byte{0x55});
      ShardBuilder second(format, job);
      second.SetMemory(file.data());
      const Result<int64_t> done = LoadHandover(memory, format, job, second);
      ASSERT_TRUE(done.ok()) << done.status().message();
      ASSERT_EQ(*done, last.end_sequence);
      Compute(second, job, format, *done);
      second.Finish();
      EXPECT_EQ(file, whole.file);
      EXPECT_EQ(second.DescribeContent().checksum, whole.commit.checksum);

      // Of a unit whose samples have become longer, though the same rows are stored.
      UnitJob longer = job;
      for (size_t s = 1; s < longer.sequence_offsets.size(); ++s) {
        longer.sequence_offsets[s] += static_cast<int64_t>(s);
      }
      longer.token_ids.resize(static_cast<size_t>(longer.token_count()));
      EXPECT_EQ(LoadHandover(memory, format, longer, second).value(), 0);
    }
  }
}

}  // namespace
}  // namespace thresher
