#include "text/tokenizer.h"

#include <filesystem>
#include <limits>
#include <span>
#include <utility>

#include "base/fingerprint.h"
#include "base/mapped_file.h"
#include "base/rust_memory.h"
#include "text/utf8.h"

namespace thresher {
namespace {

struct RustEncoding {
  RustEncoding() = default;
  RustEncoding(const RustEncoding&) = delete;
  RustEncoding& operator=(const RustEncoding&) = delete;
  ~RustEncoding() {
    thresher_ids_free(arrays.ids);
    thresher_offsets_free(arrays.begins);
    thresher_bytes_free(arrays.special);
  }

  ThresherEncoding arrays = {};
};

Result<std::vector<int32_t>> SignedIds(std::span<const uint32_t> ids) {
  for (const uint32_t id : ids) {
    if (id > static_cast<uint32_t>(std::numeric_limits<int32_t>::max())) {
      return InvalidArgument("tokenizer: token id " + std::to_string(id) + " is above 2^31 - 1");
    }
  }
  return std::vector<int32_t>(ids.begin(), ids.end());
}

}  // namespace

struct Tokenizer::Handle {
  explicit Handle(ThresherTokenizer* made) : rust(made) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { thresher_tokenizer_free(rust); }

  ThresherTokenizer* const rust;
};

Tokenizer::Tokenizer(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::Load(const std::string& model_directory) {
  const std::string path = std::filesystem::path(model_directory) / "tokenizer.json";
  Result<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) {
    if (file.status().code() != Code::kNotFound) return file.status();
    return NotFound(path +
                    " does not exist; save the model's tokenizer in the \"fast\" format of "
                    "Hugging Face tokenizers and put tokenizer.json there");
  }
  const std::span<const std::byte> bytes = file->bytes();
  RustBytes error;
  ThresherTokenizer* made = nullptr;
  const int32_t outcome = thresher_tokenizer_new(reinterpret_cast<const uint8_t*>(bytes.data()),
                                                 bytes.size(), &made, error.out());
  const Status status = RustStatus(outcome, error);
  if (!status.ok()) {
    return Status(status.code(), path + " is not a tokenizer that can be read (" +
                                     status.message() + "); fetch the file again");
  }
  Tokenizer tokenizer(std::make_unique<Handle>(made));
  RustIds special;
  *special.out() = thresher_tokenizer_special_ids(made);
  ASSIGN_OR_RETURN(tokenizer.special_token_ids_, SignedIds({special.begin(), special.end()}));
  const int64_t bos = thresher_tokenizer_bos(made);
  if (bos >= 0) tokenizer.bos_token_id_ = static_cast<int32_t>(bos);
  tokenizer.fingerprint_ = FingerprintOf(bytes);
  return tokenizer;
}

Result<std::vector<int32_t>> Tokenizer::Encode(std::string_view text,
                                               bool add_special_tokens) const {
  RETURN_IF_ERROR(CheckUtf8(text));
  RustBytes error;
  RustIds ids;
  RETURN_IF_ERROR(RustStatus(thresher_tokenizer_encode(handle_->rust, RustData(text), text.size(),
                                                       add_special_tokens, ids.out(), error.out()),
                             error)
                      .WithContext("tokenizer"));
  return SignedIds({ids.begin(), ids.end()});
}

Result<Encoding> Tokenizer::EncodeWithOffsets(std::string_view text,
                                              bool add_special_tokens) const {
  RETURN_IF_ERROR(CheckUtf8(text));
  RustBytes error;
  RustEncoding rust;
  RETURN_IF_ERROR(RustStatus(thresher_tokenizer_encode_with_offsets(handle_->rust, RustData(text),
                                                                    text.size(), add_special_tokens,
                                                                    &rust.arrays, error.out()),
                             error)
                      .WithContext("tokenizer"));
  const auto& [ids, begins, special] = rust.arrays;
  Encoding encoding;
  ASSIGN_OR_RETURN(encoding.ids, SignedIds({ids.data, ids.length}));
  encoding.begins.assign(begins.data, begins.data + begins.length);
  encoding.special.assign(special.data, special.data + special.length);
  return encoding;
}

}  // namespace thresher
