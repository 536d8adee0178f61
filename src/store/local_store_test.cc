// What only the local driver promises: it survives being killed, many processes, and full disks.

#include "store/local_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/fingerprint.h"
#include "base/random.h"
#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

using testing::HasSubstr;

// Text that shows whether it is whole: fingerprint, length, bytes.
std::string SealedText(Random& random) {
  std::string body(random.Below(200'000), '\0');
  for (char& c : body) c = static_cast<char>(random.Next());
  const std::string fingerprint = FingerprintOf(AsBytes(body));
  return fmt::format("{} {:08} ", fingerprint, body.size()) + body;
}

bool IsWhole(std::string_view text) {
  const size_t length_begin = text.find(' ') + 1;
  const size_t body_begin = length_begin + 9;
  if (text.size() < body_begin) return false;
  const std::string_view body = text.substr(body_begin);
  return text.substr(length_begin, 8) == fmt::format("{:08}", body.size()) &&
         text.substr(0, length_begin - 1) == FingerprintOf(AsBytes(body));
}

// Runs body() in a new process, which ends with its result.
pid_t Fork(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  return child;
}

int ExitStatusOf(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Lets the child run on for a while; not a wait for anything, but the moment of its death.
void PassMicroseconds(uint64_t microseconds) {
  const timespec duration = {0, static_cast<long>(microseconds) * 1000};
  nanosleep(&duration, nullptr);
}

std::vector<std::string> FilesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
  }
  return names;
}

class LocalStoreTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string root_ = folder_.path() + "/run";
  LocalStore store_{root_};
};

// A writer that never stops by itself.
[[noreturn]] void WriteForEver(const std::string& root, uint64_t seed) {
  LocalStore store(root);
  Random random(seed);
  for (int i = 0;; ++i) {
    const std::string text = SealedText(random);
    (void)store.CreateIfAbsent(fmt::format("commits/{}/unit-{}", seed % 7, random.Below(300)),
                               AsBytes(text));
    (void)store.Put(fmt::format("workers/{}.json", seed % 3), AsBytes(text));
    if (i % 8 == 7) (void)store.Delete(fmt::format("commits/{}/unit-{}", seed % 7, i));
  }
}

TEST_F(LocalStoreTest, WhatAKilledWriterLeavesIsWhole) {
  constexpr int kKills = 120;
  const int64_t deadline_ms = Clock::Real().MonotonicMs() + 12'000;
  Random random(11);
  int kills = 0;
  while (kills < kKills && Clock::Real().MonotonicMs() < deadline_ms) {
    pid_t children[2];
    for (pid_t& child : children) {
      child = Fork([&, seed = random.Next()]() -> int { WriteForEver(root_, seed); });
      ASSERT_GT(child, 0);
    }
    for (const pid_t child : children) {
      PassMicroseconds(random.Below(60'000));
      kill(child, SIGKILL);
      ASSERT_EQ(ExitStatusOf(child), -1);
      ++kills;
    }
  }
  EXPECT_GE(kills, 100);

  const Result<std::vector<ObjectInfo>> objects = ListAll(store_, "");
  ASSERT_TRUE(objects.ok());
  EXPECT_GT(objects->size(), 20u);
  for (const ObjectInfo& object : *objects) {
    EXPECT_EQ(object.key.find(kReservedKeyPrefix), std::string::npos) << object.key;
    const Result<std::string> text = store_.GetText(object.key);
    ASSERT_TRUE(text.ok()) << text.status().message();
    EXPECT_TRUE(IsWhole(*text)) << object.key;
  }
  // The kills did hit writers at work: some left a temporary file behind.
  EXPECT_GT(FilesIn(root_).size(), objects->size());
}

TEST_F(LocalStoreTest, OfManyProcessesExactlyOneCreates) {
  constexpr int kProcesses = 8;
  constexpr int kKeys = 25;
  int start[2];
  ASSERT_EQ(pipe(start), 0);
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    children.push_back(Fork([&, process] {
      close(start[1]);
      char ignored;
      while (read(start[0], &ignored, 1) > 0) {  // until all are there
      }
      LocalStore store(root_);
      std::string won;
      for (int key = 0; key < kKeys; ++key) {
        const CreateResult result = store.CreateIfAbsent(
            fmt::format("leases/unit-{}/e1", key), AsBytes(fmt::format("process {}", process)));
        if (result.outcome == CreateOutcome::kUnknown) return 1;
        won += result.outcome == CreateOutcome::kWritten ? '1' : '0';
      }
      return store.Put(fmt::format("won/{}", process), AsBytes(won)).ok() ? 0 : 2;
    }));
  }
  close(start[0]);
  close(start[1]);
  for (const pid_t child : children) EXPECT_EQ(ExitStatusOf(child), 0);
  for (int key = 0; key < kKeys; ++key) {
    std::vector<std::string> winners;
    for (int process = 0; process < kProcesses; ++process) {
      const Result<std::string> won = store_.GetText(fmt::format("won/{}", process));
      ASSERT_TRUE(won.ok());
      if ((*won)[static_cast<size_t>(key)] == '1') {
        winners.push_back(fmt::format("process {}", process));
      }
    }
    ASSERT_EQ(winners.size(), 1u) << "key " << key;
    EXPECT_EQ(*store_.GetText(fmt::format("leases/unit-{}/e1", key)), winners[0]);
  }
  EXPECT_EQ(FilesIn(root_).size(), static_cast<size_t>(kKeys + kProcesses));
}

TEST_F(LocalStoreTest, TemporaryFilesAreNeverListed) {
  ASSERT_TRUE(store_.Put("a/b", AsBytes("x")).ok());
  std::ofstream(root_ + "/a/.tmp-0123456789abcdef") << "half";
  std::ofstream(root_ + "/.tmp-0123456789abcdef") << "half";
  const Result<std::vector<ObjectInfo>> objects = ListAll(store_, "");
  ASSERT_TRUE(objects.ok());
  ASSERT_EQ(objects->size(), 1u);
  EXPECT_TRUE(ListAll(store_, ".tmp-")->empty());
  EXPECT_TRUE(ListAll(store_, "a/.tmp")->empty());
}

TEST_F(LocalStoreTest, NothingButRegularFilesIsAnObject) {
  ASSERT_TRUE(store_.Put("a/b", AsBytes("x")).ok());
  ASSERT_EQ(symlink("b", (root_ + "/a/link").c_str()), 0);
  ASSERT_EQ(symlink("a", (root_ + "/folder-link").c_str()), 0);
  ASSERT_EQ(mkfifo((root_ + "/a/pipe").c_str(), 0600), 0);
  EXPECT_EQ(ListAll(store_, "")->size(), 1u);
  for (const char* key : {"a", "a/link", "a/pipe", "a/b/c"}) {
    EXPECT_EQ(store_.Stat(key).status().code(), Code::kNotFound) << key;
    std::byte out[1];
    EXPECT_EQ(store_.GetRange(key, 0, out).code(), Code::kNotFound) << key;
  }
  EXPECT_EQ(store_.CreateIfAbsent("a/link", AsBytes("x")).outcome, CreateOutcome::kConflict);
}

TEST_F(LocalStoreTest, AKeyCannotBeAFolderToo) {
  ASSERT_TRUE(store_.Put("file", AsBytes("x")).ok());
  ASSERT_TRUE(store_.Put("folder/file", AsBytes("x")).ok());
  const Status below_file = store_.Put("file/below", AsBytes("y"));
  EXPECT_EQ(below_file.code(), Code::kInvalidArgument);
  EXPECT_THAT(below_file.message(), HasSubstr(root_ + "/file\": Not a directory"));
  const Status over_folder = store_.Put("folder", AsBytes("y"));
  EXPECT_EQ(over_folder.code(), Code::kInvalidArgument);
  EXPECT_THAT(over_folder.message(), HasSubstr("Is a directory"));
  // Not kConflict: reading the object would then find nothing, and trying again never ends.
  for (const char* key : {"file/below", "folder"}) {
    const CreateResult created = store_.CreateIfAbsent(key, AsBytes("y"));
    EXPECT_EQ(created.outcome, CreateOutcome::kUnknown) << key;
    EXPECT_EQ(created.status.code(), Code::kInvalidArgument) << key;
  }
  EXPECT_TRUE(store_.Delete("folder").ok());
  EXPECT_TRUE(store_.Delete("file/below").ok());
  EXPECT_EQ(FilesIn(root_).size(), 2u);
}

TEST_F(LocalStoreTest, FoldersThatVanishAreMadeAgain) {
  ASSERT_TRUE(store_.Put("a/b/c", AsBytes("x")).ok());
  std::filesystem::remove_all(root_ + "/a");
  EXPECT_TRUE(store_.Put("a/b/c", AsBytes("x")).ok());
  std::filesystem::remove_all(root_);
  EXPECT_EQ(store_.CreateIfAbsent("a/d/e", AsBytes("x")).outcome, CreateOutcome::kWritten);
  EXPECT_EQ(*store_.GetText("a/d/e"), "x");
}

TEST_F(LocalStoreTest, ListingToleratesDeletion) {
  const pid_t writer = Fork([&] {
    LocalStore store(root_);
    for (int i = 0; i < 100; ++i) {
      (void)store.Put(fmt::format("a/{}", i % 10), AsBytes("x"));
      (void)store.Delete(fmt::format("a/{}", (i + 5) % 10));
      if (i % 20 == 19) std::filesystem::remove_all(root_ + "/a");
    }
    return 0;
  });
  int status = 0;
  while (waitpid(writer, &status, WNOHANG) == 0) {
    const Result<ListPage> page = store_.List("", "", 100);
    EXPECT_TRUE(page.ok()) << page.status().message();
  }
  EXPECT_EQ(status, 0);
}

TEST_F(LocalStoreTest, UnwritablePlacesSayWhatAndWhere) {
  // Permission bits do not stop root; these places do.
  std::ofstream(folder_.path() + "/file") << "x";
  LocalStore below_file(folder_.path() + "/file/run");
  const Status not_a_folder = below_file.Put("a", AsBytes("x"));
  EXPECT_EQ(not_a_folder.code(), Code::kInvalidArgument);
  EXPECT_THAT(not_a_folder.message(), HasSubstr(folder_.path() + "/file"));
  EXPECT_TRUE(below_file.List("", "", 1).ok());

  LocalStore in_proc("/proc/thresher-test/run");
  const CreateResult created = in_proc.CreateIfAbsent("a", AsBytes("x"));
  EXPECT_EQ(created.outcome, CreateOutcome::kUnknown);
  EXPECT_FALSE(created.status.ok());
  EXPECT_THAT(created.status.message(), HasSubstr("/proc/thresher-test"));

  const Status too_long = store_.Put(std::string(300, 'n'), AsBytes("x"));
  EXPECT_EQ(too_long.code(), Code::kInvalidArgument);
  EXPECT_TRUE(FilesIn(root_).empty());
}

TEST_F(LocalStoreTest, PermissionBitsAreReported) {
  if (geteuid() == 0) GTEST_SKIP() << "permission bits do not apply to root";
  ASSERT_EQ(mkdir(root_.c_str(), 0500), 0);
  EXPECT_EQ(store_.Put("a", AsBytes("x")).code(), Code::kPermissionDenied);
  EXPECT_EQ(store_.CreateIfAbsent("a", AsBytes("x")).status.code(), Code::kPermissionDenied);
}

// Runs check() in a process of its own: 0 if it is content.
void ExpectInOwnProcess(const std::function<bool()>& check) {
  EXPECT_EQ(ExitStatusOf(Fork([&check] { return check() ? 0 : 1; })), 0);
}

TEST_F(LocalStoreTest, FilesLongerThanTheLimit) {
  ASSERT_TRUE(store_.Put("old", AsBytes("stays")).ok());
  ExpectInOwnProcess([this] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {100'000, 100'000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    bool as_it_must = true;
    // Smaller and larger than what is reserved in advance.
    for (const size_t bytes : {size_t{200'000}, size_t{20'000'000}}) {
      const std::string text(bytes, 'x');
      const CreateResult created = store_.CreateIfAbsent("new", AsBytes(text));
      as_it_must = as_it_must && created.outcome == CreateOutcome::kUnknown &&
                   created.status.code() == Code::kResourceExhausted &&
                   store_.Put("old", AsBytes(text)).code() == Code::kResourceExhausted;
    }
    return as_it_must;
  });
  EXPECT_EQ(*store_.GetText("old"), "stays");
  EXPECT_EQ(FilesIn(root_), std::vector<std::string>{"old"});
}

// A file system of 1 MiB, where one may be mounted.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    THRESHER_CHECK(mkdir(path.c_str(), 0700) == 0);
    error_ = mount("tmpfs", path.c_str(), "tmpfs", 0, "size=1m") == 0 ? 0 : errno;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (error_ == 0) (void)umount2(path_.c_str(), MNT_DETACH);
  }

  const std::string& path() const { return path_; }
  int error() const { return error_; }

 private:
  const std::string path_;
  int error_;
};

TEST_F(LocalStoreTest, FullDisk) {
  const SmallDisk disk(folder_.path() + "/disk");
  if (disk.error() != 0) {
    GTEST_SKIP() << "cannot mount a small tmpfs: " << std::strerror(disk.error());
  }
  LocalStore store(disk.path() + "/run");
  ASSERT_TRUE(store.Put("old", AsBytes("stays")).ok());
  for (const size_t bytes : {size_t{2'000'000}, size_t{20'000'000}}) {
    const std::string text(bytes, 'x');
    const Status put = store.Put("old", AsBytes(text));
    EXPECT_EQ(put.code(), Code::kResourceExhausted) << put.message();
    EXPECT_THAT(put.message(), HasSubstr(disk.path()));
    const CreateResult created = store.CreateIfAbsent("new", AsBytes(text));
    EXPECT_EQ(created.outcome, CreateOutcome::kUnknown);
    EXPECT_EQ(created.status.code(), Code::kResourceExhausted);
  }
  EXPECT_EQ(*store.GetText("old"), "stays");
  EXPECT_EQ(FilesIn(disk.path()), std::vector<std::string>{"old"});
  EXPECT_TRUE(store.Put("fits", AsBytes(std::string(500'000, 'x'))).ok());
}

}  // namespace
}  // namespace thresher
