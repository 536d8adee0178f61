#ifndef THRESHER_HUB_FAKE_HUB_FOR_TEST_H_
#define THRESHER_HUB_FAKE_HUB_FOR_TEST_H_

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/loopback_server_for_test.h"
#include "hub/hub_settings.h"

namespace thresher {

inline std::string HexDigestForTest(Digest::Kind kind, const std::string& bytes) {
  Digest digest(kind);
  digest.Update(std::as_bytes(std::span(bytes)));
  return digest.FinishHex();
}

inline std::string Sha256ForTest(const std::string& bytes) {
  return HexDigestForTest(Digest::Kind::kSha256, bytes);
}

inline std::string GitHashForTest(const std::string& bytes) {
  const std::string head = "blob " + std::to_string(bytes.size()) + '\0';
  return HexDigestForTest(Digest::Kind::kSha1, head + bytes);
}

// Time that passes only by sleeping.
class SleepingClock : public Clock {
 public:
  int64_t MonotonicUs() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return now_ms_ * 1000;
  }
  int64_t UnixMs() const override { return MonotonicUs() / 1000; }
  void SleepMs(int64_t duration_ms) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    now_ms_ += duration_ms;
  }

 private:
  mutable std::mutex mutex_;
  int64_t now_ms_ = 0;
};

// A hub with one repository on one server, and the server that its large files come from: what a
// client sees of huggingface.co. Set it up before the first request.
class FakeHub {
 public:
  using Interfere =
      std::function<std::optional<ServerAction>(const ReceivedRequest& request, int number)>;

  struct File {
    std::string bytes;
    bool is_large = false;  // lies on the second server, under its SHA-256
  };

  std::string kind = "models";  // or "datasets"
  std::string repository = "owner/name";
  std::string commit = std::string(40, 'a');
  std::map<std::string, File> files;
  size_t page_entries = 1000;
  std::string needs_token;  // everything is gated without it
  bool knows_ranges = true;
  Interfere on_hub;   // an answer in place of the right one, or nothing
  Interfere on_data;  // the same for the second server

  HubSettings Settings(const std::string& cache_folder) const {
    HubSettings settings;
    settings.endpoint = hub_.url();
    settings.cache_folder = cache_folder;
    settings.piece_bytes = 64 << 10;
    return settings;
  }

  std::string url() const { return hub_.url(); }
  std::vector<ReceivedRequest> HubRequests(const std::string& start = "") {
    return hub_.Requests(start);
  }
  std::vector<ReceivedRequest> DataRequests() { return data_.Requests(); }
  size_t RequestCount() { return HubRequests().size() + DataRequests().size(); }

 private:
  static std::string Error(const std::string& code) {
    return "X-Error-Code: " + code + "\r\nX-Error-Message: no " + code + "\r\n";
  }

  static std::string TargetOf(const ReceivedRequest& request) {
    const size_t start = request.line.find(' ') + 1;
    return request.line.substr(start, request.line.rfind(' ') - start);
  }

  // A whole file, or the range of it that is asked for.
  ServerAction Bytes(const ReceivedRequest& request, const std::string& bytes) const {
    const size_t at = request.head.find("bytes=");
    if (at == std::string::npos || !knows_ranges) return Answer("200 OK", bytes);
    const size_t first = std::stoull(request.head.substr(at + 6));
    const size_t last = std::stoull(request.head.substr(request.head.find('-', at) + 1));
    if (first >= bytes.size()) return Answer("416 Range Not Satisfiable");
    const std::string part = bytes.substr(first, last - first + 1);
    return Answer("206 Partial Content", part,
                  fmt::format("Content-Range: bytes {}-{}/{}\r\n", first, first + part.size() - 1,
                              bytes.size()));
  }

  ServerAction OnHub(const ReceivedRequest& request, int number) const {
    if (on_hub) {
      if (auto action = on_hub(request, number)) return *action;
    }
    if (!needs_token.empty() &&
        request.head.find("Bearer " + needs_token + "\r\n") == std::string::npos) {
      return Answer("401 Unauthorized", "", Error("GatedRepo"));
    }
    const std::string target = TargetOf(request);
    const std::string api = "/api/" + kind + "/" + repository;
    const std::string resolve =
        (kind == "models" ? "/" : "/" + kind + "/") + repository + "/resolve/" + commit + "/";
    if (target == api + "/revision/main" || target == api + "/revision/refs%2Fconvert%2Fparquet") {
      return Answer("200 OK", nlohmann::json{{"sha", commit}, {"siblings", {}}}.dump());
    }
    if (target.starts_with(api + "/revision/")) {
      return Answer("404 Not Found", "", Error("RevisionNotFound"));
    }
    if (target.starts_with(api + "/tree/" + commit)) return TreePage(api, target);
    if (!target.starts_with(resolve)) {
      return Answer("401 Unauthorized", "{}", Error("RepoNotFound"));
    }
    const auto found = files.find(target.substr(resolve.size()));
    if (found == files.end()) return Answer("404 Not Found", "", Error("EntryNotFound"));
    if (!found->second.is_large) return Bytes(request, found->second.bytes);
    return Answer("302 Found", "moved",
                  "Location: " + data_.url() + "/" + Sha256ForTest(found->second.bytes) +
                      "?signature=secret\r\nX-Repo-Commit: " + commit + "\r\n");
  }

  ServerAction TreePage(const std::string& api, const std::string& target) const {
    size_t first = 0;
    if (const size_t at = target.find("cursor="); at != std::string::npos) {
      first = std::stoull(target.substr(at + 7));
    }
    nlohmann::json page = {{{"type", "directory"}, {"path", "x"}, {"oid", ""}, {"size", 0}}};
    size_t index = 0;
    for (const auto& [path, file] : files) {
      if (index >= first && index < first + page_entries) {
        nlohmann::json entry = {{"type", "file"}, {"path", path}, {"size", file.bytes.size()}};
        entry["oid"] = GitHashForTest(file.is_large ? "pointer of " + path : file.bytes);
        if (file.is_large) {
          entry["lfs"] = {{"oid", Sha256ForTest(file.bytes)},
                          {"size", file.bytes.size()},
                          {"pointerSize", 130}};
          entry["xetHash"] = Sha256ForTest("xet" + file.bytes);
        }
        page.push_back(entry);
      }
      ++index;
    }
    const std::string next = first + page_entries >= files.size()
                                 ? ""
                                 : fmt::format("Link: <{}{}/tree/{}?cursor={}>; rel=\"next\"\r\n",
                                               hub_.url(), api, commit, first + page_entries);
    return Answer("200 OK", page.dump(), next);
  }

  ServerAction OnData(const ReceivedRequest& request, int number) const {
    if (on_data) {
      if (auto action = on_data(request, number)) return *action;
    }
    const std::string target = TargetOf(request);
    for (const auto& [path, file] : files) {
      if (target == "/" + Sha256ForTest(file.bytes) + "?signature=secret") {
        return Bytes(request, file.bytes);
      }
    }
    return Answer("403 Forbidden", "who?");
  }

  // Last, so that they end first. The second server is made first: the hub names its address.
  LoopbackServer data_{[this](const ReceivedRequest& r, int n) { return OnData(r, n); }};
  LoopbackServer hub_{[this](const ReceivedRequest& r, int n) { return OnHub(r, n); }};
};

}  // namespace thresher

#endif  // THRESHER_HUB_FAKE_HUB_FOR_TEST_H_
