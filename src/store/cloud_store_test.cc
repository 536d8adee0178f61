// The cloud driver against servers that misbehave. What it must do with well-behaved ones is the
// contract, which tests/ runs against real servers.

#include "store/cloud_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/loopback_server_for_test.h"
#include "base/rust_threads_for_test.h"
#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::Not;

class CloudStoreTest : public RustThreadsTest {};

constexpr size_t kPartBytes = 5 << 20;  // the smallest that S3 takes

StoreOptions Options() {
  StoreOptions options;
  options.anonymous = true;
  options.request_timeout_ms = 20'000;
  options.retry_budget_ms = 20'000;
  return options;
}

// For servers that do not answer anyway.
StoreOptions Impatient() {
  StoreOptions options = Options();
  options.request_timeout_ms = 100;
  options.retry_budget_ms = 400;
  return options;
}

std::unique_ptr<Store> Open(const LoopbackServer& server, StoreOptions options = Options(),
                            std::string_view url = "s3://bucket/run") {
  options.endpoint = server.url() + (url.starts_with("az://") ? "/account" : "");
  Result<std::unique_ptr<Store>> store = CloudStore::Open(
      *ParseCloudUrl(url), options, [](const std::string&) { return std::string(); });
  THRESHER_CHECK(store.ok());
  return std::move(store).value();
}

// "GET /bucket/run/a HTTP/1.1" without its version.
std::string Line(const ReceivedRequest& request) {
  return request.line.substr(0, request.line.rfind(' '));
}

int64_t MillisecondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start)
      .count();
}

// An environment variable of this process as long as this lives; empty: not set.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    Set(value);
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;
  ~ScopedVariable() { Set(old_); }

 private:
  void Set(const std::string& value) {
    if (value.empty()) {
      unsetenv(name_);
    } else {
      setenv(name_, value.c_str(), 1);
    }
  }

  const char* const name_;
  std::string old_;
};

ServerAction Silence() { return {.send = "", .stall_after = true}; }
ServerAction Gone() { return {.send = ""}; }
ServerAction HalfAnswer(bool stall) {
  return {.send = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", .stall_after = stall};
}

// --- trying again ---

TEST_F(CloudStoreTest, TemporaryRefusalsAreTriedAgain) {
  for (const char* status : {"503 Slow Down", "500 Oops", "429 Too Many", "408 Timeout"}) {
    LoopbackServer server([&](const ReceivedRequest&, int number) {
      return number < 2 ? Answer(status) : Answer("200 OK", "text");
    });
    EXPECT_EQ(*Open(server)->GetText("a"), "text") << status;
    EXPECT_EQ(server.Requests().size(), 3u) << status;
  }
}

TEST_F(CloudStoreTest, LostAnswersOfAnyCallAreTriedAgain) {
  const std::vector<std::pair<const char*, std::function<Status(Store&)>>> calls = {
      {"PUT", [](Store& store) { return store.Put("a", AsBytes("text")); }},
      {"GET", [](Store& store) { return store.GetText("a").status(); }},
      {"HEAD", [](Store& store) { return store.Stat("a").status(); }},
      {"DELETE", [](Store& store) { return store.Delete("a"); }},
  };
  for (const auto& [method, call] : calls) {
    LoopbackServer server([&](const ReceivedRequest& request, int number) {
      if (number == 0) return Gone();
      if (number == 1 && request.line.starts_with("GET")) return HalfAnswer(/*stall=*/false);
      return Answer(request.line.starts_with("DELETE") ? "204 No Content" : "200 OK");
    });
    const Status status = call(*Open(server));
    EXPECT_TRUE(status.ok()) << method << " " << status.message();
    EXPECT_EQ(server.Requests(method).size(), method == std::string_view("GET") ? 3u : 2u);
  }
}

TEST_F(CloudStoreTest, ThePutThatIsTriedAgainIsWhole) {
  LoopbackServer server([](const ReceivedRequest&, int number) {
    return number == 0 ? Answer("503 Slow Down") : Answer("200 OK");
  });
  EXPECT_TRUE(Open(server)->Put("a", AsBytes("text")).ok());
  for (const ReceivedRequest& request : server.Requests()) EXPECT_EQ(request.body, "text");
}

TEST_F(CloudStoreTest, FinalRefusalsAreNot) {
  LoopbackServer server([](const ReceivedRequest&, int) {
    return Answer("403 Forbidden",
                  "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>");
  });
  const Status status = Open(server)->Put("a", AsBytes("text"));
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_THAT(status.message(), HasSubstr("AccessDenied: No."));
  EXPECT_THAT(status.message(), HasSubstr("s3:PutObject"));
  EXPECT_EQ(server.Requests().size(), 1u);
}

TEST_F(CloudStoreTest, ARefusalWithoutAReasonSaysSo) {
  LoopbackServer server([](const ReceivedRequest&, int) { return Answer("403 Forbidden"); });
  const Status status = Open(server)->Stat("a").status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_THAT(status.message(), HasSubstr("HTTP 403: the store gives no reason; the account"));
}

TEST_F(CloudStoreTest, CodesOfOtherRefusals) {
  LoopbackServer server([](const ReceivedRequest& request, int) {
    return request.line.starts_with("PUT")
               ? Answer("404 Not Found", "<Error><Code>NoSuchBucket</Code></Error>")
               : Answer("400 Bad Request", "<Error><Code>InvalidThing</Code></Error>");
  });
  EXPECT_EQ(Open(server)->Put("a", {}).code(), Code::kInvalidArgument);
  EXPECT_EQ(Open(server)->GetText("a").status().code(), Code::kFailedPrecondition);
}

// --- create ---

CreateResult Create(ServerAction action, std::string_view url, size_t* requests) {
  LoopbackServer server([&](const ReceivedRequest&, int) { return action; });
  CreateResult result = Open(server, action.stall_after ? Impatient() : Options(), url)
                            ->CreateIfAbsent("a", AsBytes("text"));
  *requests = server.Requests().size();
  return result;
}

TEST_F(CloudStoreTest, CreateIsSentOnce) {
  const struct {
    ServerAction action;
    CreateOutcome outcome;
  } cases[] = {
      {Answer("412 Precondition Failed"), CreateOutcome::kConflict},
      {Answer("503 Slow Down"), CreateOutcome::kUnknown},
      {Answer("404 Not Found"), CreateOutcome::kUnknown},
      {Answer("403 Forbidden"), CreateOutcome::kUnknown},
      {Gone(), CreateOutcome::kUnknown},
      {Silence(), CreateOutcome::kUnknown},
      {HalfAnswer(/*stall=*/true), CreateOutcome::kUnknown},
  };
  for (const char* url : {"s3://bucket/run", "gs://bucket/run", "az://bucket/run"}) {
    for (const auto& [action, outcome] : cases) {
      size_t requests = 0;
      const CreateResult result = Create(action, url, &requests);
      EXPECT_EQ(result.outcome, outcome) << url << " " << action.send;
      EXPECT_EQ(result.status.ok(), outcome != CreateOutcome::kUnknown);
      EXPECT_EQ(requests, 1u) << url << " " << action.send;
    }
  }
}

TEST_F(CloudStoreTest, AConflictOfRequestsIsNoConflictOfObjects) {
  size_t requests = 0;
  const std::string body = "<Error><Code>ConditionalRequestConflict</Code></Error>";
  EXPECT_EQ(Create(Answer("409 Conflict", body), "s3://bucket", &requests).outcome,
            CreateOutcome::kUnknown);
  EXPECT_EQ(requests, 1u);
}

TEST_F(CloudStoreTest, CreateSendsItsCondition) {
  LoopbackServer s3([](const ReceivedRequest&, int) { return Answer("200 OK"); });
  EXPECT_EQ(Open(s3)->CreateIfAbsent("a", {}).outcome, CreateOutcome::kWritten);
  EXPECT_THAT(s3.Requests()[0].head, HasSubstr("if-none-match: *\r\n"));
  EXPECT_TRUE(Open(s3)->Put("a", {}).ok());
  EXPECT_THAT(s3.Requests()[1].head, Not(HasSubstr("if-none-match")));
  LoopbackServer gcs([](const ReceivedRequest&, int) { return Answer("200 OK", "{}"); });
  (void)Open(gcs, Options(), "gs://bucket")->CreateIfAbsent("a", AsBytes("text"));
  EXPECT_EQ(Line(gcs.Requests()[0]),
            "POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a&ifGenerationMatch=0");
}

// --- time ---

TEST_F(CloudStoreTest, AServerThatNeverAnswersEndsInUnavailable) {
  for (const ServerAction& action : {Silence(), HalfAnswer(/*stall=*/true)}) {
    LoopbackServer server([&](const ReceivedRequest&, int) { return action; });
    const std::unique_ptr<Store> store = Open(server, Impatient());
    const int64_t spent =
        MillisecondsOf([&] { EXPECT_EQ(store->GetText("a").status().code(), Code::kUnavailable); });
    EXPECT_GE(spent, 100);
    EXPECT_LE(spent, 5000);  // 500 on an idle machine
    EXPECT_GE(server.Requests().size(), 2u);
  }
}

TEST_F(CloudStoreTest, AServerThatDoesNotReadEndsInUnavailable) {
  LoopbackServer server([](const ReceivedRequest&, int) {
    return ServerAction{.send = "", .stall_after = true, .read_body = false};
  });
  for (const int64_t part_bytes : {int64_t{0}, int64_t{kPartBytes}}) {
    StoreOptions options = Impatient();
    options.part_bytes = part_bytes;
    const std::unique_ptr<Store> store = Open(server, options);
    // Freed at once: under AddressSanitizer a late reader of it would be found.
    auto shard = std::make_unique<std::string>(size_t{48} << 20, 's');
    EXPECT_EQ(store->Put("a", AsBytes(*shard)).code(), Code::kUnavailable);
    shard.reset();
  }
}

TEST_F(CloudStoreTest, AnEarlyRefusalEndsAnUploadThatNobodyReads) {
  LoopbackServer server([](const ReceivedRequest&, int) {
    return ServerAction{.send = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
                        .stall_after = true,
                        .read_body = false};
  });
  StoreOptions options = Options();
  options.part_bytes = 0;
  auto shard = std::make_unique<std::string>(size_t{48} << 20, 's');
  EXPECT_EQ(Open(server, options)->Put("a", AsBytes(*shard)).code(), Code::kPermissionDenied);
  shard.reset();
}

TEST_F(CloudStoreTest, NobodyListens) {
  std::unique_ptr<Store> store;
  {
    const LoopbackServer server([](const ReceivedRequest&, int) { return Gone(); });
    store = Open(server, Impatient());
  }
  const Status status = store->GetText("a").status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("refused"));
}

TEST_F(CloudStoreTest, AllUploadsShareTheBandwidth) {
  LoopbackServer server([](const ReceivedRequest&, int) { return Answer("200 OK"); });
  StoreOptions options = Options();
  options.upload_bytes_per_second = 1 << 20;
  const std::unique_ptr<Store> store = Open(server, options);
  const std::string text(64 << 10, 't');
  const int64_t spent = MillisecondsOf([&] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back(
          [&, i] { EXPECT_TRUE(store->Put(std::to_string(i), AsBytes(text)).ok()); });
    }
    for (std::thread& thread : threads) thread.join();
  });
  EXPECT_GE(spent, 249);  // 256 KiB
}

TEST_F(CloudStoreTest, SmallObjectsDoNotWaitForBandwidth) {
  LoopbackServer server([](const ReceivedRequest&, int) { return Answer("200 OK"); });
  StoreOptions options = Options();
  options.upload_bytes_per_second = 30 << 10;
  const std::unique_ptr<Store> store = Open(server, options);
  const std::string text(60 << 10, 't');
  const int64_t spent = MillisecondsOf([&] {
    EXPECT_TRUE(store->Put("heartbeat", AsBytes(text)).ok());
    EXPECT_EQ(store->CreateIfAbsent("commit", AsBytes(text)).outcome, CreateOutcome::kWritten);
  });
  EXPECT_LT(spent, 2000);  // 4000 in the queue of large ones
}

TEST_F(CloudStoreTest, WaitingForBandwidthIsNoTryingAgain) {
  LoopbackServer server([](const ReceivedRequest&, int number) {
    return number < 2 ? Answer("503 Slow Down") : Answer("200 OK");
  });
  StoreOptions options = Options();
  options.upload_bytes_per_second = 128 << 10;  // half a second for each attempt
  options.retry_budget_ms = 500;
  const Status status = Open(server, options)->Put("a", AsBytes(std::string(64 << 10, 't')));
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(server.Requests().size(), 3u);
}

// --- uploads in parts ---

// S3 as far as uploads in parts go; `act` may answer in its place.
class PartServer {
 public:
  using Act = std::function<std::optional<ServerAction>(const ReceivedRequest& request)>;

  explicit PartServer(Act act = [](const ReceivedRequest&) { return std::nullopt; })
      : act_(std::move(act)), server_([this](const ReceivedRequest& request, int) {
          const std::optional<ServerAction> action = act_(request);
          return action.has_value() ? *action : Usual(request);
        }) {}

  LoopbackServer& server() { return server_; }

 private:
  static ServerAction Usual(const ReceivedRequest& request) {
    if (request.line.find("?uploads") != std::string::npos) {
      return Answer("200 OK",
                    "<InitiateMultipartUploadResult><UploadId>id</UploadId>"
                    "</InitiateMultipartUploadResult>");
    }
    if (request.line.starts_with("PUT")) return Answer("200 OK", "", "ETag: \"part\"\r\n");
    if (request.line.starts_with("DELETE")) return Answer("204 No Content");
    return Answer("200 OK",
                  "<CompleteMultipartUploadResult><ETag>\"all\"</ETag>"
                  "</CompleteMultipartUploadResult>");
  }

  const Act act_;
  LoopbackServer server_;
};

StoreOptions InParts() {
  StoreOptions options = Options();
  options.part_bytes = kPartBytes;
  options.parallel_parts = 3;
  return options;
}

std::string Shard(size_t bytes) {
  std::string shard(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) shard[i] = static_cast<char>(i * 2654435761u >> 13);
  return shard;
}

TEST_F(CloudStoreTest, PartsMakeTheWholeAndCarryChecksums) {
  PartServer parts;
  const std::string shard = Shard(3 * kPartBytes + 1);
  const Status status = Open(parts.server(), InParts())->Put("a b", AsBytes(shard));
  ASSERT_TRUE(status.ok()) << status.message();
  std::vector<std::string> bodies(4);
  for (const ReceivedRequest& request : parts.server().Requests("PUT")) {
    const std::string name = "/bucket/run/a%20b?partNumber=";
    ASSERT_EQ(request.line.find(name), 4u) << request.line;
    const int number = request.line[4 + name.size()] - '0';
    bodies.at(static_cast<size_t>(number - 1)) += request.body;
    EXPECT_THAT(request.head, HasSubstr("x-amz-checksum-crc32c: "));
  }
  EXPECT_TRUE(bodies[0] + bodies[1] + bodies[2] + bodies[3] == shard);
  EXPECT_EQ(parts.server().Requests("POST").size(), 2u);
  EXPECT_EQ(parts.server().Requests("DELETE").size(), 0u);
}

TEST_F(CloudStoreTest, OnePartTroubleIsTriedAgainAlone) {
  int refused = 0;
  PartServer parts([&](const ReceivedRequest& request) -> std::optional<ServerAction> {
    if (request.line.find("partNumber=2") == std::string::npos || refused++ > 1)
      return std::nullopt;
    return refused == 1 ? Answer("503 Slow Down") : Gone();
  });
  EXPECT_TRUE(Open(parts.server(), InParts())->Put("a", AsBytes(Shard(3 * kPartBytes))).ok());
  EXPECT_EQ(parts.server().Requests("PUT").size(), 5u);
}

TEST_F(CloudStoreTest, AnUploadThatFailsIsAborted) {
  PartServer parts([](const ReceivedRequest& request) -> std::optional<ServerAction> {
    if (request.line.find("partNumber=2") == std::string::npos) return std::nullopt;
    return Answer("403 Forbidden");
  });
  EXPECT_EQ(Open(parts.server(), InParts())->Put("a", AsBytes(Shard(6 * kPartBytes))).code(),
            Code::kPermissionDenied);
  const std::vector<ReceivedRequest> aborts = parts.server().Requests("DELETE");
  ASSERT_EQ(aborts.size(), 1u);
  EXPECT_EQ(Line(aborts[0]), "DELETE /bucket/run/a?uploadId=id");
}

TEST_F(CloudStoreTest, ALostAnswerToTheCompletionMeansOnceMore) {
  int completions = 0;
  PartServer parts([&](const ReceivedRequest& request) -> std::optional<ServerAction> {
    if (!request.line.starts_with("POST /bucket/run/a?uploadId")) return std::nullopt;
    ++completions;
    if (completions == 1) return Gone();
    if (completions > 2) return std::nullopt;
    return Answer("404 Not Found", "<Error><Code>NoSuchUpload</Code></Error>");
  });
  const Status status = Open(parts.server(), InParts())->Put("a", AsBytes(Shard(2 * kPartBytes)));
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(completions, 3);
  EXPECT_EQ(parts.server().Requests("PUT").size(), 4u);
}

TEST_F(CloudStoreTest, AnUploadIsBegunAgainTwiceAtMost) {
  LoopbackServer server([](const ReceivedRequest&, int number) {
    if (number >= 20) return Answer("200 OK");  // ends what would go on for ever
    return Answer(number % 2 == 0 ? "503 Slow Down" : "404 Not Found");
  });
  EXPECT_EQ(Open(server)->Put("a", AsBytes("text")).code(), Code::kInvalidArgument);
  EXPECT_EQ(server.Requests().size(), 6u);
}

// --- reading ---

TEST_F(CloudStoreTest, LongRangesAreReadInPieces) {
  const std::string object = Shard(20 << 20);
  LoopbackServer server([&](const ReceivedRequest& request, int) {
    const size_t at = request.head.find("range: bytes=") + 13;
    const size_t first = std::stoul(request.head.substr(at));
    const size_t last = std::stoul(request.head.substr(request.head.find('-', at) + 1));
    return Answer("206 Partial Content", object.substr(first, last - first + 1),
                  fmt::format("Content-Range: bytes {}-{}/{}\r\n", first, last, object.size()));
  });
  std::string out(object.size() - 5, '?');
  const Status status =
      Open(server)->GetRange("a", 5, std::as_writable_bytes(std::span(out.data(), out.size())));
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(out == object.substr(5));
  EXPECT_EQ(server.Requests().size(), 3u);
}

TEST_F(CloudStoreTest, AServerThatSendsTooMuchIsNotBelieved) {
  LoopbackServer server(
      [](const ReceivedRequest&, int) { return Answer("206 Partial Content", "0123456789"); });
  std::byte out[4];
  EXPECT_EQ(Open(server)->GetRange("a", 0, out).code(), Code::kDataLoss);
}

// The answer of the metadata server is longer than the range.
TEST_F(CloudStoreTest, ASmallRangeMayNeedATokenFirst) {
  LoopbackServer server([](const ReceivedRequest& request, int) {
    if (request.line.starts_with("GET /computeMetadata/")) {
      return Answer("200 OK",
                    R"({"access_token": "t0ken", "expires_in": 3599, "token_type": "Bearer"})");
    }
    return Answer("206 Partial Content", "2345", "Content-Range: bytes 2-5/10\r\n");
  });
  const TemporaryFolder home;  // without credentials
  const ScopedVariable home_variable("HOME", home.path());
  const ScopedVariable key_file("GOOGLE_APPLICATION_CREDENTIALS", "");
  const ScopedVariable metadata("GCE_METADATA_HOST", server.url().substr(7));
  StoreOptions options = Options();
  options.anonymous = false;
  std::string out(4, '?');
  const Status status =
      Open(server, options, "gs://bucket")
          ->GetRange("a", 2, std::as_writable_bytes(std::span(out.data(), out.size())));
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(out, "2345");
  ASSERT_EQ(server.Requests().size(), 2u);
  EXPECT_THAT(server.Requests()[1].head, HasSubstr("authorization: Bearer t0ken"));
}

TEST_F(CloudStoreTest, StatTellsTheChecksumsThatStoresCompute) {
  LoopbackServer gcs([](const ReceivedRequest&, int) {
    return Answer("200 OK",
                  R"({"size": "3", "updated": "2026-01-02T03:04:05.678Z", "crc32c": "NksumA==",)"
                  R"( "md5Hash": "kAFQmDzST7DWlj99KOF/cg==", "etag": "x"})");
  });
  const Result<ObjectInfo> object = Open(gcs, Options(), "gs://bucket")->Stat("a");
  ASSERT_TRUE(object.ok()) << object.status().message();
  EXPECT_EQ(object->bytes, 3);
  EXPECT_EQ(object->modified_ms, 1767323045678);
  EXPECT_EQ(object->checksum, "crc32c:364b2e98");
  LoopbackServer azure([](const ReceivedRequest&, int) {
    return Answer("200 OK", "",
                  "Content-MD5: kAFQmDzST7DWlj99KOF/cg==\r\n"
                  "Last-Modified: Fri, 02 Jan 2026 03:04:05 GMT\r\n");
  });
  EXPECT_EQ(Open(azure, Options(), "az://container")->Stat("a")->checksum,
            "md5:900150983cd24fb0d6963f7d28e17f72");
}

TEST_F(CloudStoreTest, MinioIsNeverAskedToStartInTheMiddle) {
  const std::string page =
      "<ListBucketResult><IsTruncated>false</IsTruncated>"
      "<Contents><Key>run/a</Key><Size>1</Size><LastModified>2026-01-02T03:04:05.678Z"
      "</LastModified></Contents>"
      "<Contents><Key>run/b</Key><Size>2</Size><LastModified>2026-01-02T03:04:05.678Z"
      "</LastModified></Contents></ListBucketResult>";
  LoopbackServer server([&](const ReceivedRequest& request, int) {
    const bool wrong = request.line.find("start-after") != std::string::npos;
    return Answer("200 OK", wrong ? "<ListBucketResult></ListBucketResult>" : page,
                  "Server: MinIO\r\n");
  });
  const std::unique_ptr<Store> store = Open(server);
  const Result<ListPage> listed = store->List("", "a", 5);
  ASSERT_TRUE(listed.ok()) << listed.status().message();
  ASSERT_EQ(listed->objects.size(), 1u);
  EXPECT_EQ(listed->objects[0].key, "b");
  EXPECT_EQ(listed->objects[0].modified_ms, 1767323045000);  // whole seconds, as a stat tells
  EXPECT_FALSE(listed->more);
  EXPECT_EQ(server.Requests().size(), 2u);
  ASSERT_TRUE(store->List("", "a", 5).ok());
  EXPECT_EQ(server.Requests().size(), 3u);
  // Goes on where it stopped, without another request.
  EXPECT_TRUE(store->List("", "", 1)->more);
  EXPECT_EQ(store->List("", "a", 1)->objects[0].key, "b");
  EXPECT_EQ(server.Requests().size(), 4u);
}

// --- secrets ---

TEST_F(CloudStoreTest, NoSecretInRequestsOrErrors) {
  LoopbackServer server([](const ReceivedRequest&, int) {
    return Answer("403 Forbidden",
                  "<Error><Code>SignatureDoesNotMatch</Code><Message>sig=s3cr3t</Message>"
                  "<StringToSign>s3cr3t</StringToSign></Error>");
  });
  const Status status = Open(server)->Put("a", AsBytes("text"));
  EXPECT_THAT(status.message(), HasSubstr("SignatureDoesNotMatch"));
  EXPECT_THAT(status.message(), Not(HasSubstr("s3cr3t")));
  EXPECT_THAT(server.Requests()[0].head, Not(HasSubstr("authorization")));
}

}  // namespace
}  // namespace thresher
