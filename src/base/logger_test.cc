#include "base/logger.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace thresher {
namespace {

class FixedClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return 0; }
  int64_t UnixMs() const override { return 1'795'680'000'007; }
  void SleepMs(int64_t) override {}
};

class LoggerTest : public testing::Test {
 protected:
  Logger Make(LogLevel least) {
    return {clock_,
            least,
            [this](const LogEvent& event) { events_.push_back(event); },
            {{"worker", int64_t{3}}}};
  }

  FixedClock clock_;
  std::vector<LogEvent> events_;
};

TEST_F(LoggerTest, WritesFieldsInOrderAndDropsLowerLevels) {
  const Logger logger = Make(LogLevel::kInfo).With({{"session", "5e55"}});
  logger.Log(LogLevel::kDebug, "nothing");
  logger.Warning("it \"failed\"", {UnitField(17), {"error", "no space"}, {"empty", ""}});
  ASSERT_EQ(events_.size(), 1U);
  EXPECT_EQ(LogLineText(events_[0]),
            "time=2026-11-26T08:00:00.007Z level=warning worker=3 session=5e55 unit=17 "
            "error=\"no space\" empty=\"\" msg=\"it \\\"failed\\\"\"");
  const auto json = nlohmann::json::parse(LogLineJson(events_[0]));
  EXPECT_EQ(json.at("time"), "2026-11-26T08:00:00.007Z");
  EXPECT_EQ(json.at("level"), "warning");
  EXPECT_EQ(json.at("unit"), 17);
  EXPECT_EQ(json.at("msg"), "it \"failed\"");
}

TEST_F(LoggerTest, AnEventIsOneLineWhateverItHolds) {
  Make(LogLevel::kInfo).Info("a\nb\r\n\x01\xff", {{"error", "c\nd"}});
  for (const std::string& line : {LogLineText(events_[0]), LogLineJson(events_[0])}) {
    EXPECT_EQ(line.find_first_of("\n\r\x01"), std::string::npos) << line;
  }
  EXPECT_TRUE(nlohmann::json::accept(LogLineJson(events_[0])));
}

TEST_F(LoggerTest, SecretsAreRemoved) {
  const Logger logger = Make(LogLevel::kInfo).With({{"run", "s3://me:hunter2@host/bucket"}});
  logger.Info("PUT https://h/b?X-Amz-Signature=abcdef0123 failed: Authorization: Bearer abcdef0123",
              {{"error", "token=abcdef0123"}});
  const std::string line = LogLineText(events_[0]) + LogLineJson(events_[0]);
  EXPECT_EQ(line.find("hunter2"), std::string::npos) << line;
  EXPECT_EQ(line.find("abcdef0123"), std::string::npos) << line;
}

TEST(LogLevelTest, NamesThereAndBack) {
  for (const char* name : {"debug", "info", "notice", "warning", "error"}) {
    EXPECT_EQ(LogLevelName(*LogLevelFromName(name)), name);
  }
  EXPECT_FALSE(LogLevelFromName("loud"));
}

}  // namespace
}  // namespace thresher
