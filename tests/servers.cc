#include "servers.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "files.h"

namespace thresher {
namespace {

constexpr const char* kBucket = "thresher";

// What MinIO and moto take for names of users; no secrets, for nobody else can reach them.
constexpr const char* kS3User = "thresher";
constexpr const char* kS3Password = "thresher-password";

// Azurite's built-in account, and a signature made with its published key that allows everything on
// its blobs until 2099.
// https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
constexpr const char* kAzureAccount = "devstoreaccount1";
constexpr const char* kAzureKey =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
constexpr const char* kAzureSignature =
    "sv=2020-08-04&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z&"
    "sig=x%2FQXZVVilc6CBdKa9TN6OcrIf0rB%2Fv0F0GVQBOwF7so%3D";

struct ServerFacts {
  const char* name;     // for names of tests
  const char* package;  // for scripts/fetch_servers.sh
  const char* program;  // below .cache/servers
  const char* scheme;   // of its addresses
  // Answered with a status from 200 to 299, or `done`, as soon as it is ready; creates the bucket
  // where there is no other way.
  const char* method;
  std::string path;
  int done;
};

const ServerFacts& FactsOf(ServerKind kind) {
  static const ServerFacts kFakeGcs = {
      "FakeGcs", "fake-gcs-server", "bin/fake-gcs-server", "gs", "GET", "/storage/v1/b", 0};
  static const ServerFacts kFakeGcsOnDisk = {
      "FakeGcsOnDisk", "fake-gcs-server", "bin/fake-gcs-server", "gs", "GET", "/storage/v1/b", 0};
  static const ServerFacts kMinio = {
      "Minio", "minio", "bin/minio", "s3", "GET", "/minio/health/cluster", 0};
  static const ServerFacts kMoto = {
      "Moto", "moto", "venv/bin/moto_server", "s3", "PUT", fmt::format("/{}", kBucket), 409};
  static const ServerFacts kAzurite = {
      "Azurite",
      "azurite",
      "node/node_modules/.bin/azurite-blob",
      "az",
      "PUT",
      fmt::format("/{}/{}?restype=container&{}", kAzureAccount, kBucket, kAzureSignature),
      409};
  switch (kind) {
    case ServerKind::kFakeGcs:
      return kFakeGcs;
    case ServerKind::kFakeGcsOnDisk:
      return kFakeGcsOnDisk;
    case ServerKind::kMinio:
      return kMinio;
    case ServerKind::kMoto:
      return kMoto;
    case ServerKind::kAzurite:
      return kAzurite;
  }
  THRESHER_CHECK(false);
}

std::string ProgramPath(ServerKind kind) {
  return SourcePath(".cache/servers/") + FactsOf(kind).program;
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// The status of the answer to one request without a body; 0 if there was no answer.
int HttpStatus(int port, const std::string& method, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  THRESHER_CHECK(fd >= 0);
  const timeval patience = {.tv_sec = 5, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  const sockaddr_in address = Loopback(port);
  std::string answer;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = fmt::format(
        "{} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\n\r\n", method, path, port);
    (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    char bytes[64];
    const ssize_t count = recv(fd, bytes, sizeof(bytes), MSG_WAITALL);
    if (count > 0) answer.assign(bytes, static_cast<size_t>(count));
  }
  close(fd);
  // "HTTP/1.1 200 OK"
  return answer.size() > 12 ? std::atoi(answer.c_str() + 9) : 0;
}

// fake-gcs-server writes an object's file and then its attributes. What died in between was never
// acknowledged, but makes it refuse to list the whole bucket.
void RemoveHalfWrittenObjects(const std::string& folder) {
  for (const std::string& name : FilesBelow(folder)) {
    const std::string path = folder + "/" + name;
    if (getxattr(path.c_str(), "user.metadata", nullptr, 0) < 0 && errno == ENODATA) {
      std::filesystem::remove(path);
    }
  }
}

}  // namespace

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  THRESHER_CHECK(fd >= 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof(address);
  THRESHER_CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  THRESHER_CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  close(fd);
  return ntohs(address.sin_port);
}

std::string ServerName(ServerKind kind) { return FactsOf(kind).name; }

void PrintTo(ServerKind kind, std::ostream* out) { *out << ServerName(kind); }

std::string WhyServerIsMissing(ServerKind kind) {
  if (std::filesystem::exists(ProgramPath(kind))) return "";
  const std::string package = FactsOf(kind).package;
  const std::string reason = SourcePath(".cache/servers/") + package + ".missing";
  if (std::filesystem::exists(reason)) return package + ": " + ReadFile(reason);
  return package + " was not built; scripts/fetch_servers.sh builds it";
}

Server::Server(ServerKind kind, std::string data_folder)
    : kind_(kind), data_folder_(data_folder.empty() ? folder_.path() : std::move(data_folder)) {
  // The folder of a bucket is the bucket, where a server keeps folders.
  std::filesystem::create_directories(DataFolder() + "/" + kBucket);
  std::filesystem::create_directories(data_folder_ + "/temporary");
}

Server::~Server() {
  Kill();
  if (!testing::Test::HasFailure() || !std::filesystem::exists(LogFile())) return;
  constexpr size_t kMaxBytes = 3000;
  const std::string log = ReadFile(LogFile());
  fmt::print("--- end of the log of {}\n{}\n", ServerName(kind_),
             log.substr(log.size() - std::min(log.size(), kMaxBytes)));
}

Command Server::ServerCommand() const {
  Command command;
  command.folder = folder_.path();
  command.log_file = LogFile();
  command.ends_with_parent = true;
  command.arguments = {ProgramPath(kind_)};
  const auto add = [&](std::initializer_list<std::string> more) {
    command.arguments.insert(command.arguments.end(), more);
  };
  command.environment = {{"HOME", folder_.path()}, {"TMPDIR", data_folder_ + "/temporary"}};
  const std::string port = std::to_string(port_);
  switch (kind_) {
    case ServerKind::kFakeGcs:
      add({"-backend", "memory", "-data", DataFolder()});
      break;
    case ServerKind::kFakeGcsOnDisk:
      add({"-backend", "filesystem", "-filesystem-root", DataFolder()});
      break;
    case ServerKind::kMinio:
      add({"server", "--quiet", "--address", "127.0.0.1:" + port});
      add({"--console-address", fmt::format("127.0.0.1:{}", console_port_), DataFolder()});
      command.environment["MINIO_ROOT_USER"] = kS3User;
      command.environment["MINIO_ROOT_PASSWORD"] = kS3Password;
      command.environment["MINIO_BROWSER"] = "off";
      command.environment["MINIO_UPDATE"] = "off";
      break;
    case ServerKind::kMoto:
      add({"--host", "127.0.0.1", "--port", port});
      break;
    case ServerKind::kAzurite:
      add({"--blobHost", "127.0.0.1", "--blobPort", port, "--inMemoryPersistence", "--silent"});
      add({"--skipApiVersionCheck", "--disableTelemetry"});
      break;
  }
  if (kind_ == ServerKind::kFakeGcs || kind_ == ServerKind::kFakeGcsOnDisk) {
    add({"-scheme", "http", "-host", "127.0.0.1", "-port", port, "-log-level", "warn"});
    add({"-public-host", "127.0.0.1:" + port, "-external-url", Endpoint()});
  }
  return command;
}

Status Server::Start() {
  THRESHER_CHECK(!process_);
  if (kind_ == ServerKind::kFakeGcsOnDisk) RemoveHalfWrittenObjects(DataFolder() + "/" + kBucket);
  const bool again = port_ != 0;
  Status status;
  // Somebody else may take a free port before the server does.
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (!again) {
      port_ = FreePort();
      console_port_ = FreePort();
    }
    process_.emplace(ServerCommand());
    status = WaitUntilItAnswers();
    if (status.ok()) return status;
    Kill();
  }
  return status;
}

Status Server::WaitUntilItAnswers() {
  constexpr int64_t kPatienceMs = 60'000;
  const ServerFacts& facts = FactsOf(kind_);
  const int64_t deadline_ms = Clock::Real().MonotonicMs() + kPatienceMs;
  while (Clock::Real().MonotonicMs() < deadline_ms) {
    const int status = HttpStatus(port_, facts.method, facts.path);
    if ((status >= 200 && status < 300) || (status != 0 && status == facts.done)) {
      return OkStatus();
    }
    if (process_->HasEnded()) break;
    PassMilliseconds(10);
  }
  return Unavailable(fmt::format("{} did not start:\n{}", facts.name, ReadFile(LogFile())));
}

void Server::Kill() {
  if (!process_) return;
  process_->Signal(SIGKILL);
  (void)process_->Wait();
  process_.reset();
}

void Server::Signal(int signal_number) const {
  THRESHER_CHECK(process_);
  process_->Signal(signal_number);
}

bool Server::KeepsObjects() const {
  return kind_ == ServerKind::kFakeGcsOnDisk || kind_ == ServerKind::kMinio;
}

std::string Server::Endpoint() const { return fmt::format("http://127.0.0.1:{}", port_); }

std::string Server::Url(std::string_view folder) const {
  return fmt::format("{}://{}/{}", FactsOf(kind_).scheme, kBucket, folder);
}

StoreOptions Server::Options() const {
  StoreOptions options;
  options.endpoint = Endpoint();
  options.part_bytes = 5 << 20;  // the smallest that the clouds take
  // fake-gcs-server knows no uploads in parts.
  if (FactsOf(kind_).scheme == std::string("gs")) {
    options.anonymous = true;
    options.part_bytes = 0;
  }
  return options;
}

std::vector<std::string> Server::Flags() const {
  const StoreOptions options = Options();
  std::vector<std::string> flags = {"--store-endpoint", options.endpoint, "--part-bytes",
                                    std::to_string(options.part_bytes)};
  if (options.anonymous) flags.push_back("--store-anonymous");
  return flags;
}

std::map<std::string, std::string> Server::Environment() const {
  return {{"AWS_ACCESS_KEY_ID", kS3User},
          {"AWS_SECRET_ACCESS_KEY", kS3Password},
          {"AWS_REGION", "us-east-1"},
          {"AZURE_STORAGE_CONNECTION_STRING",
           fmt::format("DefaultEndpointsProtocol=http;AccountName={0};AccountKey={1};"
                       "BlobEndpoint={2}/{0};",
                       kAzureAccount, kAzureKey, Endpoint())}};
}

Result<std::unique_ptr<Store>> Server::Open(std::string_view folder) const {
  for (const auto& [name, value] : Environment()) {
    setenv(name.c_str(), value.c_str(), /*overwrite=*/1);
  }
  return OpenStore(Url(folder), Options());
}

}  // namespace thresher
