#ifndef THRESHER_MODEL_WEIGHTS_H_
#define THRESHER_MODEL_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
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
  std::string file;  // path, for messages
};

// All tensors of a Hugging Face checkpoint: model.safetensors, or the files that
// model.safetensors.index.json names; memory-mapped, nothing is copied. Immutable; thread-safe.
class Weights {
 public:
  // Errors name the file, the tensor, what was expected and what was found.
  static Result<Weights> Open(const std::string& model_directory);

  // kNotFound (naming the files searched) if there is no such tensor.
  Result<WeightView> Find(std::string_view name) const;

  // "xxh3-128:<32 hex digits>" over names, dtypes, shapes and every byte of every tensor, in the
  // order of names: independent of how the checkpoint is split into files.
  std::string Fingerprint() const;

  int64_t total_bytes() const;

 private:
  std::vector<MappedFile> files_;
  std::map<std::string, WeightView, std::less<>> tensors_;
};

}  // namespace thresher

#endif  // THRESHER_MODEL_WEIGHTS_H_
