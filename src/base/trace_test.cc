#include "base/trace.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

class StepClock : public Clock {
 public:
  int64_t MonotonicUs() const override { return now_us_ += 10; }
  int64_t UnixMs() const override { return 0; }
  void SleepMs(int64_t) override {}

 private:
  mutable int64_t now_us_ = 0;
};

class TraceTest : public testing::Test {
 protected:
  std::string Text() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/trace.json";
  StepClock clock_;
};

TEST_F(TraceTest, IsAnArrayOfEventsThatNest) {
  {
    const auto trace = TraceWriter::Create(path_, clock_, "worker \"3\"").value();
    trace->NameThread("engine");
    const TraceSpan outer(trace.get(), "unit", 7);
    const TraceSpan inner(trace.get(), "forward");
    std::thread([&] { const TraceSpan other(trace.get(), "read"); }).join();
  }
  const auto events = nlohmann::json::parse(Text());
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[0].at("args").at("name"), "worker \"3\"");
  EXPECT_EQ(events[1].at("args").at("name"), "engine");
  EXPECT_EQ(events[2].at("name"), "read");
  EXPECT_NE(events[2].at("tid"), events[3].at("tid"));
  EXPECT_EQ(events[3].at("name"), "forward");
  EXPECT_FALSE(events[3].contains("args"));
  EXPECT_EQ(events[4].at("name"), "unit");
  EXPECT_EQ(events[4].at("args").at("unit"), 7);
  EXPECT_LT(events[4].at("ts"), events[3].at("ts"));
  EXPECT_EQ(events[4].at("dur"), 50);
}

TEST_F(TraceTest, OnlyTheLastBracketIsMissingWhileItIsWritten) {
  const auto trace = TraceWriter::Create(path_, clock_, "worker").value();
  for (int i = 0; i < 3; ++i) {
    { const TraceSpan span(trace.get(), "forward"); }
    EXPECT_TRUE(nlohmann::json::accept(Text() + "]")) << Text();
  }
}

TEST_F(TraceTest, IsBounded) {
  {
    const auto trace = TraceWriter::Create(path_, clock_, "worker", 1'000).value();
    for (int i = 0; i < 1'000; ++i) const TraceSpan span(trace.get(), "forward", i);
  }
  const std::string text = Text();
  EXPECT_LT(text.size(), 1'200U);
  const auto events = nlohmann::json::parse(text);
  EXPECT_EQ(events.back().at("args").at("labels"), "the trace is full: later events are left out");
}

TEST_F(TraceTest, NothingIsDoneWithoutAWriter) {
  const TraceSpan span(nullptr, "forward");
  EXPECT_FALSE(TraceWriter::Create(folder_.path() + "/no/such/folder", clock_, "w").ok());
}

}  // namespace
}  // namespace thresher
