#include "base/http_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/loopback_server_for_test.h"
#include "base/rust_threads_for_test.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class HttpRequestTest : public RustThreadsTest {};

TEST_F(HttpRequestTest, MethodHeadersStatusAndBody) {
  LoopbackServer server([](const ReceivedRequest&, int) { return Answer("404 Nope", "who?"); });
  const Result<HttpResponse> response =
      SendHttpRequest({.method = "PUT",
                       .url = server.url() + "/latest/api/token?a=b",
                       .headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "60"}}});
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body, "who?");
  ASSERT_EQ(server.Requests().size(), 1u);
  EXPECT_EQ(server.Requests()[0].line, "PUT /latest/api/token?a=b HTTP/1.1");
  EXPECT_THAT(server.Requests()[0].head, HasSubstr("x-aws-ec2-metadata-token-ttl-seconds: 60"));
}

TEST_F(HttpRequestTest, HeadersOfTheAnswer) {
  LoopbackServer server([](const ReceivedRequest&, int) {
    return Answer("200 OK", "\nx: y\n\nz", "X-Two: a: b\r\nx-two: c\r\nEmpty:\r\n");
  });
  const Result<HttpResponse> response = SendHttpRequest({.url = server.url()});
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->Header("x-two"), "a: b");
  EXPECT_EQ(response->Header("empty"), "");
  EXPECT_EQ(response->Header("none"), "");
  EXPECT_EQ(response->Header("content-length"), "8");
  EXPECT_EQ(response->body, "\nx: y\n\nz");
}

TEST_F(HttpRequestTest, MessagesHoldNoSecrets) {
  std::string gone;
  {
    const LoopbackServer closed([](const ReceivedRequest&, int) { return Answer("200 OK"); });
    gone = closed.url().substr(7);
  }
  const Status status =
      SendHttpRequest({.url = "http://me:hush@" + gone + "/a?signature=hush"}).status();
  EXPECT_THAT(status.message(), AllOf(HasSubstr("/a"), Not(HasSubstr("hush"))));
}

TEST_F(HttpRequestTest, PartsOfUrls) {
  const Result<UrlParts> parts = SplitHttpUrl("HTTPS://u:p@Example.COM:443/a?b@c");
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(parts->Origin(), "https://example.com");
  EXPECT_EQ(parts->target, "/a?b@c");
  EXPECT_EQ(SplitHttpUrl("http://h:443")->Origin(), "http://h:443");
  EXPECT_EQ(SplitHttpUrl("http://h:80?x")->target, "?x");
  for (const char* wrong : {"", "h/a", "ftp://h/", "http://", "http:///a", "http://u@/"}) {
    EXPECT_FALSE(SplitHttpUrl(wrong).ok()) << wrong;
  }
}

TEST_F(HttpRequestTest, LocationsAreResolved) {
  const UrlParts base = *SplitHttpUrl("https://h/a/b?c/d");
  EXPECT_EQ(*ResolveHttpUrl(base, "http://g/x?y"), "http://g/x?y");
  EXPECT_EQ(*ResolveHttpUrl(base, "//g/x"), "https://g/x");
  EXPECT_EQ(*ResolveHttpUrl(base, "/x:y"), "https://h/x:y");
  EXPECT_EQ(*ResolveHttpUrl(base, "x"), "https://h/a/x");
  EXPECT_EQ(*ResolveHttpUrl(*SplitHttpUrl("http://h"), "x"), "http://h/x");
  EXPECT_FALSE(ResolveHttpUrl(base, "file:///etc/passwd").ok());
}

TEST_F(HttpRequestTest, PercentEncoding) {
  EXPECT_EQ(PercentEncoded("a b/c~\xc3\xa9"), "a%20b%2Fc~%C3%A9");
  EXPECT_EQ(PercentEncoded("a b/c", "/"), "a%20b/c");
}

TEST_F(HttpRequestTest, RedirectsAreAnswersToo) {
  LoopbackServer server([&](const ReceivedRequest&, int) {
    return Answer("302 Found", "", "Location: http://127.0.0.1:1/\r\n");
  });
  EXPECT_EQ(SendHttpRequest({.url = server.url()})->status, 302);
}

TEST_F(HttpRequestTest, NobodyAnswers) {
  LoopbackServer silent(
      [](const ReceivedRequest&, int) { return ServerAction{.send = "", .stall_after = true}; });
  EXPECT_EQ(SendHttpRequest({.url = silent.url(), .timeout_ms = 50}).status().code(),
            Code::kUnavailable);
  LoopbackServer half([](const ReceivedRequest&, int) {
    return ServerAction{.send = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                        .stall_after = true};
  });
  EXPECT_EQ(SendHttpRequest({.url = half.url(), .timeout_ms = 50}).status().code(),
            Code::kUnavailable);
  std::string gone;
  {
    const LoopbackServer closed([](const ReceivedRequest&, int) { return Answer("200 OK"); });
    gone = closed.url();
  }
  EXPECT_EQ(SendHttpRequest({.url = gone}).status().code(), Code::kUnavailable);
}

TEST_F(HttpRequestTest, LongAnswersAreRefused) {
  LoopbackServer server([](const ReceivedRequest&, int number) {
    return Answer("200 OK", std::string(static_cast<size_t>(kMaxHttpBodyBytes) + number, 'x'));
  });
  EXPECT_EQ(SendHttpRequest({.url = server.url()})->body.size(),
            static_cast<size_t>(kMaxHttpBodyBytes));
  EXPECT_EQ(SendHttpRequest({.url = server.url()}).status().code(), Code::kDataLoss);
}

TEST_F(HttpRequestTest, WhatCannotBeSent) {
  for (const HttpRequest& request : {
           HttpRequest{.url = "no URL"},
           HttpRequest{.method = "G ET", .url = "http://127.0.0.1/"},
           HttpRequest{.url = "http://127.0.0.1/\nx"},
           HttpRequest{.url = "http://127.0.0.1/", .headers = {{"a b", "c"}}},
           HttpRequest{.url = "http://127.0.0.1/", .headers = {{"a", "b\nc: d"}}},
       }) {
    EXPECT_EQ(SendHttpRequest(request).status().code(), Code::kInvalidArgument) << request.url;
  }
}

}  // namespace
}  // namespace thresher
