#include "work/keys.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace thresher {
namespace {

TEST(KeysTest, NamesParseBack) {
  EXPECT_EQ(CommitKey(123), "commits/unit-000123.json");
  EXPECT_EQ(UnitOfRecordKey(CommitKey(1234567), kCommitsPrefix), 1234567);
  const auto lease = ParseLeaseKey(LeaseEndKey(7, 12, LeaseEnd::kFailed));
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->epoch, 12);
  EXPECT_EQ(lease->end, LeaseEnd::kFailed);
  EXPECT_FALSE(ParseLeaseKey(LeaseKey(7, 12))->end);
  EXPECT_EQ(ParseHeartbeatKey(HeartbeatKey(5, "a.b"))->session, "a.b");
  for (const char* key : {"commits/unit-.json", "commits/unit--1.json", "commits/unit-1.jsonx",
                          "commits/unit-99999999999999999999.json", "x"}) {
    EXPECT_FALSE(UnitOfRecordKey(key, kCommitsPrefix)) << key;
  }
  for (const char* key : {"leases/unit-1/e0", "leases/unit-1/x", "leases/unit-1/e1.tmp"}) {
    EXPECT_FALSE(ParseLeaseKey(key)) << key;
  }
}

TEST(KeysTest, ShardNamesParseBack) {
  const auto shard = ParseShardKey(ShardKey(5, 1234567, 12, "a-e3-b"));
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->worker_id, 5);
  EXPECT_EQ(shard->unit, 1234567);
  EXPECT_EQ(shard->epoch, 12);
  EXPECT_EQ(shard->session, "a-e3-b");
  EXPECT_TRUE(IsShardKey(ShardKey(0, 0, 1, "s")));
  for (const char* key :
       {"", "tpu_", "tpu_0/", "tpu_0/unit-000001", "tpu_0/unit-000001-e1-s.json",
        "tpu_0/unit-000001-e1-.safetensors", "tpu_0/unit-000001-e1.safetensors",
        "tpu_0/unit-1-e1-s.safetensors", "tpu_00/unit-000001-e1-s.safetensors",
        "tpu_0/unit-000001-e01-s.safetensors", "tpu_-1/unit-000001-e1-s.safetensors",
        "tpu_0/unit--00001-e1-s.safetensors", "tpu_0/unit-000001-e1-s/t.safetensors",
        "tpu_99999999999999999999/unit-000001-e1-s.safetensors",
        "x/tpu_0/unit-000001-e1-s.safetensors", "tpu_0/unit-000001-e1-s.safetensors.part"}) {
    EXPECT_FALSE(IsShardKey(key)) << key;
  }
}

TEST(KeysTest, HandoverNamesParseBack) {
  const auto record = ParseHandoverKey(HandoverKey(7, 12));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->unit, 7);
  EXPECT_EQ(record->epoch, 12);
  EXPECT_FALSE(record->is_shard);
  const auto shard = ParseHandoverKey(HandoverShardKey(1234567, 1));
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->unit, 1234567);
  EXPECT_TRUE(shard->is_shard);
  for (const char* key :
       {"", "handovers/", "handovers/unit-000007", "handovers/unit-000007-e1",
        "handovers/unit-7-e1.json", "handovers/unit-000007-e01.json",
        "handovers/unit-000007-e-1.json", "handovers/unit-000007-e1.json2",
        "handovers/unit-000007-.json", "unit-000007-e1.json", "handovers/unit-000007-e1.txt"}) {
    EXPECT_FALSE(ParseHandoverKey(key)) << key;
  }
}

// Anything can lie in a run's folder. What parses is what the makers of keys would have written.
TEST(KeysTest, NoNameIsTakenForAnother) {
  const std::vector<std::string> good = {ShardKey(5, 123, 2, "0123456789abcdef"),
                                         HandoverKey(123, 2),
                                         HandoverShardKey(9, 1),
                                         HeartbeatKey(3, "s"),
                                         FailureReportKey(123, 2),
                                         LeaseKey(4, 1),
                                         CommitKey(77)};
  constexpr std::string_view kBytes = "0123456789-e./_tpu\0\xff+ ";
  Random random(SeedOf("keys"));
  int64_t parsed = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string key = good[random.Below(good.size())];
    for (uint64_t edits = random.Below(4); edits > 0 && !key.empty(); --edits) {
      const size_t at = random.Below(key.size());
      const char byte = kBytes[random.Below(kBytes.size())];
      switch (random.Below(3)) {
        case 0:
          key[at] = byte;
          break;
        case 1:
          key.insert(at, 1, byte);
          break;
        default:
          key.erase(at, 1);
      }
    }
    if (const auto shard = ParseShardKey(key)) {
      ++parsed;
      EXPECT_EQ(ShardKey(shard->worker_id, shard->unit, shard->epoch, shard->session), key);
    }
    if (const auto handover = ParseHandoverKey(key)) {
      ++parsed;
      EXPECT_EQ(handover->is_shard ? HandoverShardKey(handover->unit, handover->epoch)
                                   : HandoverKey(handover->unit, handover->epoch),
                key);
    }
    if (const auto report = ParseFailureReportKey(key)) {
      ++parsed;
      EXPECT_EQ(FailureReportKey(report->unit, report->epoch), key);
    }
    (void)ParseHeartbeatKey(key);
    (void)ParseLeaseKey(key);
    (void)ParseBlockMarkKey(key);
    (void)UnitOfRecordKey(key, kCommitsPrefix);
  }
  EXPECT_GT(parsed, 1'000);
}

}  // namespace
}  // namespace thresher
