#include "dashboard_process.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <utility>

#include "base/clock.h"
#include "base/http_request.h"
#include "chaos.h"
#include "files.h"

namespace thresher {

using Json = nlohmann::json;

DashboardProcess::DashboardProcess(Command command, std::string log) : log_(std::move(log)) {
  command.log_file = log_;
  command.ends_with_parent = true;
  process_.emplace(command);
  const bool is_up = WaitUntil([&] {
    PassMilliseconds(20);
    const std::string text = LogText();
    constexpr std::string_view kAddress = "dashboard: ";
    const size_t begin = text.find(kAddress);
    const size_t end = text.find('\n', begin);
    if (begin == std::string::npos || end == std::string::npos) return false;
    url_ = text.substr(begin + kAddress.size(), end - begin - kAddress.size());
    return true;
  });
  EXPECT_TRUE(is_up) << LogText();
}

std::string DashboardProcess::GetText(const std::string& target) const {
  const Result<HttpResponse> answer =
      SendHttpRequest({.url = url_ + target, .timeout_ms = 20'000, .max_body_bytes = 8 << 20});
  return answer.ok() ? answer->body : "";
}

Json DashboardProcess::Run() const {
  Json run = Json::parse(GetText("api/run"), nullptr, false);
  return run.is_object() ? run : Json::object();
}

Json DashboardProcess::WaitFor(const std::string& what,
                               const std::function<bool(const Json&)>& condition,
                               int64_t limit_ms) const {
  const int64_t begin_ms = Clock::Real().MonotonicMs();
  Json run;
  const bool was_seen = WaitUntil(
      [&] {
        PassMilliseconds(50);
        run = Run();
        return run.contains("workers") && condition(run);
      },
      limit_ms);
  EXPECT_TRUE(was_seen) << what << " was not seen; the run is " << run.dump(1).substr(0, 6000);
  fmt::print("{}: seen after {} ms\n", what, Clock::Real().MonotonicMs() - begin_ms);
  return run;
}

ProcessResult DashboardProcess::Stop() {
  process_->Signal(SIGTERM);
  return process_->Wait(10'000);
}

std::string DashboardProcess::LogText() const {
  return std::filesystem::exists(log_) ? ReadFile(log_) : "";
}

}  // namespace thresher
