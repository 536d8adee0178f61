#include "web/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "base/http_request.h"
#include "base/rust_threads_for_test.h"

namespace thresher {
namespace {

using testing::HasSubstr;

std::unique_ptr<HttpServer> StartServer(HttpServer::Options options, HttpServer::Handler handler) {
  auto server = HttpServer::Start(std::move(options), std::move(handler));
  EXPECT_TRUE(server.ok()) << server.status().message();
  return server.ok() ? *std::move(server) : nullptr;
}

WebAnswer Echo(const WebRequest& request) {
  std::string body = request.path;
  for (const auto& [name, value] : request.query) body += " " + name + "=" + value;
  return {.body = body};
}

class HttpServerTest : public RustThreadsTest {};

HttpResponse Get(const HttpServer& server, const std::string& target,
                 std::vector<std::pair<std::string, std::string>> headers = {},
                 const std::string& method = "GET") {
  const Result<HttpResponse> answer = SendHttpRequest(
      {.method = method, .url = server.url() + target, .headers = std::move(headers)});
  EXPECT_TRUE(answer.ok()) << answer.status().message();
  return answer.ok() ? *answer : HttpResponse();
}

TEST_F(HttpServerTest, AnswersWithWhatTheHandlerSays) {
  const auto server = StartServer({}, Echo);
  const HttpResponse answer = Get(*server, "/a%20b?x=1%202&y=z");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "/a b x=1 2 y=z");
  EXPECT_EQ(answer.Header("x-frame-options"), "DENY");
  EXPECT_EQ(answer.Header("cache-control"), "no-store");
  EXPECT_EQ(Get(*server, "/", {}, "POST").status, 405);
  EXPECT_EQ(Get(*server, "/", {}, "DELETE").status, 405);
}

TEST_F(HttpServerTest, WithATokenNobodyElseIsAnswered) {
  HttpServer::Options options;
  options.token = "secret";
  const auto server = StartServer(options, Echo);
  EXPECT_EQ(Get(*server, "/").status, 401);
  EXPECT_EQ(Get(*server, "/?token=secre").status, 401);
  EXPECT_EQ(Get(*server, "/?token=").status, 401);
  EXPECT_EQ(Get(*server, "/", {{"Authorization", "Bearer secretsecret"}}).status, 401);
  EXPECT_EQ(Get(*server, "/", {{"Authorization", "Bearer secret"}}).status, 200);
  EXPECT_EQ(Get(*server, "/", {{"Cookie", "a=b; thresher_token=secret"}}).status, 200);
  EXPECT_EQ(Get(*server, "/", {{"Cookie", "a=b; xthresher_token=secret"}}).status, 401);
  const HttpResponse first = Get(*server, "/?token=secret");
  EXPECT_EQ(first.status, 200);
  EXPECT_THAT(std::string(first.Header("set-cookie")),
              HasSubstr("thresher_token=secret; HttpOnly; SameSite=Strict"));
}

TEST_F(HttpServerTest, WithoutATokenOnlyLoopbackHostsAreAnswered) {
  const auto server = StartServer({}, Echo);
  EXPECT_EQ(Get(*server, "/", {{"Host", "evil.example:80"}}).status, 403);
  EXPECT_EQ(Get(*server, "/", {{"Host", "localhost"}}).status, 200);
  HttpServer::Options options;
  options.address.host = "0.0.0.0";
  const auto open = HttpServer::Start(options, Echo);
  ASSERT_FALSE(open.ok());
  EXPECT_EQ(open.status().code(), Code::kInvalidArgument);
}

TEST_F(HttpServerTest, AStreamIsSentPieceByPiece) {
  const auto server = StartServer({}, [](const WebRequest&) {
    return WebAnswer{.content_type = "text/event-stream",
                     .stream = [left = 3](std::string& text) mutable {
                       text = "data: " + std::to_string(left) + "\n\n";
                       return --left > 0;
                     }};
  });
  const HttpResponse answer = Get(*server, "/");
  EXPECT_EQ(answer.body, "data: 3\n\ndata: 2\n\ndata: 1\n\n");
  EXPECT_EQ(answer.Header("content-type"), "text/event-stream");
}

TEST_F(HttpServerTest, APortThatIsTakenIsSaid) {
  const auto server = StartServer({}, Echo);
  HttpServer::Options options;
  options.address.port = server->port();
  const auto second = HttpServer::Start(options, Echo);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.status().message(), HasSubstr(std::to_string(server->port())));
}

TEST(ListenAddressTest, TakesHostsAndPorts) {
  EXPECT_EQ(ParseListenAddress("8787")->host, "127.0.0.1");
  EXPECT_EQ(ParseListenAddress("8787")->port, 8787);
  EXPECT_EQ(ParseListenAddress(":8787")->host, "0.0.0.0");
  EXPECT_EQ(ParseListenAddress("[::1]:80")->host, "::1");
  EXPECT_TRUE(ParseListenAddress("[::1]:80")->IsLoopback());
  EXPECT_TRUE(ParseListenAddress("127.0.0.1:0")->IsLoopback());
  EXPECT_FALSE(ParseListenAddress("10.0.0.1:0")->IsLoopback());
  for (const char* bad : {"", "host", "host:", "::1:80", "1:2:3", "h:99999", "h:-1", "h:1x"}) {
    EXPECT_FALSE(ParseListenAddress(bad).ok()) << bad;
  }
}

TEST(EqualInConstantTimeTest, IsEqualityOfTexts) {
  EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
  EXPECT_TRUE(EqualInConstantTime("", ""));
  for (const auto& [a, b] :
       {std::pair{"abc", "abd"}, {"abc", "ab"}, {"ab", "abab"}, {"", "a"}, {"a", ""}}) {
    EXPECT_FALSE(EqualInConstantTime(a, b)) << a << " " << b;
  }
}

}  // namespace
}  // namespace thresher
