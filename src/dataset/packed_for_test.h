#ifndef THRESHER_DATASET_PACKED_FOR_TEST_H_
#define THRESHER_DATASET_PACKED_FOR_TEST_H_

#include <zlib.h>
#include <zstd.h>

#include <string>
#include <string_view>

#include "base/check.h"

namespace thresher {

// One member.
inline std::string GzipForTest(std::string_view text) {
  z_stream stream = {};
  THRESHER_CHECK(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) ==
                 Z_OK);
  std::string packed(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  THRESHER_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// One frame, with a checksum.
inline std::string ZstdForTest(std::string_view text) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  const size_t bytes =
      ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size());
  THRESHER_CHECK(ZSTD_isError(bytes) == 0);
  packed.resize(bytes);
  ZSTD_freeCCtx(context);
  return packed;
}

}  // namespace thresher

#endif  // THRESHER_DATASET_PACKED_FOR_TEST_H_
