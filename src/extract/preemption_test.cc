#include "extract/preemption.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "base/collected_log_for_test.h"
#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

// Answers each path with what a test lays down; everything else with 404.
class FakeMetadata {
 public:
  HttpClient client() {
    return [this](const HttpRequest& request) -> Result<HttpResponse> {
      requests.push_back(request);
      const std::string url = request.url.substr(request.url.find("://") + 3);
      const std::string path = url.substr(url.find('/'));
      const auto found = answers.find(request.method + " " + path);
      if (found == answers.end()) return HttpResponse{404, "not found"};
      return found->second;
    };
  }

  std::map<std::string, HttpResponse> answers;
  std::vector<HttpRequest> requests;
};

const char* const kPreempted = "GET /computeMetadata/v1/instance/preempted";
const char* const kMaintenance = "GET /computeMetadata/v1/instance/maintenance-event";
const char* const kToken = "PUT /latest/api/token";
const char* const kAction = "GET /latest/meta-data/spot/instance-action";
const char* const kMachine =
    "GET /metadata/instance/compute/name?api-version=2021-02-01&format=text";
const char* const kEvents = "GET /metadata/scheduledevents?api-version=2020-07-01";

TEST(DetectCloudTest, ReadsWhatTheFirmwareSays) {
  struct Case {
    std::map<std::string, std::string> files;
    Cloud cloud;
  };
  const std::vector<Case> cases = {
      {{}, Cloud::kNone},
      {{{"sys_vendor", "Google\n"}, {"product_name", "Google Compute Engine\n"}}, Cloud::kGce},
      {{{"sys_vendor", "Amazon EC2\n"}, {"product_name", "m5.large\n"}}, Cloud::kAws},
      {{{"sys_vendor", "Xen\n"}, {"product_version", "4.11.amazon\n"}}, Cloud::kAws},
      {{{"sys_vendor", "Microsoft Corporation\n"},
        {"chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n"}},
       Cloud::kAzure},
      {{{"sys_vendor", "Microsoft Corporation\n"}, {"chassis_asset_tag", "1234\n"}}, Cloud::kNone},
      {{{"sys_vendor", "QEMU\n"}, {"product_name", "Standard PC\n"}}, Cloud::kNone},
  };
  for (const Case& c : cases) {
    TemporaryFolder folder;
    for (const auto& [name, text] : c.files) folder.Write(name, text);
    EXPECT_EQ(DetectCloud(folder.path()), c.cloud);
  }
}

TEST(GceTest, PreemptedIsANotice) {
  FakeMetadata metadata;
  metadata.answers[kPreempted] = {200, "FALSE\n"};
  metadata.answers[kMaintenance] = {200, "NONE"};
  PreemptionSource source(Cloud::kGce, metadata.client());
  EXPECT_EQ(*source.Ask(), std::nullopt);
  ASSERT_EQ(metadata.requests[0].headers.size(), 1u);
  EXPECT_EQ(metadata.requests[0].headers[0].first, "Metadata-Flavor");
  metadata.answers[kPreempted] = {200, "TRUE\n"};
  EXPECT_NE(*source.Ask(), std::nullopt);
}

TEST(GceTest, MaintenanceCountsWhenItAppears) {
  FakeMetadata metadata;
  metadata.answers[kPreempted] = {200, "FALSE"};
  metadata.answers[kMaintenance] = {200, "NONE"};
  PreemptionSource source(Cloud::kGce, metadata.client());
  EXPECT_EQ(*source.Ask(), std::nullopt);
  metadata.answers[kMaintenance] = {200, "MIGRATE_ON_HOST_MAINTENANCE"};
  EXPECT_EQ(*source.Ask(), std::nullopt) << "the machine moves and lives on";
  metadata.answers[kMaintenance] = {200, "TERMINATE_ON_HOST_MAINTENANCE"};
  EXPECT_NE(*source.Ask(), std::nullopt);
  PreemptionSource restarted(Cloud::kGce, metadata.client());
  EXPECT_EQ(*restarted.Ask(), std::nullopt) << "a worker started again goes on";
}

TEST(GceTest, AnythingElseIsAnErrorAndNoNotice) {
  FakeMetadata metadata;
  PreemptionSource source(Cloud::kGce, metadata.client());
  EXPECT_FALSE(source.Ask().ok());
  metadata.answers[kPreempted] = {503, "TRUE"};
  EXPECT_FALSE(source.Ask().ok());
}

TEST(AwsTest, InstanceActionIsANotice) {
  FakeMetadata metadata;
  metadata.answers[kToken] = {200, "secret"};
  PreemptionSource source(Cloud::kAws, metadata.client());
  EXPECT_EQ(*source.Ask(), std::nullopt);
  EXPECT_EQ(*source.Ask(), std::nullopt);
  ASSERT_EQ(metadata.requests.size(), 3u) << "the token is asked for once";
  EXPECT_EQ(metadata.requests[2].headers[0].second, "secret");
  metadata.answers[kAction] = {200, R"({"action": "terminate", "time": "2026-01-01T00:00:00Z"})"};
  const auto notice = source.Ask();
  ASSERT_TRUE(notice.ok() && *notice);
  EXPECT_NE((*notice)->find("terminate at 2026-01-01T00:00:00Z"), std::string::npos);
}

TEST(AwsTest, ATokenThatHasRunOutIsRenewedOnce) {
  FakeMetadata metadata;
  metadata.answers[kToken] = {200, "old"};
  PreemptionSource source(Cloud::kAws, metadata.client());
  ASSERT_TRUE(source.Ask().ok());
  metadata.answers[kToken] = {200, "new"};
  metadata.answers[kAction] = {401, ""};
  metadata.requests.clear();
  EXPECT_FALSE(source.Ask().ok());
  ASSERT_EQ(metadata.requests.size(), 3u);
  EXPECT_EQ(metadata.requests[2].headers[0].second, "new");
}

TEST(AwsTest, ANoticeThatCannotBeReadIsANotice) {
  EXPECT_EQ(AwsNotice(404, "{}"), std::nullopt);
  for (const char* body : {"", "{", "[]", "{}", R"({"action": 7})"}) {
    EXPECT_NE(AwsNotice(200, body), std::nullopt) << body;
  }
}

TEST(AzureTest, OnlyThisMachinesEventsCount) {
  FakeMetadata metadata;
  metadata.answers[kMachine] = {200, "vm-7"};
  metadata.answers[kEvents] = {200, R"({"DocumentIncarnation": 1, "Events": []})"};
  PreemptionSource source(Cloud::kAzure, metadata.client());
  EXPECT_EQ(*source.Ask(), std::nullopt);
  metadata.answers[kEvents] = {
      200, R"({"Events": [{"EventType": "Preempt", "Resources": ["vm-1", "vm-2"]}]})"};
  EXPECT_EQ(*source.Ask(), std::nullopt) << "another machine of the set";
  metadata.answers[kEvents] = {200,
                               R"({"Events": [{"EventType": "Freeze", "Resources": ["vm-7"]}]})"};
  EXPECT_EQ(*source.Ask(), std::nullopt) << "it lives on";
  metadata.answers[kEvents] = {
      200, R"({"Events": [{"EventType": "Preempt", "Resources": ["vm-1", "vm-7"],
                           "NotBefore": "Mon, 19 Sep 2026 18:29:47 GMT"}]})"};
  const auto notice = source.Ask();
  ASSERT_TRUE(notice.ok() && *notice);
  EXPECT_NE((*notice)->find("18:29:47"), std::string::npos);
}

TEST(AzureTest, BadAnswersAreErrors) {
  for (const char* body : {"", "[]", "{}", R"({"Events": 3})"}) {
    EXPECT_FALSE(AzureNotice(body, "vm-7").ok()) << body;
  }
  for (const char* body : {R"({"Events": [3]})", R"({"Events": [{"Resources": 3}]})",
                           R"({"Events": [{"EventType": 3, "Resources": ["vm-7"]}]})"}) {
    const auto notice = AzureNotice(body, "vm-7");
    EXPECT_TRUE(notice.ok() && !*notice) << body;
  }
}

TEST(TpuWorkerNumberTest, ReadsTheAttribute) {
  const std::string path = "GET /computeMetadata/v1/instance/attributes/agent-worker-number";
  FakeMetadata metadata;
  EXPECT_EQ(*TpuWorkerNumber(metadata.client()), std::nullopt);
  metadata.answers[path] = {200, "12\n"};
  EXPECT_EQ(*TpuWorkerNumber(metadata.client()), 12);
  for (const char* body : {"", "-1", "twelve", "12x"}) {
    metadata.answers[path] = {200, body};
    EXPECT_FALSE(TpuWorkerNumber(metadata.client()).ok()) << body;
  }
}

TEST(PreemptionWatchTest, CallsOnceAndEnds) {
  std::atomic<int> asked{0};
  std::promise<std::string> noticed;
  const CollectedLog log;
  const HttpClient send = [&](const HttpRequest& request) -> Result<HttpResponse> {
    if (request.url.ends_with("maintenance-event")) return HttpResponse{200, "NONE"};
    return HttpResponse{200, ++asked >= 3 ? "TRUE" : "FALSE"};
  };
  PreemptionWatch watch(
      {.cloud = Cloud::kGce, .send = send, .interval_ms = 1},
      [&](const std::string& text) { noticed.set_value(text); }, log.logger());
  EXPECT_NE(noticed.get_future().get(), "");
  EXPECT_EQ(asked, 3);
}

TEST(PreemptionWatchTest, ASilentServerIsToldOnceAndAskedOn) {
  std::promise<std::string> told;
  const Logger log(Clock::Real(), LogLevel::kWarning,
                   [&](const LogEvent& event) { told.set_value(event.message); });
  std::promise<void> asked_on;
  std::atomic<int> asked{0};
  const HttpClient send = [&](const HttpRequest&) -> Result<HttpResponse> {
    if (++asked == 20) asked_on.set_value();
    return Unavailable("nobody answers");
  };
  PreemptionWatch watch(
      {.cloud = Cloud::kAws, .send = send, .interval_ms = 1}, [](const std::string&) { FAIL(); },
      log);
  EXPECT_NE(told.get_future().get().find("nobody answers"), std::string::npos);
  asked_on.get_future().wait();
}

TEST(PreemptionWatchTest, NoCloudNoRequest) {
  const CollectedLog log;
  PreemptionWatch watch(
      {.send = [](const HttpRequest&) -> Result<HttpResponse> {
        ADD_FAILURE();
        return Unavailable("");
      }},
      [](const std::string&) {}, log.logger());
}

}  // namespace
}  // namespace thresher
