#ifndef THRESHER_WEB_HTTP_SERVER_H_
#define THRESHER_WEB_HTTP_SERVER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace thresher {

// A small HTTP server for people and scrapers who watch the program: GET and HEAD only, no TLS.

struct WebRequest {
  std::string path;                          // "/api/run", decoded
  std::map<std::string, std::string> query;  // decoded; of a repeated name the first
};

// More of an event stream: called again and again on the connection's own thread, may block.
// Appends to `text` what is to be sent next, which may be nothing; false ends the stream. Has to
// come back every second or so: between calls the server looks whether it is to stop and the client
// is gone.
using WebStream = std::function<bool(std::string& text)>;

struct WebAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};  // name, value
  WebStream stream = {};                                          // instead of a body
};

struct ListenAddress {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any that is free

  // 127.x.x.x, ::1 and localhost: nobody on another machine gets there.
  bool IsLoopback() const;
};

// "127.0.0.1:8787", "[::1]:8787", "8787" (loopback), ":8787" (every address of the machine).
// kInvalidArgument for anything else.
Result<ListenAddress> ParseListenAddress(std::string_view text);

// True if both are equal; takes the same time wherever they differ. For secrets.
bool EqualInConstantTime(std::string_view a, std::string_view b);

// Listens from Start until it is destroyed. The handler is called on several threads at once.
//
// Whoever may ask: with a token, those who send it as "Authorization: Bearer TOKEN", as the query
// parameter "token", or as the cookie that the answer to such a query sets; others get 401. Without
// a token, requests to a loopback address whose "Host" header names a loopback host too: a page of
// another site can then not reach the server under a name of its own (DNS rebinding). Every answer
// forbids framing, sniffing and sending the address on.
class HttpServer {
 public:
  struct Options {
    ListenAddress address;
    std::string token = {};  // empty: none; then the address must be a loopback address
    int threads = 32;        // requests at the same time, open streams included
  };
  using Handler = std::function<WebAnswer(const WebRequest& request)>;

  // kInvalidArgument without a token for an address that is not a loopback address; kUnavailable if
  // the address cannot be listened at.
  static Result<std::unique_ptr<HttpServer>> Start(Options options, Handler handler);

  virtual ~HttpServer() = default;

  virtual int port() const = 0;

  // "http://127.0.0.1:8787", without the token. Of a server that listens at every address of the
  // machine: with the machine's name.
  virtual std::string url() const = 0;
};

}  // namespace thresher

#endif  // THRESHER_WEB_HTTP_SERVER_H_
