#ifndef THRESHER_TESTS_SERVERS_H_
#define THRESHER_TESTS_SERVERS_H_

#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/temporary_folder_for_test.h"
#include "process.h"
#include "store/store.h"

namespace thresher {

// The object-store servers that scripts/fetch_servers.sh builds.
enum class ServerKind {
  kFakeGcs,        // fake-gcs-server; its objects are in memory
  kFakeGcsOnDisk,  // the same; its objects are files
  kMinio,          // MinIO with one drive
  kMoto,           // moto's S3; in memory
  kAzurite,        // Azurite's blobs; in memory
};

// For names of tests: "FakeGcs".
std::string ServerName(ServerKind kind);
void PrintTo(ServerKind kind, std::ostream* out);

// A loopback port that nobody listens on now.
int FreePort();

// Why such a server cannot be started here; empty if it can.
std::string WhyServerIsMissing(ServerKind kind);

// A server on a loopback port of its own, with one empty bucket. Ends with this object or with the
// thread that started it. Where a test has failed by the time it ends, the end of its log is shown.
// Not thread-safe.
class Server {
 public:
  // Its objects lie in `data_folder`, an empty folder, or in a temporary one if that is empty. Only
  // for servers that are not missing.
  explicit Server(ServerKind kind, std::string data_folder = "");
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // Returns when it answers, also after a Kill, and then on the same port.
  Status Start();

  // SIGKILL, and waits until it is gone.
  void Kill();

  // SIGSTOP, SIGCONT.
  void Signal(int signal_number) const;

  // Whether an object that was acknowledged is still there after Kill and Start.
  bool KeepsObjects() const;

  // "gs://bucket/folder"
  std::string Url(std::string_view folder) const;

  // How to reach it: options for OpenStore and the same as flags of the program, and in both cases
  // the environment, which has the credentials.
  StoreOptions Options() const;
  std::vector<std::string> Flags() const;
  std::map<std::string, std::string> Environment() const;

  // Puts Environment() into this process's own, and opens the folder.
  Result<std::unique_ptr<Store>> Open(std::string_view folder) const;

 private:
  Command ServerCommand() const;
  Status WaitUntilItAnswers();
  std::string DataFolder() const { return data_folder_ + "/data"; }
  std::string LogFile() const { return folder_.PathOf("log"); }
  std::string Endpoint() const;

  const ServerKind kind_;
  TemporaryFolder folder_;
  std::string data_folder_;
  int port_ = 0;
  int console_port_ = 0;  // MinIO's second
  std::optional<Process> process_;
};

}  // namespace thresher

#endif  // THRESHER_TESTS_SERVERS_H_
