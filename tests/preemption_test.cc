// Notices from a cloud's metadata server, played by a small server of our own on loopback: the real
// program stops as after SIGTERM and hands over what it has.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "run_reader.h"

namespace thresher {
namespace {

// Answers HTTP requests one after the other, until it goes.
class HttpServer {
 public:
  // `answer` gets "GET /path?query", the headers, and says status and body. Called on one thread.
  struct Answer {
    int status = 404;
    std::string body;
  };
  using Answerer = std::function<Answer(const std::string& line, const std::string& headers)>;

  explicit HttpServer(Answerer answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    THRESHER_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    THRESHER_CHECK(listen(listener_, 16) == 0);
    socklen_t size = sizeof(address);
    THRESHER_CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  const std::string& address() const { return address_; }

 private:
  void Serve() {
    while (true) {
      const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = read(connection, buffer, sizeof(buffer));
        if (count <= 0) break;
        request.append(buffer, static_cast<size_t>(count));
      }
      const std::string line = request.substr(0, request.find(" HTTP/"));
      const Answer answer = answer_(line, request.substr(std::min(line.size(), request.size())));
      const std::string text =
          "HTTP/1.1 " + std::to_string(answer.status) +
          " Answer\r\nConnection: close\r\nContent-Length: " + std::to_string(answer.body.size()) +
          "\r\n\r\n" + answer.body;
      (void)!write(connection, text.data(), text.size());
      close(connection);
    }
  }

  const Answerer answer_;
  int listener_ = -1;
  std::string address_;
  std::thread thread_;
};

// One cloud: how the program is told of the server, and what the server answers, before and after
// the notice.
struct CloudCase {
  std::string name;
  std::string variable;
  std::string url_prefix;
  std::function<HttpServer::Answer(const std::string& line, bool is_noticed)> answer;
};

HttpServer::Answer GceAnswer(const std::string& line, bool is_noticed) {
  const std::string root = "GET /computeMetadata/v1/instance/";
  if (line == root + "preempted") return {200, is_noticed ? "TRUE" : "FALSE"};
  if (line == root + "maintenance-event") return {200, "NONE"};
  if (line == root + "attributes/agent-worker-number") return {200, "7"};
  return {};
}

HttpServer::Answer AwsAnswer(const std::string& line, bool is_noticed) {
  if (line == "PUT /latest/api/token") return {200, "token"};
  if (line == "GET /latest/meta-data/spot/instance-action" && is_noticed) {
    return {200, R"({"action": "terminate", "time": "2026-09-18T08:22:00Z"})"};
  }
  return {};
}

HttpServer::Answer AzureAnswer(const std::string& line, bool is_noticed) {
  if (line.starts_with("GET /metadata/instance/compute/name?")) return {200, "vm-3"};
  if (!line.starts_with("GET /metadata/scheduledevents?")) return {};
  if (!is_noticed) return {200, R"({"Events": []})"};
  return {200, R"({"Events": [{"EventType": "Preempt", "Resources": ["vm-3"]}]})"};
}

const std::vector<CloudCase>& Clouds() {
  static const std::vector<CloudCase> clouds = {
      {"gce", "GCE_METADATA_HOST", "", GceAnswer},
      {"aws", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://", AwsAnswer},
      {"azure", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://", AzureAnswer}};
  return clouds;
}

class PreemptionTest : public ::testing::Test {
 protected:
  Extraction Worker(const std::vector<std::string>& flags) const {
    return {GoldenModel("qwen2"), folder_.PathOf("samples.jsonl"), folder_.PathOf("run"), flags};
  }

  std::vector<std::string> FilesOfRun(const std::string& beginning) const {
    std::vector<std::string> found;
    for (const std::string& file : FilesBelow(folder_.PathOf("run"))) {
      if (file.starts_with(beginning)) found.push_back(file);
    }
    return found;
  }

  TemporaryFolder folder_;
};

class NoticeTest : public PreemptionTest, public ::testing::WithParamInterface<size_t> {};

TEST_P(NoticeTest, StopsTheWorkerAndHandsTheUnitOver) {
  const CloudCase& cloud = Clouds()[GetParam()];
  // One unit that takes much longer than the notice.
  WriteSamples(folder_.PathOf("samples.jsonl"), {.count = 30'000, .shortest = 2, .longest = 2});
  // The server gives notice as soon as the unit is claimed and a question was answered with no.
  std::atomic<int> questions{0};
  HttpServer server([&](const std::string& line, const std::string&) {
    const bool is_noticed = questions > 2 && !FilesOfRun("leases/").empty();
    ++questions;
    return cloud.answer(line, is_noticed);
  });
  Command command = Worker({"--preemption-notice", cloud.name, "--batch-tokens", "2",
                            "--stop-grace", "1ms", "--worker-id", "3"})
                        .ToCommand();
  command.environment[cloud.variable] = cloud.url_prefix + server.address();
  const ProcessResult stopped = RunProcess(command);
  EXPECT_EQ(stopped.exit_status, 75) << stopped.Describe();
  EXPECT_NE(stopped.err.find("pre-emption notice: "), std::string::npos) << stopped.Describe();
  EXPECT_TRUE(FilesOfRun("commits/").empty()) << "it was stopped in mid-unit";
  EXPECT_EQ(FilesOfRun("handovers/").size(), 2u) << stopped.Describe();

  if (cloud.name != "gce") return;  // once is enough for what follows
  const ProcessResult finished = Worker({"--batch-tokens", "2"}).Run();
  EXPECT_EQ(finished.exit_status, 0) << finished.Describe();
  EXPECT_TRUE(ReadCompleteRun(folder_.PathOf("run")).ok());
  EXPECT_TRUE(FilesOfRun("handovers/").empty());
}

INSTANTIATE_TEST_SUITE_P(Clouds, NoticeTest, ::testing::Values(0, 1, 2),
                         [](const auto& parameter) { return Clouds()[parameter.param].name; });

TEST_F(PreemptionTest, ATpuMachinesNumberIsTheWorkerId) {
  WriteSamples(folder_.PathOf("samples.jsonl"), {.count = 5, .shortest = 5, .longest = 5});
  HttpServer server([](const std::string& line, const std::string& headers) {
    // Names of headers are the same in any case.
    EXPECT_NE(headers.find("etadata-"), std::string::npos) << headers;
    EXPECT_NE(headers.find("lavor: Google\r\n"), std::string::npos) << headers;
    return GceAnswer(line, false);
  });
  Command command = Worker({"--preemption-notice", "gce"}).ToCommand();
  command.environment["GCE_METADATA_HOST"] = server.address();
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(FilesOfRun("tpu_7/").size(), 1u);
}

TEST_F(PreemptionTest, AServerThatIsNotThereHarmsNothing) {
  WriteSamples(folder_.PathOf("samples.jsonl"), {.count = 5, .shortest = 5, .longest = 5});
  std::string address;
  {
    HttpServer server([](const std::string&, const std::string&) { return HttpServer::Answer{}; });
    address = server.address();
  }
  Command command = Worker({"--preemption-notice", "gce"}).ToCommand();
  command.environment["GCE_METADATA_HOST"] = address;
  const ProcessResult result = RunProcess(command);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_EQ(FilesOfRun("tpu_0/").size(), 1u);
}

TEST_F(PreemptionTest, AnUnknownCloudIsWrongUsage) {
  WriteSamples(folder_.PathOf("samples.jsonl"), {.count = 1});
  const ProcessResult result = Worker({"--preemption-notice", "mars"}).Run();
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_NE(result.err.find("auto, gce, aws, azure or off"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace thresher
