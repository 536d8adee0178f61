#include "hub/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/random.h"
#include "base/rust_threads_for_test.h"
#include "base/temporary_folder_for_test.h"
#include "hub/fake_hub_for_test.h"
#include "hub/file_lock.h"

namespace thresher {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Bytes without a pattern that a wrong range could repeat.
std::string SomeBytes(size_t count) {
  Random random(count);
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(random.Next());
  return bytes;
}

class HubTest : public RustThreadsTest {
 protected:
  HubTest() : server_(std::make_unique<FakeHub>()) {
    server_->files = {{"config.json", {"{}"}},
                      {"tokenizer.json", {"{\"a\": 1}"}},
                      {"model.safetensors", {SomeBytes(1'000'000), true}},
                      {"pytorch_model.bin", {SomeBytes(1000), true}},
                      {"onnx/model.onnx", {"onnx", true}}};
  }

  FakeHub& server() { return *server_; }
  HubSettings Settings() { return server_->Settings(folder_.path()); }

  Hub Open(const HubSettings& settings) {
    HubCallbacks callbacks;
    callbacks.on_warning = [this](const std::string& message) { warnings_.push_back(message); };
    callbacks.on_progress = [this](const HubProgress& progress) { progress_ = progress; };
    Result<Hub> hub = Hub::Create(settings, callbacks, clock_);
    THRESHER_CHECK(hub.ok());
    return *std::move(hub);
  }
  Hub Open() { return Open(Settings()); }

  static HubAddress Model(const std::string& revision = "main") {
    return {.repository = "owner/name", .revision = revision};
  }
  std::string CachePath(const std::string& path) const {
    return folder_.PathOf("models--owner--name/" + path);
  }
  std::string Incomplete() {
    return CachePath("blobs/" + Sha256ForTest(server().files["model.safetensors"].bytes) +
                     ".incomplete");
  }
  void ExpectFetched(const Result<std::string>& folder) {
    ASSERT_TRUE(folder.ok()) << folder.status().message();
    for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
      EXPECT_EQ(ReadFileForTest(*folder + "/" + name), server().files[name].bytes) << name;
    }
  }
  // What is in blobs/ besides whole files with the right hash.
  std::vector<std::string> Remnants() const {
    std::vector<std::string> remnants;
    for (const auto& entry : fs::directory_iterator(CachePath("blobs"))) {
      const std::string name = entry.path().filename().string();
      const std::string bytes = ReadFileForTest(entry.path().string());
      if (name != Sha256ForTest(bytes) && name != GitHashForTest(bytes)) remnants.push_back(name);
    }
    return remnants;
  }

  const TemporaryFolder folder_;
  std::unique_ptr<FakeHub> server_;
  SleepingClock clock_;
  std::vector<std::string> warnings_;
  HubProgress progress_;
};

TEST_F(HubTest, ModelIsLaidOutAsPythonHasIt) {
  const Result<std::string> snapshot = Open().FetchModel(Model());
  ExpectFetched(snapshot);
  EXPECT_EQ(*snapshot, CachePath("snapshots/" + server().commit));
  EXPECT_FALSE(fs::exists(*snapshot + "/pytorch_model.bin"));
  EXPECT_EQ(fs::read_symlink(*snapshot + "/config.json").string(),
            "../../blobs/" + GitHashForTest("{}"));
  EXPECT_EQ(ReadFileForTest(CachePath("refs/main")), server().commit);
  EXPECT_TRUE(fs::exists(CachePath(".no_exist/" + server().commit + "/chat_template.jinja")));
  EXPECT_TRUE(
      fs::exists(folder_.PathOf(".locks/models--owner--name/" + GitHashForTest("{}") + ".lock")));
  EXPECT_THAT(Remnants(), IsEmpty());
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_EQ(progress_.bytes_done, 1'000'000);
  EXPECT_EQ(progress_.bytes_total, 1'000'000);
}

TEST_F(HubTest, WhatIsThereIsNotFetchedAgain) {
  ExpectFetched(Open().FetchModel(Model()));
  const size_t before = server().RequestCount();
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_EQ(server().RequestCount(), before + 1);  // which commit is main?
  ExpectFetched(Open().FetchModel(Model(server().commit)));
  HubSettings offline = Settings();
  offline.offline = true;
  ExpectFetched(Open(offline).FetchModel(Model()));
  EXPECT_EQ(server().RequestCount(), before + 1);
}

TEST_F(HubTest, ANewCommitSharesBlobs) {
  ExpectFetched(Open().FetchModel(Model()));
  const size_t before = server().DataRequests().size();
  server().commit = std::string(40, 'b');
  server().files["config.json"].bytes = "{\"new\": 1}";
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_EQ(server().DataRequests().size(), before);
  EXPECT_EQ(ReadFileForTest(CachePath("refs/main")), server().commit);
}

TEST_F(HubTest, ShardedWeights) {
  server().files.erase("model.safetensors");
  server().files["model.safetensors.index.json"] = {
      R"({"weight_map": {"x": "m-1.safetensors", "y": "m-2.safetensors", "z": "m-1.safetensors"}})"};
  server().files["m-1.safetensors"] = {"one", true};
  server().files["m-2.safetensors"] = {"two", true};
  server().files["consolidated.safetensors"] = {"not wanted", true};
  const Result<std::string> snapshot = Open().FetchModel(Model());
  ASSERT_TRUE(snapshot.ok()) << snapshot.status().message();
  EXPECT_EQ(ReadFileForTest(*snapshot + "/m-2.safetensors"), "two");
  EXPECT_FALSE(fs::exists(*snapshot + "/consolidated.safetensors"));

  server().commit = std::string(40, 'c');
  server().files["model.safetensors.index.json"] = {R"({"weight_map": {"x": "../../x"}})"};
  EXPECT_THAT(Open().FetchModel(Model()).status().message(),
              AllOf(HasSubstr("index.json"), HasSubstr("no such file")));
}

TEST_F(HubTest, RepositoriesThatAreNoModels) {
  server().files.erase("model.safetensors");
  EXPECT_THAT(Open().FetchModel(Model()).status().message(),
              AllOf(HasSubstr("expected model.safetensors"), HasSubstr("pytorch_model.bin")));
  server().commit = std::string(40, 'b');
  server().files.erase("config.json");
  EXPECT_THAT(Open().FetchModel(Model()).status().message(), HasSubstr("no config.json"));
  EXPECT_EQ(Open().FetchModel({.kind = HubKind::kDataset}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Open().FetchDataset(Model()).status().code(), Code::kInvalidArgument);
}

TEST_F(HubTest, DatasetWithPagesFoldersAndOddNames) {
  server().kind = "datasets";
  server().page_entries = 2;
  server().files = {{"README.md", {"x"}}, {"data/a b#%é.jsonl", {"odd", true}}};
  for (int n = 0; n < 5; ++n) {
    server().files["data/train-" + std::to_string(n) + ".parquet"] = {"rows" + std::to_string(n),
                                                                      true};
  }
  const HubAddress address = *ParseHubAddress("hf://datasets/owner/name/data/*[1-3].parquet");
  const Result<std::vector<std::string>> files = Open().FetchDataset(address);
  ASSERT_TRUE(files.ok()) << files.status().message();
  ASSERT_THAT(*files, SizeIs(3));
  EXPECT_TRUE((*files)[0].ends_with("/data/train-1.parquet"));
  EXPECT_EQ(ReadFileForTest((*files)[2]), "rows3");
  EXPECT_EQ(fs::read_symlink((*files)[2]).string(), "../../../blobs/" + Sha256ForTest("rows3"));
  EXPECT_THAT(server().HubRequests("GET /api/datasets/owner/name/tree/"), SizeIs(4));
}

TEST_F(HubTest, NamesAreEscapedInUrls) {
  server().kind = "datasets";
  server().files = {{"data/a b#%é.jsonl", {"odd"}}};
  server().on_hub = [&](const ReceivedRequest& request, int) -> std::optional<ServerAction> {
    if (request.line.find("/resolve/") == std::string::npos) return std::nullopt;
    EXPECT_THAT(request.line, HasSubstr("/data/a%20b%23%25%C3%A9.jsonl HTTP"));
    return Answer("200 OK", "odd");
  };
  HubAddress address = *ParseHubAddress("hf://datasets/owner/name@refs/convert/parquet");
  const auto files = Open().FetchDataset(address);
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(ReadFileForTest(files->front()), "odd");
  EXPECT_EQ(ReadFileForTest(folder_.PathOf("datasets--owner--name/refs/refs/convert/parquet")),
            server().commit);
}

TEST_F(HubTest, TheTokenGoesToTheHubAlone) {
  server().needs_token = "hf_secret";
  HubSettings settings = Settings();
  settings.token = "hf_secret";
  ExpectFetched(Open(settings).FetchModel(Model()));
  EXPECT_THAT(server().DataRequests(), Not(IsEmpty()));
  for (const ReceivedRequest& request : server().HubRequests()) {
    EXPECT_THAT(request.head, HasSubstr("authorization: Bearer hf_secret"));
  }
  for (const ReceivedRequest& request : server().DataRequests()) {
    EXPECT_THAT(request.head, AllOf(Not(HasSubstr("uthorization")), Not(HasSubstr("hf_secret"))));
  }
}

TEST_F(HubTest, GatedAndMissing) {
  server().needs_token = "hf_secret";
  Status status = Open().FetchModel(Model()).status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("gated"), HasSubstr("HF_TOKEN"),
                                      HasSubstr(server().url() + "/owner/name")));
  HubSettings settings = Settings();
  settings.token = "hf_wrong";
  status = Open(settings).FetchModel(Model()).status();
  EXPECT_THAT(status.message(), AllOf(HasSubstr("gated"), Not(HasSubstr("hf_wrong"))));
  server().needs_token = "";
  status = Open().FetchModel(Model("v9")).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("no revision 'v9'"));
  status = Open().FetchModel({.repository = "who/what"}).status();
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("no such model, or it is private"), HasSubstr("no RepoNotFound")));
  EXPECT_EQ(server().HubRequests().size(), 4u);  // none of these is tried again
}

TEST_F(HubTest, AFileThatTheHubLostSinceIsNamed) {
  server().on_hub = [](const ReceivedRequest& request, int) -> std::optional<ServerAction> {
    if (request.line.find("/tokenizer.json") == std::string::npos) return std::nullopt;
    return Answer("404 Not Found", std::string(100, 'x'), "X-Error-Code: EntryNotFound\r\n");
  };
  const Status status = Open().FetchModel(Model()).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("tokenizer.json of hf://owner/name@main: there is no"));
}

TEST_F(HubTest, TroubleIsWaitedOut) {
  server().on_hub = [](const ReceivedRequest&, int number) -> std::optional<ServerAction> {
    if (number == 0) return Answer("503 Service Unavailable");
    if (number == 1) return Answer("429 Too Many", "", "Retry-After: 100\r\n");
    if (number == 2) return Answer("429 Too Many", "", "RateLimit: \"api\";r=0;t=50\r\n");
    if (number == 3) return ServerAction{.send = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"};
    return std::nullopt;
  };
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_GE(clock_.MonotonicMs(), 150'000);
  EXPECT_LE(clock_.MonotonicMs(), 160'000);
}

TEST_F(HubTest, TroubleEndsWithTheBudget) {
  server().on_hub = [](const ReceivedRequest&, int) { return Answer("502 Bad Gateway"); };
  Status status = Open().FetchModel(Model()).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("hf://owner/name@main"), HasSubstr("status 502"),
                                      HasSubstr(server().url() + "/api/models/owner/name")));
  EXPECT_LE(clock_.MonotonicMs(), Settings().retry_budget_ms);
  server().on_hub = [](const ReceivedRequest&, int) {
    return Answer("429 Too Many", "", "Retry-After: 7200\r\n");
  };
  const int64_t before_ms = clock_.MonotonicMs();
  status = Open().FetchModel(Model()).status();
  EXPECT_THAT(status.message(), AllOf(HasSubstr("2h 00m"), HasSubstr("HF_TOKEN")));
  EXPECT_EQ(clock_.MonotonicMs(), before_ms);
}

TEST_F(HubTest, WithoutTheHubTheLastSnapshotIsUsed) {
  ExpectFetched(Open().FetchModel(Model()));
  server().on_hub = [](const ReceivedRequest&, int) { return Answer("500 Oh"); };
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("using commit " + server().commit)));
  fs::remove(CachePath("snapshots/" + server().commit + "/tokenizer.json"));
  const Status status = Open().FetchModel(Model()).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("lacks 1 of 2 files, such as tokenizer.json"));
}

TEST_F(HubTest, OfflineWithNothingThere) {
  HubSettings settings = Settings();
  settings.offline = true;
  for (const std::string& revision : {std::string("main"), server().commit}) {
    const Status status = Open(settings).FetchModel(Model(revision)).status();
    EXPECT_EQ(status.code(), Code::kNotFound);
    EXPECT_THAT(status.message(), HasSubstr("HF_HUB_OFFLINE"));
  }
  EXPECT_EQ(server().RequestCount(), 0u);
}

TEST_F(HubTest, OfflineWithASnapshotButNoListOfFiles) {
  ExpectFetched(Open().FetchModel(Model()));
  fs::remove_all(CachePath("trees"));
  HubSettings settings = Settings();
  settings.offline = true;
  ExpectFetched(Open(settings).FetchModel(Model()));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("taking the 3 files")));
}

TEST_F(HubTest, AnotherHubsAnswersAreNotBelieved) {
  server().on_hub = [](const ReceivedRequest&, int) { return Answer("200 OK", "<html>"); };
  EXPECT_THAT(Open().FetchModel(Model()).status().message(),
              AllOf(HasSubstr("not what a hub answers"), HasSubstr("HF_ENDPOINT")));
  HubSettings settings = Settings();
  settings.endpoint = "huggingface.co";
  EXPECT_THAT(Hub::Create(settings).status().message(), HasSubstr("HF_ENDPOINT"));
}

TEST_F(HubTest, RedirectsInCirclesAndToOtherSchemes) {
  server().on_hub = [](const ReceivedRequest&, int) {
    return Answer("307 Temporary Redirect", "", "Location: /again\r\n");
  };
  EXPECT_THAT(Open().FetchModel(Model()).status().message(), HasSubstr("more than 8 times"));
  server().on_hub = [](const ReceivedRequest&, int) {
    return Answer("302 Found", "", "Location: file:///etc/passwd\r\n");
  };
  EXPECT_THAT(Open().FetchModel(Model()).status().message(), HasSubstr("not safe to follow"));
}

// ---------------------------------------------------------------- downloads

TEST_F(HubTest, PiecesComeInParallelAndTheServerIsAskedDirectly) {
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_THAT(server().DataRequests(), SizeIs(16));  // 1,000,000 bytes in pieces of 64 KiB
  HubSettings one_by_one = server().Settings(folder_.PathOf("other"));
  one_by_one.parallel_pieces = 1;
  ExpectFetched(Open(one_by_one).FetchModel(Model()));
  EXPECT_THAT(server().DataRequests(), SizeIs(32));
  // One question to the hub in all, when nothing runs in parallel.
  EXPECT_LE(server().HubRequests("GET /owner/name/resolve/" + server().commit + "/model").size(),
            9u);
}

TEST_F(HubTest, AnIncompleteFileIsContinued) {
  const std::string& bytes = server().files["model.safetensors"].bytes;
  fs::create_directories(CachePath("blobs"));
  std::ofstream(Incomplete(), std::ios::binary) << bytes.substr(0, 900'001);
  ExpectFetched(Open().FetchModel(Model()));
  ASSERT_THAT(server().DataRequests(), SizeIs(2));
  EXPECT_THAT(server().DataRequests()[0].head, HasSubstr("range: bytes=9"));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(HubTest, ACompleteIncompleteFileNeedsNoRequest) {
  fs::create_directories(CachePath("blobs"));
  std::ofstream(Incomplete(), std::ios::binary) << server().files["model.safetensors"].bytes;
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_THAT(server().DataRequests(), IsEmpty());
}

TEST_F(HubTest, AWrongBeginningIsFoundOutAndFetchedAgain) {
  for (const size_t count : {1u, 500'000u, 1'000'000u, 1'000'001u}) {
    fs::create_directories(CachePath("blobs"));
    std::ofstream(Incomplete(), std::ios::binary) << std::string(count, 'x');
    ExpectFetched(Open().FetchModel(Model()));
    EXPECT_THAT(Remnants(), IsEmpty());
    EXPECT_EQ(progress_.bytes_done, 1'000'000);
    fs::remove_all(folder_.PathOf("models--owner--name"));
  }
  EXPECT_THAT(warnings_, SizeIs(3));  // a file that is too long is cut at once
}

TEST_F(HubTest, WrongBytesTwiceAreAnError) {
  server().on_data = [&](const ReceivedRequest&, int number) -> std::optional<ServerAction> {
    std::string wrong(65'536, 'x');
    if (number % 16 != 3) return std::nullopt;
    return Answer("206 Partial Content", wrong, "Content-Range: bytes 0-/1000000\r\n");
  };
  HubSettings settings = Settings();
  settings.parallel_pieces = 1;
  // A range that is not the one asked for is seen at once.
  Status status = Open(settings).FetchModel(Model()).status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("Content-Range"), Not(HasSubstr("signature"))));

  server().on_data = [&](const ReceivedRequest& request, int) -> std::optional<ServerAction> {
    const size_t first = std::stoull(request.head.substr(request.head.find("bytes=") + 6));
    const size_t count = std::min<size_t>(65'536, 1'000'000 - first);
    return Answer("206 Partial Content", std::string(count, 'x'),
                  fmt::format("Content-Range: bytes {}-/1000000\r\n", first));
  };
  status = Open().FetchModel(Model()).status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("model.safetensors of hf://owner/name@main"),
                                      HasSubstr("hash"), HasSubstr("2 times")));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("again")));
  EXPECT_THAT(Remnants(), IsEmpty());
  server().on_data = nullptr;
  ExpectFetched(Open().FetchModel(Model()));
}

TEST_F(HubTest, WrongSmallFilesAreFoundOutToo) {
  int wrong_answers = 1;
  server().on_hub = [&](const ReceivedRequest& request, int) -> std::optional<ServerAction> {
    if (request.line.find("/config.json") == std::string::npos || wrong_answers-- <= 0) {
      return std::nullopt;
    }
    return Answer("200 OK", "[]");
  };
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("config.json")));
}

TEST_F(HubTest, AnswersOfTheWrongLength) {
  server().on_hub = [&](const ReceivedRequest& request, int) -> std::optional<ServerAction> {
    if (request.line.find("/config.json") == std::string::npos) return std::nullopt;
    return Answer("200 OK", "[ ]");
  };
  const Status status = Open().FetchModel(Model()).status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("gave 3 bytes instead of 2: config.json"));
}

TEST_F(HubTest, CutConnectionsCostOnePieceEach) {
  server().on_data = [&](const ReceivedRequest&, int number) -> std::optional<ServerAction> {
    if (number % 3 != 1) return std::nullopt;
    return ServerAction{.send =
                            "HTTP/1.1 206 Partial Content\r\nContent-Length: 65536\r\n\r\nhalf"};
  };
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(HubTest, WhatCameBeforeAFailureIsKept) {
  HubSettings settings = Settings();
  std::atomic<int> left = 5;
  server().on_data = [&](const ReceivedRequest&, int) -> std::optional<ServerAction> {
    if (left-- > 0) return std::nullopt;
    return ServerAction{.send = ""};
  };
  EXPECT_EQ(Open(settings).FetchModel(Model()).status().code(), Code::kUnavailable);
  const auto kept = static_cast<int64_t>(fs::file_size(Incomplete()));
  EXPECT_LE(kept, 5 * settings.piece_bytes);
  EXPECT_EQ(ReadFileForTest(Incomplete()),
            server().files["model.safetensors"].bytes.substr(0, static_cast<size_t>(kept)));
  server().on_data = nullptr;
  const size_t before = server().DataRequests().size();
  ExpectFetched(Open(settings).FetchModel(Model()));
  EXPECT_EQ(
      server().DataRequests().size() - before,
      static_cast<size_t>((1'000'000 - kept + settings.piece_bytes - 1) / settings.piece_bytes));
}

TEST_F(HubTest, AddressesThatExpireAreAskedForAgain) {
  HubSettings settings = Settings();
  settings.parallel_pieces = 1;
  server().on_data = [](const ReceivedRequest&, int number) -> std::optional<ServerAction> {
    if (number != 4) return std::nullopt;
    return Answer("403 Forbidden", "expired");
  };
  ExpectFetched(Open(settings).FetchModel(Model()));
  EXPECT_THAT(server().HubRequests("GET /owner/name/resolve/" + server().commit + "/model"),
              SizeIs(2));
}

TEST_F(HubTest, ServersWithoutRanges) {
  server().knows_ranges = false;
  HubSettings settings = Settings();
  settings.piece_bytes = 600'000;
  settings.parallel_pieces = 1;
  EXPECT_EQ(Open(settings).FetchModel(Model()).status().code(), Code::kDataLoss);
  settings.piece_bytes = 1'000'000;
  ExpectFetched(Open(settings).FetchModel(Model()));
}

TEST_F(HubTest, ADamagedBlobIsReplaced) {
  const Result<std::string> snapshot = Open().FetchModel(Model());
  ASSERT_TRUE(snapshot.ok());
  fs::resize_file(*snapshot + "/model.safetensors", 10);
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("has 10 bytes in the cache")));
}

TEST_F(HubTest, TwoFetchesAtTheSameTimeFetchOnce) {
  Result<std::string> first = Internal("");
  Result<std::string> second = Internal("");
  const Result<Hub> hub = Hub::Create(Settings(), {}, clock_);
  std::thread other([&] { first = hub->FetchModel(Model()); });
  second = hub->FetchModel(Model());
  other.join();
  ExpectFetched(first);
  ExpectFetched(second);
  EXPECT_THAT(server().DataRequests(), SizeIs(16));
  EXPECT_THAT(Remnants(), IsEmpty());
}

TEST_F(HubTest, TheSecondWaitsForTheLock) {
  ExpectFetched(Open().FetchModel(Model()));
  const std::string hash = GitHashForTest("{}");
  fs::remove(CachePath("snapshots/" + server().commit + "/config.json"));
  Result<FileLock> held =
      FileLock::Acquire(folder_.PathOf(".locks/models--owner--name/" + hash + ".lock"), [] {});
  ASSERT_TRUE(held.ok());
  HubCallbacks callbacks;
  std::optional<FileLock> lock = *std::move(held);
  std::vector<std::string> warnings;
  callbacks.on_warning = [&](const std::string& message) {
    warnings.push_back(message);
    lock.reset();
  };
  ExpectFetched(Hub::Create(Settings(), callbacks, clock_)->FetchModel(Model()));
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("config.json of hf://owner/name@main is being")));
}

TEST_F(HubTest, ACacheThatCannotBeWrittenServesWhatItHas) {
  ExpectFetched(Open().FetchModel(Model()));
  // Files where folders are needed: nobody can write there, not even root.
  fs::remove_all(CachePath(".no_exist"));
  std::ofstream(CachePath(".no_exist")) << "x";
  fs::remove_all(CachePath("refs"));
  std::ofstream(CachePath("refs")) << "x";
  ExpectFetched(Open().FetchModel(Model()));
  EXPECT_THAT(warnings_, Contains(HasSubstr("cannot be written")));
}

}  // namespace
}  // namespace thresher
