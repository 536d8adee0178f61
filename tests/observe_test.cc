// What a worker tells while it works: its log, its trace, its metrics.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/http_request.h"
#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"

namespace thresher {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// A span of a trace.
struct Span {
  std::string name;
  int64_t begin = 0;
  int64_t end = 0;
};

// Spans by the name of their thread, each list in the order of their beginnings.
std::map<std::string, std::vector<Span>> SpansOf(const Json& events) {
  std::map<int64_t, std::string> names;
  std::map<int64_t, std::vector<Span>> spans;
  for (const Json& event : events) {
    EXPECT_EQ(event.at("pid"), 1);
    const std::string phase = event.at("ph");
    if (phase == "M") {
      if (event.at("name") == "thread_name") {
        names[event.at("tid")] = event.at("args").at("name");
      }
      continue;
    }
    EXPECT_EQ(phase, "X");
    const int64_t begin = event.at("ts");
    const int64_t duration = event.at("dur");
    EXPECT_GE(duration, 0);
    spans[event.at("tid")].push_back({event.at("name"), begin, begin + duration});
  }
  std::map<std::string, std::vector<Span>> by_name;
  for (auto& [thread, list] : spans) {
    std::sort(list.begin(), list.end(), [](const Span& a, const Span& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
    });
    EXPECT_TRUE(names.contains(thread));
    by_name[names[thread]] = list;
  }
  return by_name;
}

// That spans nest; the time that those on top cover, of all from the first to the last.
double CoverageOf(const std::vector<Span>& spans) {
  std::vector<Span> open;
  int64_t covered = 0;
  int64_t last = 0;
  for (const Span& span : spans) {
    while (!open.empty() && open.back().end <= span.begin) open.pop_back();
    if (open.empty()) {
      covered += span.end - span.begin;
    } else {
      EXPECT_LE(span.end, open.back().end) << span.name << " in " << open.back().name;
    }
    open.push_back(span);
    last = std::max(last, span.end);
  }
  return static_cast<double>(covered) / static_cast<double>(last - spans.front().begin);
}

class ObserveTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteSamples(At("samples.jsonl"), {.count = 60, .shortest = 20, .longest = 40, .seed = 2});
  }

  std::string At(const std::string& name) const { return folder_.path() + "/" + name; }

  Command Extract(const std::vector<std::string>& flags) const {
    std::vector<std::string> all = {"--shard-bytes", "100KB", "--worker-id", "3"};
    all.insert(all.end(), flags.begin(), flags.end());
    return Extraction{GoldenModel("qwen2"), At("samples.jsonl"), At("run"), all}.ToCommand();
  }

  TemporaryFolder folder_;
};

TEST_F(ObserveTest, TheJsonLogHasOneObjectALineWithWhereItIsFrom) {
  const ProcessResult result = RunProcess(Extract({"--log-format", "json"}));
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(result.out, "");
  std::set<std::string> messages;
  int64_t committed = 0;
  for (const std::string& line : LinesOf(result.err)) {
    ASSERT_TRUE(Json::accept(line)) << line;
    const Json event = Json::parse(line);
    messages.insert(event.at("msg"));
    if (!event.contains("session")) continue;  // before there was a run
    EXPECT_EQ(event.at("worker"), 3);
    EXPECT_THAT(event.at("run").get<std::string>(), HasSubstr("xxh3-128:"));
    if (event.at("msg") != "committed") continue;
    ++committed;
    EXPECT_TRUE(event.at("unit").is_number_integer());
    EXPECT_GT(event.at("bytes"), 0);
  }
  EXPECT_GT(committed, 1);
  EXPECT_TRUE(messages.contains("claimed"));
  EXPECT_TRUE(messages.contains("progress"));
}

TEST_F(ObserveTest, TextAndLevels) {
  const ProcessResult text = RunProcess(Extract({"--log-format", "text", "--log-level", "notice"}));
  ASSERT_EQ(text.exit_status, 0) << text.Describe();
  for (const std::string& line : LinesOf(text.err)) {
    EXPECT_TRUE(line.starts_with("time=20")) << line;
    EXPECT_THAT(line, HasSubstr(" level="));
    EXPECT_THAT(line, HasSubstr(" msg=\""));
  }
  EXPECT_THAT(text.err, HasSubstr("the run is complete"));
  EXPECT_THAT(text.err, Not(HasSubstr("msg=\"claimed\"")));
  const ProcessResult failed = RunProcess(Extract({"--log-format", "text", "--dtype", "f16"}));
  EXPECT_EQ(failed.exit_status, 1);
  EXPECT_THAT(failed.err, HasSubstr(" level=error "));
  EXPECT_THAT(failed.err, HasSubstr("capture.dtype"));
  EXPECT_EQ(RunProcess(Extract({"--log-level", "loud"})).exit_status, 2);
  EXPECT_EQ(RunProcess(Extract({"--log-format", "xml"})).exit_status, 2);
}

// A store that refuses everything, with secrets wherever they may be.
TEST_F(ObserveTest, NoSecretIsLogged) {
  Command command = Extract({"--log-format", "json", "--log-level", "debug", "--retry-budget", "0",
                             "--store-endpoint", "http://127.0.0.1:9"});
  for (std::string& argument : command.arguments) {
    if (argument == At("run")) argument = "s3://bucket/run";
  }
  const std::map<std::string, std::string> secrets = {
      {"AWS_ACCESS_KEY_ID", "AKIDHUNTER2"},
      {"AWS_SECRET_ACCESS_KEY", "secret-hunter2"},
      {"AWS_SESSION_TOKEN", "token-hunter2"},
      {"AWS_REGION", "us-east-1"},
      {"HTTPS_PROXY", "http://me:hunter2@127.0.0.1:9"}};
  for (const auto& [name, value] : secrets) command.environment[name] = value;
  const ProcessResult refused = RunProcess(command);
  EXPECT_NE(refused.exit_status, 0);
  EXPECT_THAT(refused.err + refused.out, HasSubstr("Connection refused"));
  EXPECT_THAT(refused.err + refused.out, Not(HasSubstr("hunter2")));
  EXPECT_THAT(refused.err + refused.out, Not(HasSubstr("AKIDHUNTER2")));

  for (const char* output : {"s3://me:hunter2@bucket/run", "gs://bucket/run?token=hunter2"}) {
    std::replace(command.arguments.begin(), command.arguments.end(), std::string("s3://bucket/run"),
                 std::string(output));
    const ProcessResult bad = RunProcess(command);
    EXPECT_NE(bad.exit_status, 0);
    EXPECT_THAT(bad.err + bad.out, Not(HasSubstr("hunter2"))) << output;
  }
}

TEST_F(ObserveTest, TheTraceShowsWhereTheTimeGoes) {
  const ProcessResult result = RunProcess(Extract({"--trace", At("trace.json")}));
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  const std::string text = ReadFile(At("trace.json"));
  ASSERT_TRUE(Json::accept(text));
  const auto spans = SpansOf(Json::parse(text));
  const std::map<std::string, std::set<std::string>> expected = {
      {"feeder", {"wait", "claim", "unit", "read", "tokenise"}},
      {"engine", {"wait", "unit", "forward"}},
      {"sealer", {"wait", "checksum", "write"}},
      {"uploader", {"wait", "unit", "upload", "compare", "commit"}}};
  for (const auto& [thread, names] : expected) {
    SCOPED_TRACE(thread);
    ASSERT_TRUE(spans.contains(thread));
    std::set<std::string> found;
    for (const Span& span : spans.at(thread)) found.insert(span.name);
    EXPECT_EQ(found, names);
    EXPECT_GT(CoverageOf(spans.at(thread)), 0.9);
  }
}

TEST_F(ObserveTest, AfterAKillOnlyTheLastBracketIsMissing) {
  WriteSamples(At("samples.jsonl"), {.count = 4'000, .shortest = 20, .longest = 40, .seed = 2});
  Process process(Extract({"--trace", At("trace.json")}));
  while (!process.HasEnded() &&
         (!std::filesystem::exists(At("trace.json")) ||
          ReadFile(At("trace.json")).find("\"commit\"") == std::string::npos)) {
    std::this_thread::yield();
  }
  process.Signal(SIGKILL);
  EXPECT_EQ(process.Wait().signal, SIGKILL);
  EXPECT_TRUE(Json::accept(ReadFile(At("trace.json")) + "]"));
}

TEST_F(ObserveTest, MetricsAreServedWhileItWorks) {
  WriteSamples(At("samples.jsonl"), {.count = 4'000, .shortest = 20, .longest = 40, .seed = 2});
  Command command = Extract({"--metrics-port", "0"});
  command.log_file = At("log");
  Process process(command);
  const std::string marker = "metrics: ";
  std::string url;
  while (!process.HasEnded() && url.empty()) {
    const std::string log = std::filesystem::exists(At("log")) ? ReadFile(At("log")) : "";
    const size_t begin = log.find(marker);
    const size_t end = log.find('\n', begin);
    if (begin != std::string::npos && end != std::string::npos) {
      url = log.substr(begin + marker.size(), end - begin - marker.size());
    }
    std::this_thread::yield();
  }
  ASSERT_NE(url, "") << ReadFile(At("log"));
  const Result<HttpResponse> answer = SendHttpRequest({.url = url});
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(answer->status, 200);
  EXPECT_THAT(answer->body, HasSubstr("thresher_process_units_committed_total{worker=\"3\""));
  WriteFile(At("metrics.txt"), answer->body);
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait().exit_status, 75);
  const std::string promtool = "/usr/bin/promtool";
  if (!std::filesystem::exists(promtool)) GTEST_SKIP() << "no promtool";
  Command check;
  check.arguments = {"/bin/sh", "-c", promtool + " check metrics < " + At("metrics.txt")};
  const ProcessResult checked = RunProcess(check);
  EXPECT_EQ(checked.exit_status, 0) << checked.Describe();
}

TEST_F(ObserveTest, AnAddressOfNoStoreIsWrongUsage) {
  Command command = Extract({});
  std::replace(command.arguments.begin(), command.arguments.end(), At("run"),
               std::string("ftp://host/run"));
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 2) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("--output: "));
}

TEST_F(ObserveTest, MetricsForOtherMachinesNeedAToken) {
  const ProcessResult open = RunProcess(Extract({"--metrics-port", ":0"}));
  EXPECT_EQ(open.exit_status, 2);
  EXPECT_THAT(open.err, HasSubstr("--metrics-token-file"));
}

}  // namespace
}  // namespace thresher
