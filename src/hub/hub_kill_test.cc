// Processes that are killed while they fetch: whatever is left is the beginning of the right file,
// or the whole of it, and the next one goes on from there.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/random.h"
#include "base/rust_threads_for_test.h"
#include "base/temporary_folder_for_test.h"
#include "hub/fake_hub_for_test.h"
#include "hub/hub.h"

namespace thresher {
namespace {

constexpr char kEndpoint[] = "THRESHER_HUB_KILL_TEST_ENDPOINT";
constexpr char kCacheFolder[] = "THRESHER_HUB_KILL_TEST_CACHE_FOLDER";

class HubKillTest : public RustThreadsTest {};

// What the processes do that are killed: a program of their own, because a fork of one with
// threads could do little.
TEST_F(HubKillTest, DISABLED_Fetch) {
  HubSettings settings;
  settings.endpoint = std::getenv(kEndpoint);
  settings.cache_folder = std::getenv(kCacheFolder);
  settings.piece_bytes = 64 << 10;
  settings.parallel_pieces = 2;
  const Result<Hub> hub = Hub::Create(settings);
  ASSERT_TRUE(hub.ok());
  const Result<std::string> folder = hub->FetchModel({.repository = "owner/name"});
  ASSERT_TRUE(folder.ok()) << folder.status().message();
}

[[noreturn]] void BecomeFetch(const std::string& endpoint, const std::string& cache_folder) {
  setenv(kEndpoint, endpoint.c_str(), 1);
  setenv(kCacheFolder, cache_folder.c_str(), 1);
  execl("/proc/self/exe", "hub_test", "--gtest_filter=HubKillTest.DISABLED_Fetch",
        "--gtest_also_run_disabled_tests", "--gtest_brief=1", nullptr);
  _exit(2);
}

TEST_F(HubKillTest, KilledAtAnyRequest) {
  std::string bytes(700'000, '\0');
  Random random(5);
  for (char& c : bytes) c = static_cast<char>(random.Next());
  const TemporaryFolder folder;
  FakeHub server;
  server.files = {{"config.json", {"{}"}}, {"model.safetensors", {bytes, true}}};
  std::atomic<pid_t> child = 0;
  std::atomic<int> requests_to_go = 0;
  // The server kills the client that asks once too often, before it answers.
  const auto kill_in_time = [&](const ReceivedRequest&, int) -> std::optional<ServerAction> {
    if (requests_to_go-- > 0) return std::nullopt;
    if (child > 0) kill(child, SIGKILL);
    return ServerAction{.send = ""};
  };
  server.on_hub = kill_in_time;
  server.on_data = kill_in_time;
  const std::string blob = folder.PathOf("models--owner--name/blobs/" + Sha256ForTest(bytes));
  int64_t most_kept = 0;
  int deaths = 0;
  // Each life ends one or two pieces later than the last; nothing that came is asked for again.
  for (bool is_done = false; !is_done && deaths < 100; ++deaths) {
    requests_to_go = 5;
    int gate[2];
    ASSERT_EQ(pipe(gate), 0);
    const pid_t started = fork();
    ASSERT_GE(started, 0);
    if (started == 0) {
      char go = 0;
      if (read(gate[0], &go, 1) != 1) _exit(2);
      BecomeFetch(server.url(), folder.path());
    }
    child = started;
    ASSERT_EQ(write(gate[1], "g", 1), 1);
    int how = 0;
    ASSERT_EQ(waitpid(started, &how, 0), started);
    child = 0;
    close(gate[0]);
    close(gate[1]);
    is_done = WIFEXITED(how) && WEXITSTATUS(how) == 0;
    ASSERT_TRUE(is_done || WIFSIGNALED(how));
    const std::string left = is_done ? blob : blob + ".incomplete";
    if (!std::filesystem::exists(left)) continue;
    const std::string kept = ReadFileForTest(left);
    EXPECT_GE(static_cast<int64_t>(kept.size()), most_kept);
    most_kept = static_cast<int64_t>(kept.size());
    EXPECT_EQ(kept, bytes.substr(0, kept.size()));
  }
  EXPECT_EQ(most_kept, static_cast<int64_t>(bytes.size()));
  EXPECT_GT(deaths, 3);
}

}  // namespace
}  // namespace thresher
