#include "web/http_server.h"

#include <httplib.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstring>
#include <optional>
#include <thread>

#include "base/clock.h"

namespace thresher {
namespace {

constexpr const char* kTokenCookie = "thresher_token";
constexpr size_t kMaxHostBytes = 255;

bool IsLoopbackHost(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

// "example.org:80" -> "example.org", "[::1]:80" -> "[::1]".
std::string_view HostOf(std::string_view host_and_port) {
  if (host_and_port.starts_with('[')) {
    return host_and_port.substr(0, host_and_port.find(']') + 1);
  }
  return host_and_port.substr(0, host_and_port.find(':'));
}

// The value of a cookie in a "Cookie" header, "" if it is not there.
std::string_view CookieIn(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const size_t end = std::min(header.find(';'), header.size());
    std::string_view pair = header.substr(0, end);
    header.remove_prefix(std::min(end + 1, header.size()));
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
      return pair.substr(name.size() + 1);
    }
  }
  return "";
}

class LibraryServer : public HttpServer {
 public:
  LibraryServer(Options options, Handler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {}

  ~LibraryServer() override {
    stopping_ = true;
    server_.stop();
    if (listener_.joinable()) listener_.join();
  }

  Status Listen();
  int port() const override { return port_; }
  std::string url() const override;

 private:
  void Answer(const httplib::Request& request, httplib::Response& response);
  std::optional<WebAnswer> Refusal(const httplib::Request& request) const;
  bool HasToken(const httplib::Request& request) const;
  void Send(WebAnswer answer, httplib::Response& response);

  const Options options_;
  const Handler handler_;
  httplib::Server server_;
  std::thread listener_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> has_ended_{false};
  int port_ = 0;
};

std::string LibraryServer::url() const {
  std::string host = options_.address.host;
  if (host == "0.0.0.0" || host == "::") {
    char name[kMaxHostBytes + 1] = {};
    host = gethostname(name, kMaxHostBytes) == 0 ? name : "localhost";
  }
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return "http://" + host + ":" + std::to_string(port_);
}

Status LibraryServer::Listen() {
  server_.new_task_queue = [this] {
    return new httplib::ThreadPool(static_cast<size_t>(options_.threads));
  };
  // One request on each connection: a server that is to stop would have to wait for idle ones.
  server_.set_keep_alive_max_count(1);
  // The library's own choice, SO_REUSEPORT, would let two servers share a port without a word.
  server_.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server_.set_payload_max_length(1);
  server_.set_tcp_nodelay(true);
  server_.set_default_headers({{"X-Content-Type-Options", "nosniff"},
                               {"X-Frame-Options", "DENY"},
                               {"Referrer-Policy", "no-referrer"},
                               {"Cache-Control", "no-store"}});
  // Everything is answered here, before a body would be read.
  server_.set_pre_routing_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        Answer(request, response);
        return httplib::Server::HandlerResponse::Handled;
      });
  const std::string& host = options_.address.host;
  port_ = options_.address.port;
  if (port_ == 0) {
    port_ = server_.bind_to_any_port(host);
  } else if (!server_.bind_to_port(host, port_)) {
    port_ = -1;
  }
  if (port_ <= 0) {
    return Unavailable("cannot listen at " + host + ":" + std::to_string(options_.address.port) +
                       ": " + std::strerror(errno) + "; choose another address with --listen");
  }
  listener_ = std::thread([this] {
    server_.listen_after_bind();
    has_ended_ = true;
  });
  // The library forgets a stop that comes before it runs.
  while (!server_.is_running() && !has_ended_) Clock::Real().SleepMs(1);
  return OkStatus();
}

bool LibraryServer::HasToken(const httplib::Request& request) const {
  const std::string bearer = request.get_header_value("Authorization");
  constexpr std::string_view kScheme = "Bearer ";
  if (bearer.starts_with(kScheme) &&
      EqualInConstantTime(std::string_view(bearer).substr(kScheme.size()), options_.token)) {
    return true;
  }
  if (EqualInConstantTime(request.get_param_value("token"), options_.token)) return true;
  const std::string cookies = request.get_header_value("Cookie");
  return EqualInConstantTime(CookieIn(cookies, kTokenCookie), options_.token);
}

// Nothing if the request may be answered.
std::optional<WebAnswer> LibraryServer::Refusal(const httplib::Request& request) const {
  if (request.method != "GET" && request.method != "HEAD") {
    return WebAnswer{.status = 405,
                     .body = "only GET and HEAD are answered\n",
                     .headers = {{"Allow", "GET, HEAD"}}};
  }
  if (!options_.token.empty()) {
    if (HasToken(request)) return std::nullopt;
    return WebAnswer{.status = 401,
                     .body =
                         "a token is needed: open the address that was printed at the start, or "
                         "send \"Authorization: Bearer TOKEN\"\n",
                     .headers = {{"WWW-Authenticate", "Bearer"}}};
  }
  const std::string host = request.get_header_value("Host");
  if (IsLoopbackHost(HostOf(host))) return std::nullopt;
  return WebAnswer{.status = 403, .body = "this server answers on loopback addresses only\n"};
}

void LibraryServer::Answer(const httplib::Request& request, httplib::Response& response) {
  if (std::optional<WebAnswer> refusal = Refusal(request)) {
    return Send(*std::move(refusal), response);
  }
  if (!options_.token.empty() && request.has_param("token")) {
    response.set_header("Set-Cookie", std::string(kTokenCookie) + "=" + options_.token +
                                          "; HttpOnly; SameSite=Strict; Path=/");
  }
  WebRequest web{.path = request.path, .query = {}};
  for (const auto& [name, value] : request.params) web.query.emplace(name, value);
  Send(handler_(web), response);
}

void LibraryServer::Send(WebAnswer answer, httplib::Response& response) {
  response.status = answer.status;
  for (const auto& [name, value] : answer.headers) response.set_header(name, value);
  if (!answer.stream) return response.set_content(answer.body, answer.content_type.c_str());
  response.set_chunked_content_provider(
      answer.content_type,
      [this, stream = std::move(answer.stream)](size_t, httplib::DataSink& sink) {
        if (stopping_ || !sink.is_writable()) return false;
        std::string text;
        const bool more = stream(text);
        if (!text.empty() && !sink.write(text.data(), text.size())) return false;
        if (!more) sink.done();
        return true;
      });
}

}  // namespace

bool ListenAddress::IsLoopback() const { return IsLoopbackHost(host); }

Result<ListenAddress> ParseListenAddress(std::string_view text) {
  const auto wrong = [&] {
    return InvalidArgument("expected ADDRESS:PORT such as 127.0.0.1:8787, found '" +
                           std::string(text) + "'");
  };
  ListenAddress address;
  std::string_view port = text;
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos) {
    std::string_view host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) {
      host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
      return wrong();
    }
    address.host = host.empty() ? "0.0.0.0" : std::string(host);
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  constexpr int kMaxPort = 65535;
  if (port.empty() || error != std::errc() || end != port.data() + port.size() ||
      address.port < 0 || address.port > kMaxPort || address.host.size() > kMaxHostBytes) {
    return wrong();
  }
  return address;
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  size_t difference = a.size() ^ b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference |= static_cast<size_t>(static_cast<unsigned char>(a[i] ^ other));
  }
  return difference == 0;
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(Options options, Handler handler) {
  if (options.token.empty() && !options.address.IsLoopback()) {
    return InvalidArgument("listening at " + options.address.host +
                           ", which other machines can reach, takes a token");
  }
  auto server = std::make_unique<LibraryServer>(std::move(options), std::move(handler));
  RETURN_IF_ERROR(server->Listen());
  return Result<std::unique_ptr<HttpServer>>(std::move(server));
}

}  // namespace thresher
