#include "hub/hub_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "hub/blob_download.h"
#include "hub/file_lock.h"
#include "hub/remote_file.h"

namespace thresher {
namespace {

// How long to try again where the cache has an answer too.
constexpr int64_t kShortBudgetMs = 5'000;

}  // namespace

HubSession::HubSession(const HubSettings& settings, const HubCallbacks& callbacks,
                       const HubClient& client, const HubAddress& address)
    : settings_(settings),
      callbacks_(callbacks),
      client_(client),
      address_(address),
      cache_(settings.cache_folder, address) {
  THRESHER_CHECK(IsSafePath(address.revision));
  if (settings.offline) no_hub_ = "HF_HUB_OFFLINE is set";
}

Result<std::string> HubSession::ResolveCommit() {
  if (IsCommitHash(address_.revision)) return address_.revision;
  const std::optional<std::string> known = cache_.ReadRef(address_.revision);
  if (!no_hub_.empty()) {
    if (known.has_value()) return *known;
    return NotFound(fmt::format("{}: {}, and {} does not have it: fetch it once with the network",
                                address_.Text(), no_hub_, settings_.cache_folder));
  }
  Result<std::string> commit =
      AskForCommit(client_, address_, known.has_value() ? kShortBudgetMs : 0);
  if (commit.ok()) {
    BestEffort(cache_.WriteRef(address_.revision, *commit));
    return commit;
  }
  if (!known.has_value() || commit.status().code() != Code::kUnavailable) {
    return commit.status().code() == Code::kUnavailable
               ? commit.status().WithContext(address_.Text())
               : commit.status();
  }
  no_hub_ = "the hub cannot be reached (" + commit.status().message() + ")";
  no_hub_code_ = Code::kUnavailable;
  Warn(fmt::format("{}: {}; using commit {}, which it was last", address_.Text(), no_hub_, *known));
  return *known;
}

Status HubSession::Open() {
  ASSIGN_OR_RETURN(commit_, ResolveCommit());
  tree_ = cache_.ReadTree(commit_);
  if (!tree_.has_value()) {
    if (!no_hub_.empty()) return OpenFromCache();
    const bool has_some = !cache_.SnapshotFiles(commit_).empty();
    Result<HubTree> tree = AskForTree(client_, address_, commit_, has_some ? kShortBudgetMs : 0);
    if (!tree.ok() && tree.status().code() == Code::kUnavailable && has_some) {
      no_hub_ = "the hub cannot be reached (" + tree.status().message() + ")";
      no_hub_code_ = Code::kUnavailable;
      return OpenFromCache();
    }
    if (!tree.ok()) return tree.status();
    tree_ = *std::move(tree);
    BestEffort(cache_.WriteTree(commit_, *tree_));
  }
  for (const auto& [path, file] : *tree_) paths_.push_back(path);
  return OkStatus();
}

Status HubSession::OpenFromCache() {
  paths_ = cache_.SnapshotFiles(commit_);
  if (paths_.empty()) {
    return Status(no_hub_code_,
                  fmt::format("{}: {}, and {} has no file of commit {}: fetch it once "
                              "with the network",
                              address_.Text(), no_hub_, settings_.cache_folder, commit_));
  }
  Warn(fmt::format("{}: {}; taking the {} files of commit {} in {} for all that it has",
                   address_.Text(), no_hub_, paths_.size(), commit_, settings_.cache_folder));
  return OkStatus();
}

bool HubSession::Has(const std::string& path) const {
  return std::binary_search(paths_.begin(), paths_.end(), path);
}

bool HubSession::IsPresent(const std::string& path) const {
  const std::optional<int64_t> bytes = FileBytes(PathOf(path));
  return bytes.has_value() && (!tree_.has_value() || *bytes == tree_->at(path).bytes);
}

Status HubSession::Fetch(const std::vector<std::string>& paths) {
  std::vector<std::string> missing;
  for (const std::string& path : paths) {
    if (!IsPresent(path)) missing.push_back(path);
  }
  if (missing.empty()) return OkStatus();
  if (!no_hub_.empty()) {
    return Status(
        no_hub_code_,
        fmt::format("{}: {}, and {} lacks {} of {} files, such as {}: fetch them once with "
                    "the network",
                    address_.Text(), no_hub_, settings_.cache_folder, missing.size(), paths.size(),
                    missing.front()));
  }
  RETURN_IF_ERROR(cache_.MakeFolders());
  return FetchAll(missing);
}

Status HubSession::FetchAll(const std::vector<std::string>& missing) {
  progress_ = {};
  for (const std::string& path : missing) progress_.bytes_total += tree_->at(path).bytes;
  const auto thread_count =
      std::min(settings_.parallel_pieces, static_cast<int64_t>(missing.size()));
  const int64_t pieces_for_each = settings_.parallel_pieces / thread_count;
  std::mutex mutex;
  size_t next = 0;
  Status status;
  const auto work = [&] {
    while (true) {
      size_t index = 0;
      {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!status.ok() || next == missing.size()) return;
        index = next++;
      }
      const Status outcome = FetchOne(missing[index], pieces_for_each);
      const std::lock_guard<std::mutex> lock(mutex);
      if (status.ok()) status = outcome;
    }
  };
  std::vector<std::thread> threads;
  for (int64_t index = 1; index < thread_count; ++index) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return status;
}

Status HubSession::FetchOne(const std::string& path, int64_t parallel_pieces) {
  const HubFile& file = tree_->at(path);
  const std::string name = path + " of " + address_.Text();
  ASSIGN_OR_RETURN(const FileLock lock, FileLock::Acquire(cache_.LockPath(file.hash()), [&] {
                     Warn(name + " is being fetched by somebody else: waiting");
                   }));
  const std::string blob = cache_.BlobPath(file.hash());
  const std::optional<int64_t> bytes = FileBytes(blob);
  if (bytes == file.bytes) {
    Advance(path, file.bytes);
    return cache_.Link(commit_, path, file.hash());
  }
  if (bytes.has_value()) {
    Warn(fmt::format("{} has {} bytes in the cache, and the hub lists {}: fetching it again", name,
                     *bytes, file.bytes));
  }
  (void)unlink(blob.c_str());  // damaged, or a link to nothing
  RemoteFile remote(client_, address_, commit_, path, file.bytes);
  const BlobDownload download = {.name = name,
                                 .file = file,
                                 .incomplete_path = cache_.IncompletePath(file.hash()),
                                 .path = blob,
                                 .piece_bytes = settings_.piece_bytes,
                                 .parallel_pieces = parallel_pieces};
  RETURN_IF_ERROR(DownloadBlob(
      download, {.fetch = [&](int64_t first, int64_t count) { return remote.Fetch(first, count); },
                 .on_bytes = [&](int64_t count) { Advance(path, count); },
                 .on_warning = [&](const std::string& message) { Warn(message); }}));
  return cache_.Link(commit_, path, file.hash());
}

void HubSession::NoteAbsent(const std::string& path) {
  if (tree_.has_value()) BestEffort(cache_.MarkAbsent(commit_, path));
}

void HubSession::Advance(const std::string& path, int64_t byte_count) {
  const std::lock_guard<std::mutex> lock(callback_mutex_);
  progress_.file = path;
  progress_.bytes_done += byte_count;
  if (callbacks_.on_progress) callbacks_.on_progress(progress_);
}

void HubSession::Warn(const std::string& message) {
  const std::lock_guard<std::mutex> lock(callback_mutex_);
  if (callbacks_.on_warning) callbacks_.on_warning(message);
}

void HubSession::BestEffort(const Status& status) {
  if (!status.ok()) Warn("the hub's cache cannot be written: " + status.message());
}

}  // namespace thresher
