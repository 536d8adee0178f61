#include "sim/sim_store.h"

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"

namespace thresher::sim {
namespace {

std::string TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Network::Request SimStore::NewRequest(StoreCall call, std::string_view key) const {
  Network::Request request;
  request.call = call;
  request.key = key;
  request.process = &process_;
  request.sender = sender_;
  return request;
}

Status SimStore::Put(std::string_view key, std::span<const std::byte> bytes) {
  RETURN_IF_ERROR(CheckKey(key));
  Network::Request request = NewRequest(StoreCall::kPut, key);
  request.bytes = static_cast<int64_t>(bytes.size());
  if (IsShardObject(key)) {
    request.crc = ExtendCrc32c(0, bytes);
  } else {
    request.text = TextOf(bytes);
  }
  return network_.Perform(std::move(request)).status;
}

CreateResult SimStore::CreateIfAbsent(std::string_view key, std::span<const std::byte> bytes) {
  if (Status status = CheckKey(key); !status.ok()) return {CreateOutcome::kUnknown, status};
  Network::Request request = NewRequest(StoreCall::kCreateIfAbsent, key);
  request.text = TextOf(bytes);
  Network::Answer answer = network_.Perform(std::move(request));
  if (!answer.status.ok()) return {CreateOutcome::kUnknown, std::move(answer.status)};
  return {answer.conflict ? CreateOutcome::kConflict : CreateOutcome::kWritten, OkStatus()};
}

Result<std::string> SimStore::GetText(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  Network::Answer answer = network_.Perform(NewRequest(StoreCall::kGetText, key));
  RETURN_IF_ERROR(answer.status);
  return std::move(answer.text);
}

Status SimStore::GetRange(std::string_view key, int64_t offset, std::span<std::byte> out) {
  THRESHER_CHECK(!IsShardObject(key) && offset >= 0);
  RETURN_IF_ERROR(CheckKey(key));
  const Network::Answer answer = network_.Perform(NewRequest(StoreCall::kGetRange, key));
  RETURN_IF_ERROR(answer.status);
  const auto begin = static_cast<size_t>(offset);
  if (begin + out.size() > answer.text.size()) {
    return DataLoss(std::string(key) + " ends before the range");
  }
  std::ranges::copy(AsBytes(std::string_view(answer.text).substr(begin, out.size())), out.begin());
  return OkStatus();
}

Result<ObjectInfo> SimStore::Stat(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  Network::Answer answer = network_.Perform(NewRequest(StoreCall::kStat, key));
  RETURN_IF_ERROR(answer.status);
  return std::move(answer.info);
}

Result<ListPage> SimStore::List(std::string_view prefix, std::string_view start_after,
                                int64_t limit) {
  THRESHER_CHECK(limit > 0);
  Network::Request request = NewRequest(StoreCall::kList, prefix);
  request.start_after = start_after;
  request.limit = limit;
  Network::Answer answer = network_.Perform(std::move(request));
  RETURN_IF_ERROR(answer.status);
  return std::move(answer.page);
}

Status SimStore::Delete(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  return network_.Perform(NewRequest(StoreCall::kDelete, key)).status;
}

}  // namespace thresher::sim
