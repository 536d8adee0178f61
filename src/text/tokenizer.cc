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
  for (const uint32_t id : ids) {
    if (id > static_cast<uint32_t>(std::numeric_limits<int32_t>::max())) {
      return InvalidArgument("tokenizer: token id " + std::to_string(id) + " is above 2^31 - 1");
    }
  }
  return std::vector<int32_t>(ids.begin(), ids.end());
}

}  // namespace thresher
