#include "base/http_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/loopback_server_for_test.h"
#include "base/rust_threads_for_test.h"

namespace thresher {
namespace {

using testing::HasSubstr;

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
