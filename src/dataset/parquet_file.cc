#include "dataset/parquet_file.h"

#include <mutex>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/rust_memory.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

// A source lent to the Rust library for one call; keeps the error of a failed read.
class LentSource {
 public:
  explicit LentSource(const ByteSource& source) : source_(source) {}
  LentSource(const LentSource&) = delete;
  LentSource& operator=(const LentSource&) = delete;

  ThresherByteSource rust() const {
    const auto mapped = source_.Mapped();
    const std::byte* data = mapped ? mapped->data() : nullptr;
    return {this, static_cast<uint64_t>(source_.bytes()), reinterpret_cast<const uint8_t*>(data),
            &LentSource::Read};
  }

  // What the call came to: a failed read is the reason for whatever else went wrong.
  Status StatusOf(int32_t outcome, const RustBytes& error) const {
    const std::lock_guard lock(mutex_);
    if (outcome != THRESHER_OK && !failure_.ok()) return failure_;
    return RustStatus(outcome, error).WithContext(source_.name());
  }

 private:
  static int32_t Read(const void* context, uint64_t offset, uint8_t* to, size_t length) {
    const auto* lent = static_cast<const LentSource*>(context);
    const Status status = lent->source_.Read(static_cast<int64_t>(offset),
                                             {reinterpret_cast<std::byte*>(to), length});
    if (status.ok()) return 0;
    const std::lock_guard lock(lent->mutex_);
    lent->failure_ = status;
    return 1;
  }

  const ByteSource& source_;
  mutable std::mutex mutex_;
  mutable Status failure_;
};

}  // namespace

struct ParquetFile::Handle {
  explicit Handle(std::shared_ptr<const ByteSource> file) : source(std::move(file)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { thresher_parquet_free(rust); }

  const std::shared_ptr<const ByteSource> source;
  ThresherParquet* rust = nullptr;
};

ParquetFile::ParquetFile(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
ParquetFile::ParquetFile(ParquetFile&&) noexcept = default;
ParquetFile& ParquetFile::operator=(ParquetFile&&) noexcept = default;
ParquetFile::~ParquetFile() = default;

Result<ParquetFile> ParquetFile::Open(std::shared_ptr<const ByteSource> source,
                                      const std::vector<std::string>& columns) {
  ParquetFile file(std::make_unique<Handle>(std::move(source)));
  const LentSource lent(*file.handle_->source);
  // Names of settings may hold any bytes; those that are no UTF-8 name no column.
  const std::string names = Json(columns).dump(-1, ' ', false, Json::error_handler_t::replace);
  RustBytes error;
  RETURN_IF_ERROR(lent.StatusOf(thresher_parquet_open(lent.rust(), RustData(names), names.size(),
                                                      &file.handle_->rust, error.out()),
                                error));
  RustBytes description;
  RustBytes description_error;
  RETURN_IF_ERROR(lent.StatusOf(
      thresher_parquet_describe(file.handle_->rust, description.out(), description_error.out()),
      description_error));
  const Json described = Json::parse(description.view());
  for (const Json& column : described["columns"]) file.columns_.push_back({column[0], column[1]});
  for (const Json& rows : described["row_groups"]) {
    file.row_groups_.push_back({.begin = file.row_count_, .count = rows});
    file.row_count_ += file.row_groups_.back().count;
  }
  return file;
}

Result<std::vector<std::string>> ParquetFile::ReadRows(int64_t first, int64_t count) const {
  THRESHER_CHECK(first >= 0 && count >= 0 && first <= row_count_ && count <= row_count_ - first);
  const LentSource lent(*handle_->source);
  RustBytes lines;
  RustBytes error;
  RETURN_IF_ERROR(
      lent.StatusOf(thresher_parquet_read(handle_->rust, lent.rust(), static_cast<uint64_t>(first),
                                          static_cast<uint64_t>(count), lines.out(), error.out()),
                    error));
  std::vector<std::string> rows;
  rows.reserve(static_cast<size_t>(count));
  for (std::string_view left = lines.view(); !left.empty();) {
    const size_t length = left.find('\n');
    rows.emplace_back(left.substr(0, length));
    left.remove_prefix(length + 1);
  }
  return rows;
}

}  // namespace thresher
