#include "store/cloud_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/rust_memory.h"
#include "base/scrub.h"
#include "rust/thresher_rust.h"

namespace thresher {
namespace {

constexpr size_t kMaxNameBytes = 1024;

const uint8_t* Data(std::span<const std::byte> bytes) {
  return reinterpret_cast<const uint8_t*>(bytes.data());
}

// What to do about a refusal for lack of rights.
std::string_view RightsHint(Cloud cloud) {
  switch (cloud) {
    case Cloud::kGcs:
      return "the account needs the role Storage Object User (roles/storage.objectUser) on the "
             "bucket";
    case Cloud::kS3:
      return "the account needs s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, "
             "s3:DeleteObject and s3:AbortMultipartUpload on its objects";
    case Cloud::kAzure:
      return "the account needs the role Storage Blob Data Contributor on the container";
  }
  return "";
}

std::string_view CredentialsHint(Cloud cloud) {
  switch (cloud) {
    case Cloud::kGcs:
      return "run \"gcloud auth application-default login\", set GOOGLE_APPLICATION_CREDENTIALS, "
             "or give the machine a service account";
    case Cloud::kS3:
      return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or give the machine "
             "a role";
    case Cloud::kAzure:
      return "set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, "
             "or give the machine a managed identity";
  }
  return "";
}

bool IsUtf8(std::string_view text) {
  return thresher_utf8_valid_prefix(RustData(text), text.size()) == text.size();
}

// True if there can be keys that begin with `prefix`.
bool CanBeginKey(std::string_view prefix) {
  const size_t slash = prefix.rfind('/');
  if (slash != prefix.npos && !CheckKey(prefix.substr(0, slash)).ok()) return false;
  return IsUtf8(prefix);
}

template <typename T>
T Take(std::string_view& packed) {
  T value;
  THRESHER_CHECK(packed.size() >= sizeof(value));
  std::memcpy(&value, packed.data(), sizeof(value));
  packed.remove_prefix(sizeof(value));
  return value;
}

Status CheckOptions(const StoreOptions& options) {
  if (options.part_bytes < 0 || options.parallel_parts < 1 || options.request_timeout_ms < 1 ||
      options.retry_budget_ms < 0 || options.upload_bytes_per_second < 0) {
    return InvalidArgument(
        "store options: parallel parts and the time-out of requests must be at least 1, all "
        "others at least 0");
  }
  return OkStatus();
}

}  // namespace

struct CloudStore::Handle {
  explicit Handle(ThresherObjectStore* made) : rust(made) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { thresher_object_store_free(rust); }

  ThresherObjectStore* const rust;
};

CloudStore::CloudStore(CloudUrl url, std::unique_ptr<Handle> handle)
    : url_(std::move(url)),
      folder_(url_.folder.empty() ? "" : url_.folder + "/"),
      handle_(std::move(handle)) {}

CloudStore::~CloudStore() = default;

Result<std::unique_ptr<Store>> CloudStore::Open(const CloudUrl& url, const StoreOptions& options,
                                                const EnvironmentLookup& environment) {
  RETURN_IF_ERROR(CheckOptions(options));
  ASSIGN_OR_RETURN(const nlohmann::json settings, CloudSettings(url, options, environment));
  std::string text;
  try {
    text = settings.dump();
  } catch (const nlohmann::json::exception&) {  // a value that is not UTF-8
    return InvalidArgument(url.Text() + ": an environment variable that is not valid UTF-8");
  }
  RustBytes error;
  ThresherObjectStore* made = nullptr;
  const int32_t outcome =
      thresher_object_store_open(RustData(text), text.size(), &made, error.out());
  if (const Status status = RustStatus(outcome, error); !status.ok()) {
    return Status(status.code(), url.Text() + ": " + ScrubSecrets(status.message()));
  }
  return std::unique_ptr<Store>(new CloudStore(url, std::make_unique<Handle>(made)));
}

Result<std::string> CloudStore::NameOf(std::string_view key) const {
  RETURN_IF_ERROR(CheckKey(key));
  if (!IsUtf8(key)) return InvalidArgument("the key of an object is not valid UTF-8");
  std::string name = folder_ + std::string(key);
  if (name.size() > kMaxNameBytes) {
    return InvalidArgument(fmt::format("the key {} has more than {} bytes with its folder",
                                       Quoted(key), kMaxNameBytes));
  }
  return name;
}

Status CloudStore::StatusOf(int32_t outcome, std::string_view error, std::string_view what,
                            std::string_view key) const {
  if (outcome == THRESHER_OK) return OkStatus();
  std::string reason = ScrubSecrets(error);
  // Answers to HEAD requests have no body that could say more.
  if (reason.ends_with(": ")) reason += "the store gives no reason";
  std::string message = fmt::format("{} {} in {}: {}", what, Quoted(key), url(), reason);
  if (outcome == THRESHER_DENIED) message += fmt::format("; {}", RightsHint(url_.cloud));
  if (outcome == THRESHER_NO_CREDENTIALS) {
    message += fmt::format("; no credentials: {}", CredentialsHint(url_.cloud));
  }
  return Status(RustCode(outcome), std::move(message));
}

Status CloudStore::Put(std::string_view key, std::span<const std::byte> bytes) {
  ASSIGN_OR_RETURN(const std::string name, NameOf(key));
  RustBytes error;
  const int32_t outcome = thresher_object_store_put(handle_->rust, RustData(name), name.size(),
                                                    Data(bytes), bytes.size(), error.out());
  return StatusOf(outcome, error.view(), "put", key);
}

CreateResult CloudStore::CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) {
  const Result<std::string> name = NameOf(key);
  if (!name.ok()) return {CreateOutcome::kUnknown, name.status()};
  RustBytes error;
  const int32_t outcome = thresher_object_store_create(handle_->rust, RustData(*name), name->size(),
                                                       Data(bytes), bytes.size(), error.out());
  if (outcome == THRESHER_OK) return {CreateOutcome::kWritten, OkStatus()};
  if (outcome == THRESHER_REFUSED) return {CreateOutcome::kConflict, OkStatus()};
  return {CreateOutcome::kUnknown, StatusOf(outcome, error.view(), "create", key)};
}

Result<std::string> CloudStore::GetText(std::string_view key) {
  ASSIGN_OR_RETURN(const std::string name, NameOf(key));
  RustBytes error;
  RustBytes bytes;
  const int32_t outcome =
      thresher_object_store_get(handle_->rust, RustData(name), name.size(),
                                static_cast<size_t>(kMaxTextBytes), bytes.out(), error.out());
  RETURN_IF_ERROR(StatusOf(outcome, error.view(), "get", key));
  return std::string(bytes.view());
}

Status CloudStore::GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) {
  THRESHER_CHECK(offset >= 0);
  ASSIGN_OR_RETURN(const std::string name, NameOf(key));
  if (out.empty()) {  // no request can ask for that
    ASSIGN_OR_RETURN(const ObjectInfo object, Stat(key));
    if (offset <= object.bytes) return OkStatus();
    return DataLoss(fmt::format("get {} in {}: it has {} bytes, not {}", Quoted(key), url(),
                                object.bytes, offset));
  }
  RustBytes error;
  const int32_t outcome = thresher_object_store_get_range(
      handle_->rust, RustData(name), name.size(), static_cast<uint64_t>(offset),
      reinterpret_cast<uint8_t*>(out.data()), out.size(), error.out());
  return StatusOf(outcome, error.view(), "get", key);
}

Result<ObjectInfo> CloudStore::Stat(std::string_view key) {
  ASSIGN_OR_RETURN(const std::string name, NameOf(key));
  RustBytes error;
  ThresherObjectInfo info = {0, 0, {nullptr, 0}};
  const int32_t outcome =
      thresher_object_store_stat(handle_->rust, RustData(name), name.size(), &info, error.out());
  RustBytes checksum;
  *checksum.out() = info.checksum;
  RETURN_IF_ERROR(StatusOf(outcome, error.view(), "stat", key));
  return ObjectInfo{.key = std::string(key),
                    .bytes = info.bytes,
                    .modified_ms = info.modified_ms,
                    .checksum = std::string(checksum.view())};
}

Result<ListPage> CloudStore::ListNames(const std::string& prefix, const std::string& start_after,
                                       int64_t limit) const {
  RustBytes error;
  ThresherListPage listed = {{nullptr, 0}, false};
  const int32_t outcome = thresher_object_store_list(
      handle_->rust, RustData(prefix), prefix.size(), RustData(start_after), start_after.size(),
      static_cast<size_t>(limit), &listed, error.out());
  RustBytes objects;
  *objects.out() = listed.objects;
  RETURN_IF_ERROR(StatusOf(outcome, error.view(), "list", prefix.substr(folder_.size())));
  ListPage page{.objects = {}, .more = listed.more};
  std::string_view packed = objects.view();
  while (!packed.empty()) {
    ObjectInfo object;
    object.bytes = Take<int64_t>(packed);
    object.modified_ms = Take<int64_t>(packed);
    const auto name_bytes = Take<uint64_t>(packed);
    THRESHER_CHECK(name_bytes <= packed.size());
    object.key = packed.substr(0, name_bytes);
    packed.remove_prefix(name_bytes);
    page.objects.push_back(std::move(object));
  }
  return page;
}

Result<ListPage> CloudStore::List(std::string_view prefix, std::string_view start_after,
                                  int64_t limit) {
  ListPage page;
  if (!CanBeginKey(prefix)) return page;
  const std::string full_prefix = folder_ + std::string(prefix);
  std::string after = start_after.empty() ? "" : folder_ + std::string(start_after);
  // More than once only where names that are no keys leave room.
  do {
    const int64_t wanted = limit - static_cast<int64_t>(page.objects.size());
    ASSIGN_OR_RETURN(ListPage names, ListNames(full_prefix, after, wanted));
    page.more = names.more;
    if (!names.objects.empty()) after = names.objects.back().key;
    for (ObjectInfo& object : names.objects) {
      object.key.erase(0, folder_.size());
      if (CheckKey(object.key).ok()) page.objects.push_back(std::move(object));
    }
  } while (page.more && static_cast<int64_t>(page.objects.size()) < limit);
  return page;
}

Status CloudStore::Delete(std::string_view key) {
  ASSIGN_OR_RETURN(const std::string name, NameOf(key));
  RustBytes error;
  const int32_t outcome =
      thresher_object_store_delete(handle_->rust, RustData(name), name.size(), error.out());
  return StatusOf(outcome, error.view(), "delete", key);
}

}  // namespace thresher
