#ifndef THRESHER_BASE_LOOPBACK_SERVER_FOR_TEST_H_
#define THRESHER_BASE_LOOPBACK_SERVER_FOR_TEST_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"

namespace thresher {

// What a LoopbackServer received: "PUT /bucket/key?x HTTP/1.1", all headers as they came, the body.
struct ReceivedRequest {
  std::string line;
  std::string head;
  std::string body;
};

// What it does then.
struct ServerAction {
  std::string send;          // these bytes, "HTTP/1.1 200 OK\r\n..."
  bool stall_after = false;  // and never anything more; else the connection is closed
  bool read_body = true;     // false: answers (or stalls) having read the head alone
};

// A complete answer.
inline ServerAction Answer(const std::string& status, const std::string& body = "",
                           const std::string& headers = "") {
  return {.send = "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers +
                  "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body};
}

// A server on a loopback port of its own with one thread for each connection and one request on
// each. `act` is called from all of them, one at a time, with the request and its number from 0.
class LoopbackServer {
 public:
  using Act = std::function<ServerAction(const ReceivedRequest& request, int number)>;

  explicit LoopbackServer(Act act) : act_(std::move(act)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    THRESHER_CHECK(listener_ >= 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    THRESHER_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    THRESHER_CHECK(listen(listener_, 64) == 0);
    THRESHER_CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;
  ~LoopbackServer() {
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (const int connection : connections_) shutdown(connection, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    for (const int connection : connections_) close(connection);
    close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // The requests so far whose line begins with `start`, "" for all.
  std::vector<ReceivedRequest> Requests(const std::string& start = "") {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<ReceivedRequest> found;
    for (const ReceivedRequest& request : requests_) {
      if (request.line.starts_with(start)) found.push_back(request);
    }
    return found;
  }

 private:
  void Accept() {
    while (true) {
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      const std::lock_guard<std::mutex> lock(mutex_);
      connections_.push_back(connection);
      threads_.emplace_back([this, connection] { Serve(connection); });
    }
  }

  void Serve(int connection) {
    std::string received;
    const auto read_until = [&](auto enough) {
      char buffer[1 << 16];
      while (!enough()) {
        const ssize_t bytes = recv(connection, buffer, sizeof(buffer), 0);
        if (bytes <= 0) return false;
        received.append(buffer, static_cast<size_t>(bytes));
      }
      return true;
    };
    if (!read_until([&] { return received.find("\r\n\r\n") != std::string::npos; })) return;
    const size_t head_end = received.find("\r\n\r\n") + 4;
    ReceivedRequest request;
    request.line = received.substr(0, received.find("\r\n"));
    request.head = received.substr(0, head_end);
    ServerAction action;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      action = act_(request, static_cast<int>(requests_.size()));
      requests_.push_back(request);
    }
    if (action.read_body) {
      const size_t body_bytes = BodyBytes(request.head);
      if (!read_until([&] { return received.size() >= head_end + body_bytes; })) return;
      const std::lock_guard<std::mutex> lock(mutex_);
      for (ReceivedRequest& known : requests_) {
        if (known.head == request.head) known.body = received.substr(head_end);
      }
    }
    size_t sent = 0;
    while (sent < action.send.size()) {
      const ssize_t bytes =
          send(connection, action.send.data() + sent, action.send.size() - sent, MSG_NOSIGNAL);
      if (bytes <= 0) return;
      sent += static_cast<size_t>(bytes);
    }
    if (!action.stall_after) shutdown(connection, SHUT_RDWR);
  }

  static size_t BodyBytes(const std::string& head) {
    std::string folded = head;
    for (char& c : folded) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const std::string name = "\r\ncontent-length:";
    const size_t at = folded.find(name);
    return at == std::string::npos ? 0 : std::stoul(folded.substr(at + name.size()));
  }

  const Act act_;
  int listener_ = -1;
  int port_ = 0;
  std::thread acceptor_;
  std::mutex mutex_;
  std::vector<ReceivedRequest> requests_;
  std::vector<int> connections_;
  std::vector<std::thread> threads_;
};

}  // namespace thresher

#endif  // THRESHER_BASE_LOOPBACK_SERVER_FOR_TEST_H_
