#ifndef THRESHER_EXTRACT_PREEMPTION_H_
#define THRESHER_EXTRACT_PREEMPTION_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/logger.h"
#include "base/result.h"
#include "extract/cloud_metadata.h"

namespace thresher {

// Clouds tell a pre-emptible machine that it is about to be taken away, between 30 seconds and some
// minutes ahead, through a metadata server that only the machine itself can reach:
//   GCE, TPU VMs  instance/preempted says TRUE, or instance/maintenance-event
//                 TERMINATE_ON_HOST_MAINTENANCE
//                 https://cloud.google.com/compute/docs/instances/create-use-preemptible
//   AWS           spot/instance-action is there (404 before), with action and time
//                 https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
//   Azure         scheduledevents lists Preempt or Terminate for this machine
//                 https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events

// What the answers mean, in words for people; nothing: no notice. AwsNotice: `status` 404 is the
// normal answer. AzureNotice: `body` is the list of events, which names other machines of the same
// set too.
std::optional<std::string> AwsNotice(int64_t status, std::string_view body);
Result<std::optional<std::string>> AzureNotice(std::string_view body, std::string_view machine);

// Asks one cloud's metadata server again and again. Not thread-safe.
class PreemptionSource {
 public:
  // `cloud` is not kNone.
  PreemptionSource(Cloud cloud, HttpClient send) : cloud_(cloud), send_(std::move(send)) {}

  // The notice if there is one. Errors: the server does not answer, or not as documented.
  Result<std::optional<std::string>> Ask();

 private:
  Result<std::optional<std::string>> AskGce();
  Result<std::optional<std::string>> AskAws();
  Result<std::optional<std::string>> AskAzure();
  Result<HttpResponse> SendToAws(const std::string& path);

  Cloud cloud_;
  HttpClient send_;
  std::string aws_token_;
  std::string azure_machine_;
  std::optional<std::string> gce_maintenance_;  // as it was at the last time
};

// A thread that asks every few seconds, until a notice has come or the object goes.
class PreemptionWatch {
 public:
  struct Options {
    Cloud cloud = Cloud::kNone;  // kNone: no thread, no requests
    HttpClient send = SendHttpRequest;
    int64_t interval_ms = 1'000;
  };

  // `on_notice` is called once, on the thread, with the notice; `log` (borrowed) hears of it if the
  // server keeps silent.
  PreemptionWatch(Options options, std::function<void(const std::string&)> on_notice,
                  const Logger& log);
  PreemptionWatch(const PreemptionWatch&) = delete;
  PreemptionWatch& operator=(const PreemptionWatch&) = delete;
  ~PreemptionWatch();

 private:
  void Watch();

  const Options options_;
  const std::function<void(const std::string&)> on_notice_;
  const Logger& log_;
  std::mutex mutex_;
  std::condition_variable wakeup_;
  bool done_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace thresher

#endif  // THRESHER_EXTRACT_PREEMPTION_H_
