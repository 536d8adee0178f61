#include "extract/preemption.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"

namespace thresher {
namespace {

using Notice = std::optional<std::string>;

Status BadAnswer(const std::string& url, int64_t status) {
  return Unavailable(url + " answers " + std::to_string(status));
}

}  // namespace

Result<Notice> PreemptionSource::Ask() {
  switch (cloud_) {
    case Cloud::kGce:
      return AskGce();
    case Cloud::kAws:
      return AskAws();
    case Cloud::kAzure:
      return AskAzure();
    case Cloud::kNone:
      break;
  }
  THRESHER_CHECK(cloud_ != Cloud::kNone);
  return Notice();
}

Result<Notice> PreemptionSource::AskGce() {
  ASSIGN_OR_RETURN(const std::string preempted, GceMetadata(send_, "instance/preempted"));
  if (preempted == "TRUE") return Notice("GCE has pre-empted this machine");
  Result<std::string> maintenance = GceMetadata(send_, "instance/maintenance-event");
  RETURN_IF_ERROR(maintenance.status());
  // With accelerators this notice may come an hour ahead. It counts when it appears, and only then:
  // a worker that a scheduler starts again on the same machine uses the time that is left.
  const bool is_new = gce_maintenance_ && *gce_maintenance_ != *maintenance;
  gce_maintenance_ = *maintenance;
  if (is_new && *maintenance == "TERMINATE_ON_HOST_MAINTENANCE") {
    return Notice("GCE will stop this machine for maintenance");
  }
  return Notice();
}

Notice AwsNotice(int64_t status, std::string_view body) {
  if (status != 200) return std::nullopt;
  const Result<nlohmann::json> action = ParseJson(body);
  if (!action.ok() || !action->is_object()) return Notice("AWS will take this machine back");
  const Result<std::string> what = StringField(*action, "action", "stop");
  const Result<std::string> when = StringField(*action, "time", "soon");
  return Notice("AWS will take this machine back: " + (what.ok() ? *what : "stop") + " at " +
                (when.ok() ? *when : "an unknown time"));
}

// Session-oriented requests (IMDSv2): a token first, then the question.
Result<HttpResponse> PreemptionSource::SendToAws(const std::string& path) {
  const std::string server = MetadataUrl(Cloud::kAws);
  for (bool token_is_new = false;; token_is_new = true) {
    if (aws_token_.empty() || token_is_new) {
      HttpRequest request;
      request.method = "PUT";
      request.url = server + "/latest/api/token";
      request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}};
      ASSIGN_OR_RETURN(const HttpResponse response, send_(request));
      if (response.status != 200) return BadAnswer(request.url, response.status);
      aws_token_ = response.body;
      token_is_new = true;
    }
    HttpRequest request;
    request.url = server + path;
    request.headers = {{"X-aws-ec2-metadata-token", aws_token_}};
    ASSIGN_OR_RETURN(HttpResponse response, send_(request));
    constexpr int64_t kTokenHasRunOut = 401;
    if (response.status != kTokenHasRunOut || token_is_new) return response;
  }
}

Result<Notice> PreemptionSource::AskAws() {
  const std::string path = "/latest/meta-data/spot/instance-action";
  ASSIGN_OR_RETURN(const HttpResponse response, SendToAws(path));
  if (response.status != 200 && response.status != 404) {
    return BadAnswer(MetadataUrl(Cloud::kAws) + path, response.status);
  }
  return AwsNotice(response.status, response.body);
}

Result<Notice> AzureNotice(std::string_view body, std::string_view machine) {
  ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(body));
  const auto is_array = [](const nlohmann::json& object, const char* name) {
    return object.is_object() && object.contains(name) && object.at(name).is_array();
  };
  if (!is_array(document, "Events")) {
    return InvalidArgument("scheduledevents: expected a list 'Events', found " +
                           DescribeJson(&document));
  }
  for (const nlohmann::json& event : document.at("Events")) {
    if (!is_array(event, "Resources")) continue;
    const Result<std::string> type = StringField(event, "EventType", "");
    if (!type.ok() || (*type != "Preempt" && *type != "Terminate")) continue;
    for (const nlohmann::json& resource : event.at("Resources")) {
      if (resource != machine) continue;
      const Result<std::string> when = StringField(event, "NotBefore", "");
      return Notice("Azure will take this machine back (" + *type + ")" +
                    (when.ok() && !when->empty() ? ", not before " + *when : ""));
    }
  }
  return Notice();
}

Result<Notice> PreemptionSource::AskAzure() {
  const auto get = [&](const std::string& path) -> Result<std::string> {
    HttpRequest request;
    request.url = MetadataUrl(Cloud::kAzure) + path;
    request.headers = {{"Metadata", "true"}};
    ASSIGN_OR_RETURN(HttpResponse response, send_(request));
    if (response.status != 200) return BadAnswer(request.url, response.status);
    return std::move(response.body);
  };
  if (azure_machine_.empty()) {
    ASSIGN_OR_RETURN(azure_machine_,
                     get("/metadata/instance/compute/name?api-version=2021-02-01&format=text"));
  }
  ASSIGN_OR_RETURN(const std::string body, get("/metadata/scheduledevents?api-version=2020-07-01"));
  return AzureNotice(body, azure_machine_);
}

PreemptionWatch::PreemptionWatch(Options options, std::function<void(const std::string&)> on_notice,
                                 const Logger& log)
    : options_(std::move(options)), on_notice_(std::move(on_notice)), log_(log) {
  if (options_.cloud != Cloud::kNone) thread_ = std::thread([this] { Watch(); });
}

PreemptionWatch::~PreemptionWatch() {
  {
    std::lock_guard lock(mutex_);
    done_ = true;
  }
  wakeup_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PreemptionWatch::Watch() {
  constexpr int64_t kToldAfter = 5;  // failures in a row
  PreemptionSource source(options_.cloud, options_.send);
  int64_t failures = 0;
  std::unique_lock lock(mutex_);
  while (!done_) {
    lock.unlock();
    const Result<Notice> notice = source.Ask();
    if (notice.ok() && *notice) return on_notice_(**notice);
    failures = notice.ok() ? 0 : failures + 1;
    if (failures == kToldAfter) {
      log_.Warning(
          "the metadata server does not answer, so that a pre-emption cannot be seen ahead: " +
          notice.status().message());
    }
    lock.lock();
    wakeup_.wait_for(lock, std::chrono::milliseconds(options_.interval_ms),
                     [this] { return done_; });
  }
}

}  // namespace thresher
