#ifndef THRESHER_MODEL_WEIGHTS_H_
#define THRESHER_MODEL_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/mapped_file.h"
#include "base/result.h"

namespace thresher {

// A weight tensor inside a mapped checkpoint file.
struct WeightView {
  DType dtype = DType::kF32;  // kF32, kF16 or kBf16
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;  // row-major; no alignment is promised
  std::string file;                 // path, for messages
};

// All tensors of a Hugging Face checkpoint: model.safetensors, or without it the files that
// model.safetensors.index.json names; memory-mapped, nothing is copied. Immutable; thread-safe.
// Tensors that no model needs (of any dtype) may be there; they count in the fingerprint.
class Weights {
 public:
  // Errors name the file, the tensor, what was expected and what was found.
  static Result<Weights> Open(const std::string& model_directory);

  // kNotFound (naming the files searched) if there is no such tensor; kInvalidArgument if its dtype
  // is not one of WeightView's.
  Result<WeightView> Find(std::string_view name) const;

  // The same, and kInvalidArgument if the tensor has another shape.
  Result<WeightView> Find(std::string_view name, const std::vector<int64_t>& shape) const;

  // "xxh3-128:<32 hex digits>" over names, dtypes, shapes and every byte of every tensor, in the
  // order of names: independent of how the checkpoint is split into files. Reads every byte, with a
  // few threads.
  std::string Fingerprint() const;

  // Takes the files' pages out of this process's memory; they come back when they are read again.
  void DropPages() const;

  // The bytes of all tensors together.
  int64_t total_bytes() const;

 private:
  struct Tensor {
    std::string dtype_name;  // as the file says it; may be one that WeightView cannot have
    std::vector<int64_t> shape;
    std::span<const std::byte> bytes;
    size_t file = 0;  // index into files_
  };

  Status AddFile(const std::string& path);
  std::string FileNames() const;

  std::vector<MappedFile> files_;
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace thresher

#endif  // THRESHER_MODEL_WEIGHTS_H_
