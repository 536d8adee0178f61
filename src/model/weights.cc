#include "model/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/fingerprint.h"
#include "base/json.h"
#include "shard/safetensors.h"

namespace thresher {
namespace {

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";

std::string Join(const std::string& directory, const std::string& name) {
  return (std::filesystem::path(directory) / name).string();
}

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// Index files come from elsewhere: they may name files of the model's folder and no others.
bool IsPlainFileName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

// The file of each tensor, from an index file.
Result<std::map<std::string, std::string>> ReadIndex(const std::string& path) {
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  Result<nlohmann::json> parsed = ParseJson(text);
  if (!parsed.ok()) return parsed.status().WithContext(path);
  if (!parsed->is_object()) {
    return InvalidArgument(
        fmt::format("{}: expected a JSON object, found {}", path, DescribeJson(&*parsed)));
  }
  const auto weight_map = parsed->find("weight_map");
  if (weight_map == parsed->end() || !weight_map->is_object() || weight_map->empty()) {
    return FieldError(*parsed, "weight_map", "an object that names each tensor's file")
        .WithContext(path);
  }
  std::map<std::string, std::string> file_of_tensor;
  for (const auto& [tensor, name] : weight_map->items()) {
    if (!name.is_string() || !IsPlainFileName(name.get_ref<const std::string&>())) {
      return InvalidArgument(fmt::format(
          "{}: weight_map: tensor {}: expected the name of a file in the same folder, found {}",
          path, Quoted(tensor), DescribeJson(&name)));
    }
    file_of_tensor[tensor] = name.get<std::string>();
  }
  return file_of_tensor;
}

Status NoWeights(const std::string& directory) {
  std::string message =
      fmt::format("{}: expected {} or {}, found neither", directory, kSingleFile, kIndexFile);
  for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (!Exists(Join(directory, other))) continue;
    return NotFound(
        message +
        fmt::format("; {} is a pickle, which is not read: save the model again with safetensors",
                    other));
  }
  return NotFound(std::move(message));
}

std::optional<DType> WeightDType(const std::string& dtype_name) {
  const std::optional<DType> dtype = DTypeFromSafetensorsName(dtype_name);
  if (dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBf16) return dtype;
  return std::nullopt;
}

}  // namespace

Status Weights::AddFile(const std::string& path) {
  ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  const std::span<const std::byte> bytes = file.bytes();
  const auto file_bytes = static_cast<int64_t>(bytes.size());
  const Result<int64_t> data_begin =
      SafetensorsDataBegin(bytes.first(std::min<size_t>(8, bytes.size())), file_bytes);
  if (!data_begin.ok()) return data_begin.status().WithContext(path);
  const Result<SafetensorsHeader> header =
      ParseSafetensorsHeader(bytes.first(static_cast<size_t>(*data_begin)), file_bytes);
  if (!header.ok()) return header.status().WithContext(path);

  const auto add = [&](const auto& entry, std::string_view dtype_name) {
    Tensor tensor = {std::string(dtype_name), entry.shape,
                     bytes.subspan(static_cast<size_t>(entry.begin),
                                   static_cast<size_t>(entry.end - entry.begin)),
                     files_.size()};
    const auto [it, added] = tensors_.emplace(entry.name, std::move(tensor));
    if (added) return OkStatus();
    return InvalidArgument(fmt::format("tensor {} is in two files: {} and {}", Quoted(entry.name),
                                       files_[it->second.file].path(), path));
  };
  for (const TensorEntry& entry : header->tensors) {
    RETURN_IF_ERROR(add(entry, SafetensorsName(entry.dtype)));
  }
  for (const OpaqueTensor& entry : header->opaque) RETURN_IF_ERROR(add(entry, entry.dtype_name));
  files_.push_back(std::move(file));
  return OkStatus();
}

Result<Weights> Weights::Open(const std::string& model_directory) {
  Weights weights;
  const std::string single = Join(model_directory, kSingleFile);
  if (Exists(single)) {
    RETURN_IF_ERROR(weights.AddFile(single));
    return weights;
  }
  const std::string index = Join(model_directory, kIndexFile);
  if (!Exists(index)) return NoWeights(model_directory);
  ASSIGN_OR_RETURN(const auto file_of_tensor, ReadIndex(index));

  std::set<std::string> names;
  for (const auto& [tensor, name] : file_of_tensor) names.insert(name);
  for (const std::string& name : names) {
    if (const Status status = weights.AddFile(Join(model_directory, name)); !status.ok()) {
      return status.WithContext(
          fmt::format("{} of {} files that {} names", Quoted(name), names.size(), kIndexFile));
    }
  }
  for (const auto& [tensor, name] : file_of_tensor) {
    const std::string path = Join(model_directory, name);
    const auto it = weights.tensors_.find(tensor);
    if (it != weights.tensors_.end() && weights.files_[it->second.file].path() == path) continue;
    return InvalidArgument(fmt::format("{}: weight_map: tensor {}: expected it in {}, found {}",
                                       index, Quoted(tensor), Quoted(name),
                                       it == weights.tensors_.end()
                                           ? "it in none of the files"
                                           : "it in " + weights.files_[it->second.file].path()));
  }
  return weights;
}

std::string Weights::FileNames() const {
  std::string names = files_.front().path();
  if (files_.size() > 1) names += fmt::format(" and {} more files", files_.size() - 1);
  return names;
}

Result<WeightView> Weights::Find(std::string_view name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) {
    return NotFound(fmt::format("tensor '{}' is missing; searched {}", name, FileNames()));
  }
  const Tensor& tensor = it->second;
  const std::string& path = files_[tensor.file].path();
  const std::optional<DType> dtype = WeightDType(tensor.dtype_name);
  if (!dtype) {
    return InvalidArgument(fmt::format("{}: tensor '{}': expected dtype F32, F16 or BF16, found {}",
                                       path, name, Quoted(tensor.dtype_name)));
  }
  return WeightView{*dtype, tensor.shape, tensor.bytes.data(), path};
}

Result<WeightView> Weights::Find(std::string_view name, const std::vector<int64_t>& shape) const {
  ASSIGN_OR_RETURN(WeightView view, Find(name));
  if (view.shape != shape) {
    return InvalidArgument(fmt::format("{}: tensor '{}': expected shape [{}], found [{}]",
                                       view.file, name, fmt::join(shape, ", "),
                                       fmt::join(view.shape, ", ")));
  }
  return view;
}

std::string Weights::Fingerprint() const {
  std::vector<const Tensor*> tensors;
  for (const auto& [name, tensor] : tensors_) tensors.push_back(&tensor);
  std::vector<std::string> hashes(tensors.size());
  // Largest first, so that no thread is left with a large tensor at the end.
  std::vector<size_t> order(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return tensors[a]->bytes.size() > tensors[b]->bytes.size();
  });
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < order.size(); i = next++) {
      hashes[order[i]] = FingerprintOf(tensors[order[i]]->bytes);
    }
  };
  constexpr unsigned kMaxThreads = 8;  // enough to reach the memory's bandwidth
  {
    const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
    std::vector<std::jthread> threads(std::min(kMaxThreads, cores) - 1);
    for (std::jthread& thread : threads) thread = std::jthread(work);
    work();
  }

  Fingerprinter fingerprinter;
  size_t i = 0;
  for (const auto& [name, tensor] : tensors_) {
    fingerprinter.AddField(name);
    fingerprinter.AddField(tensor.dtype_name);
    fingerprinter.AddField(fmt::format("{}", fmt::join(tensor.shape, ",")));
    fingerprinter.AddField(hashes[i++]);
  }
  return fingerprinter.Finish();
}

void Weights::DropPages() const {
  for (const MappedFile& file : files_) file.DropPages();
}

int64_t Weights::total_bytes() const {
  int64_t total = 0;
  for (const auto& [name, tensor] : tensors_) total += static_cast<int64_t>(tensor.bytes.size());
  return total;
}

}  // namespace thresher
