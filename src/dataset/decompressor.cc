#include "dataset/decompressor.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"

namespace thresher {
namespace {

constexpr size_t kOutBytes = size_t{256} << 10;

class GzipDecompressor : public Decompressor {
 public:
  GzipDecompressor() : out_(kOutBytes) {
    constexpr int kOnlyGzip = 16;
    THRESHER_CHECK(inflateInit2(&stream_, MAX_WBITS + kOnlyGzip) == Z_OK);
  }
  GzipDecompressor(const GzipDecompressor&) = delete;
  GzipDecompressor& operator=(const GzipDecompressor&) = delete;
  ~GzipDecompressor() override { inflateEnd(&stream_); }

  Status Add(std::span<const std::byte> packed, const Sink& sink) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    while (stream_.avail_in > 0 || has_output_left_) {
      if (at_member_end_ && !BeginMember()) break;
      RETURN_IF_ERROR(Step(sink));
    }
    return OkStatus();
  }

  Status Finish() override {
    if (at_member_end_) return OkStatus();
    return DataLoss("the gzip data are cut off");
  }

 private:
  // False if nothing but padding is left.
  bool BeginMember() {
    // Tapes and some programs fill the end of a file with zero bytes.
    while (stream_.avail_in > 0 && *stream_.next_in == 0 && has_member_) {
      ++stream_.next_in;
      --stream_.avail_in;
    }
    if (stream_.avail_in == 0) return false;
    THRESHER_CHECK(inflateReset(&stream_) == Z_OK);
    at_member_end_ = false;
    return true;
  }

  Status Step(const Sink& sink) {
    stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
    stream_.avail_out = static_cast<uInt>(out_.size());
    const int code = inflate(&stream_, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      return DataLoss(std::string("the gzip data are damaged: ") +
                      (stream_.msg != nullptr ? stream_.msg : "no reason given"));
    }
    has_output_left_ = stream_.avail_out == 0 && code != Z_STREAM_END;
    at_member_end_ = code == Z_STREAM_END;
    has_member_ = has_member_ || at_member_end_;
    return sink(std::span(out_).first(out_.size() - stream_.avail_out));
  }

  z_stream stream_ = {};
  std::vector<std::byte> out_;
  bool has_output_left_ = false;
  bool at_member_end_ = true;
  bool has_member_ = false;  // at least one was read whole
};

class ZstdDecompressor : public Decompressor {
 public:
  ZstdDecompressor() : context_(ZSTD_createDCtx()), out_(kOutBytes) {
    THRESHER_CHECK(context_ != nullptr);
  }

  Status Add(std::span<const std::byte> packed, const Sink& sink) override {
    ZSTD_inBuffer in = {packed.data(), packed.size(), 0};
    bool has_output_left = false;
    while (in.pos < in.size || has_output_left) {
      ZSTD_outBuffer out = {out_.data(), out_.size(), 0};
      const size_t code = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(code) != 0) return Damaged(code);
      at_frame_end_ = code == 0;
      has_output_left = out.pos == out.size && !at_frame_end_;
      RETURN_IF_ERROR(sink(std::span<const std::byte>(out_).first(out.pos)));
    }
    return OkStatus();
  }

  Status Finish() override {
    if (at_frame_end_) return OkStatus();
    return DataLoss("the zstd data are cut off");
  }

 private:
  static Status Damaged(size_t code) {
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge) {
      return InvalidArgument(
          "the zstd data need a window of more than 128 MiB; pack them without --long or --ultra");
    }
    return DataLoss(std::string("the zstd data are damaged: ") + ZSTD_getErrorName(code));
  }

  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::vector<std::byte> out_;
  bool at_frame_end_ = true;
};

}  // namespace

std::unique_ptr<Decompressor> Decompressor::New(Compression compression) {
  THRESHER_CHECK(compression != Compression::kNone);
  if (compression == Compression::kGzip) return std::make_unique<GzipDecompressor>();
  return std::make_unique<ZstdDecompressor>();
}

}  // namespace thresher
