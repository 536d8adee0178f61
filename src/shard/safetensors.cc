#include "shard/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/json.h"

namespace thresher {
namespace {

using nlohmann::json;

constexpr int64_t kLengthBytes = 8;
constexpr int64_t kAlignment = 64;
constexpr size_t kMaxDimensions = 32;
constexpr std::string_view kMetadataKey = "__metadata__";

// A tensor as the header describes it; offsets count from the first data byte.
struct RawTensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  int64_t begin = 0;
  int64_t end = 0;
};

// Reads the header's JSON straight into RawTensors. A document tree would let a hostile header take
// many times its size in memory, and nlohmann's tree merges duplicate keys silently.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  std::vector<RawTensor>& tensors() { return tensors_; }
  std::map<std::string, std::string>& metadata() { return metadata_; }
  const std::string& error() const { return error_; }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool value) override { return Unexpected(value ? "true" : "false"); }
  // nlohmann calls number_integer for numbers with a minus sign only.
  bool number_integer(number_integer_t value) override {
    return Unexpected(fmt::format("{}", value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return Unexpected(text.substr(0, 40));
  }
  bool binary(binary_t&) override { return Unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kArray || value > static_cast<uint64_t>(INT64_MAX)) {
      return Unexpected(fmt::format("{}", value));
    }
    if (numbers_.size() >= kMaxDimensions) {
      return Unexpected(fmt::format("more than {} numbers", kMaxDimensions));
    }
    numbers_.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      metadata_[key_] = std::move(value);
      return true;
    }
    if (place_ != Place::kTensor || key_ != "dtype") return Unexpected(Quoted(value));
    tensors_.back().dtype = std::move(value);
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kTop;
      return true;
    }
    if (place_ != Place::kTop) return Unexpected("an object");
    if (key_ == kMetadataKey) {
      place_ = Place::kMetadata;
    } else {
      place_ = Place::kTensor;
      tensors_.push_back({.name = std::move(key_), .dtype = {}, .shape = {}});
      fields_seen_.clear();
    }
    return true;
  }

  bool key(string_t& name) override {
    key_ = std::move(name);
    if (place_ == Place::kMetadata) {
      return metadata_.contains(key_)
                 ? Fail(fmt::format("__metadata__: the key {} occurs twice", Quoted(key_)))
                 : true;
    }
    if (place_ == Place::kTop) {
      if (key_ != kMetadataKey) return true;  // duplicate tensors are found at the end, by sorting
      return std::exchange(metadata_seen_, true) ? Fail("the key '__metadata__' occurs twice")
                                                 : true;
    }
    if (key_ != "dtype" && key_ != "shape" && key_ != "data_offsets") {
      return Fail(fmt::format(
          "tensor {}: expected the fields 'dtype', 'shape' and 'data_offsets', found {}",
          Quoted(tensors_.back().name), Quoted(key_)));
    }
    if (!fields_seen_.insert(key_).second) {
      return Fail(fmt::format("tensor {}: the field '{}' occurs twice",
                              Quoted(tensors_.back().name), key_));
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      for (const char* field : {"dtype", "shape", "data_offsets"}) {
        if (fields_seen_.contains(field)) continue;
        return Fail(fmt::format("tensor {}: the field '{}' is missing",
                                Quoted(tensors_.back().name), field));
      }
    }
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::kTensor || key_ == "dtype") return Unexpected("an array");
    place_ = Place::kArray;
    numbers_.clear();
    return true;
  }

  bool end_array() override {
    RawTensor& tensor = tensors_.back();
    place_ = Place::kTensor;
    if (key_ == "shape") {
      tensor.shape = numbers_;
      return true;
    }
    if (numbers_.size() != 2) {
      return Fail(fmt::format("tensor {}: field 'data_offsets': expected 2 numbers, found {}",
                              Quoted(tensor.name), numbers_.size()));
    }
    tensor.begin = numbers_[0];
    tensor.end = numbers_[1];
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail("the header is " + JsonSyntaxMessage(text_, position));
  }

 private:
  enum class Place { kOutside, kTop, kMetadata, kTensor, kArray };

  bool Fail(std::string message) {
    error_ = std::move(message);
    return false;
  }

  // The value just read does not belong where it stands.
  bool Unexpected(std::string_view found) {
    switch (place_) {
      case Place::kOutside:
        return Fail(fmt::format("the header: expected an object, found {}", found));
      case Place::kTop:
        return Fail(fmt::format("{}: expected an object, found {}", Quoted(key_), found));
      case Place::kMetadata:
        return Fail(
            fmt::format("__metadata__: key {}: expected a string, found {}", Quoted(key_), found));
      case Place::kTensor:
      case Place::kArray:
        break;
    }
    const std::string_view expected =
        key_ == "dtype"   ? "a string"
        : key_ == "shape" ? "an array of at most 32 non-negative integers below 2^63"
                          : "an array of two non-negative integers below 2^63";
    return Fail(fmt::format("tensor {}: field '{}': expected {}, found {}",
                            Quoted(tensors_.back().name), key_, expected, found));
  }

  const std::string_view text_;
  Place place_ = Place::kOutside;
  std::string key_;
  std::set<std::string> fields_seen_;  // of the tensor being read
  std::vector<int64_t> numbers_;       // of the array being read
  bool metadata_seen_ = false;
  std::vector<RawTensor> tensors_;
  std::map<std::string, std::string> metadata_;
  std::string error_;
};

std::optional<int64_t> CheckedProduct(const std::vector<int64_t>& factors, int64_t product) {
  for (const int64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) return std::nullopt;
  }
  return product;
}

Status CheckNamesUnique(const std::vector<RawTensor>& tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const RawTensor& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return OkStatus();
  return InvalidArgument(fmt::format("tensor {} occurs twice", Quoted(*twice)));
}

// That the tensor's own numbers agree with each other and with the data's size.
Status CheckTensor(const RawTensor& tensor, int64_t data_bytes) {
  const int64_t begin = tensor.begin;
  const int64_t end = tensor.end;
  if (begin > end) {
    return InvalidArgument(fmt::format("tensor {}: data_offsets go backwards: [{}, {}]",
                                       Quoted(tensor.name), begin, end));
  }
  if (end > data_bytes) {
    return InvalidArgument(
        fmt::format("tensor {}: expected its data to end at or before byte {} of the data, where "
                    "the file ends, found byte {}; the file is cut short or its header is wrong: "
                    "fetch it again",
                    Quoted(tensor.name), data_bytes, end));
  }
  const std::optional<DType> dtype = DTypeFromSafetensorsName(tensor.dtype);
  const std::optional<int64_t> expected =
      CheckedProduct(tensor.shape, dtype ? DTypeBytes(*dtype) : 1);
  if (!expected) {
    return InvalidArgument(fmt::format("tensor {}: shape [{}] has more than 2^63 bytes",
                                       Quoted(tensor.name), fmt::join(tensor.shape, ", ")));
  }
  if (dtype && *expected != end - begin) {
    return InvalidArgument(fmt::format(
        "tensor {}: {} [{}] takes {} bytes, but data_offsets [{}, {}] span {}", Quoted(tensor.name),
        tensor.dtype, fmt::join(tensor.shape, ", "), *expected, begin, end, end - begin));
  }
  return OkStatus();
}

// That tensors sorted by offsets cover [0, data_bytes) without holes or overlaps.
Status CheckCover(const std::vector<RawTensor>& tensors, int64_t data_bytes) {
  int64_t covered = 0;
  const RawTensor* previous = nullptr;
  for (const RawTensor& tensor : tensors) {
    const int64_t begin = tensor.begin;
    if (begin < covered) {
      return InvalidArgument(fmt::format(
          "tensors {} and {} overlap: the first ends at byte {} of the data, the second begins at "
          "{}",
          Quoted(previous->name), Quoted(tensor.name), covered, begin));
    }
    if (begin > covered) {
      return InvalidArgument(fmt::format(
          "bytes {} to {} of the data, before tensor {}, belong to no tensor; safetensors allows "
          "no holes",
          covered, begin, Quoted(tensor.name)));
    }
    covered = tensor.end;
    previous = &tensor;
  }
  if (covered != data_bytes) {
    return InvalidArgument(fmt::format(
        "the tensors take {} bytes, but the file has {} bytes of data", covered, data_bytes));
  }
  return OkStatus();
}

std::string JsonString(const std::string& text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

const TensorEntry* SafetensorsHeader::Find(std::string_view name) const {
  for (const TensorEntry& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

Result<int64_t> SafetensorsDataBegin(std::span<const std::byte> first_8_bytes, int64_t file_bytes) {
  if (static_cast<int64_t>(first_8_bytes.size()) < kLengthBytes || file_bytes < kLengthBytes) {
    return InvalidArgument(
        fmt::format("not a safetensors file: expected at least 8 bytes, found {}",
                    std::min(file_bytes, static_cast<int64_t>(first_8_bytes.size()))));
  }
  uint64_t length = 0;
  for (size_t i = 0; i < static_cast<size_t>(kLengthBytes); ++i) {
    length |= std::to_integer<uint64_t>(first_8_bytes[i]) << (8 * i);
  }
  if (length > static_cast<uint64_t>(kMaxSafetensorsHeaderBytes)) {
    return InvalidArgument(fmt::format(
        "not a safetensors file: expected a header of at most {} bytes, found a length of {}",
        kMaxSafetensorsHeaderBytes, length));
  }
  const int64_t data_begin = kLengthBytes + static_cast<int64_t>(length);
  if (data_begin > file_bytes) {
    return InvalidArgument(
        fmt::format("the file is cut short: the header ends at byte {}, but the file has {} bytes; "
                    "fetch it again",
                    data_begin, file_bytes));
  }
  return data_begin;
}

Result<SafetensorsHeader> ParseSafetensorsHeader(std::span<const std::byte> header,
                                                 int64_t file_bytes) {
  ASSIGN_OR_RETURN(const int64_t data_begin, SafetensorsDataBegin(header, file_bytes));
  if (data_begin != static_cast<int64_t>(header.size())) {
    return InvalidArgument(
        fmt::format("the header: expected {} bytes, found {}", data_begin, header.size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(header.data()) + kLengthBytes,
                              header.size() - static_cast<size_t>(kLengthBytes));
  if (!text.starts_with('{')) {
    return InvalidArgument(
        fmt::format("not a safetensors file: expected the header to begin with '{{', found {}",
                    Quoted(text.substr(0, 8))));
  }
  // nlohmann's lexer takes a zero byte for the end of the text.
  if (const size_t zero = text.find('\0'); zero != text.npos) {
    return InvalidArgument("the header is " + JsonSyntaxMessage(text, zero + 1));
  }
  HeaderReader reader(text);
  try {
    if (!json::sax_parse(text.begin(), text.end(), &reader)) {
      return InvalidArgument(reader.error());
    }
  } catch (const std::exception& e) {
    return InvalidArgument(fmt::format("cannot parse the header: {}", e.what()));
  }

  std::vector<RawTensor>& raw = reader.tensors();
  const int64_t data_bytes = file_bytes - data_begin;
  RETURN_IF_ERROR(CheckNamesUnique(raw));
  for (const RawTensor& tensor : raw) RETURN_IF_ERROR(CheckTensor(tensor, data_bytes));
  std::sort(raw.begin(), raw.end(), [](const RawTensor& a, const RawTensor& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  RETURN_IF_ERROR(CheckCover(raw, data_bytes));

  SafetensorsHeader result;
  result.metadata = std::move(reader.metadata());
  result.data_begin = data_begin;
  for (RawTensor& tensor : raw) {
    const int64_t begin = data_begin + tensor.begin;
    const int64_t end = data_begin + tensor.end;
    if (const std::optional<DType> dtype = DTypeFromSafetensorsName(tensor.dtype)) {
      result.tensors.push_back(
          {std::move(tensor.name), *dtype, std::move(tensor.shape), begin, end});
    } else {
      result.opaque.push_back(
          {std::move(tensor.name), std::move(tensor.dtype), std::move(tensor.shape), begin, end});
    }
  }
  return result;
}

std::string BuildSafetensorsHeader(std::vector<TensorEntry>& tensors,
                                   const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      text += JsonString(key) + ":" + JsonString(value) + ",";
    }
    text.back() = '}';
    text += ',';
  }
  std::set<std::string_view> names = {kMetadataKey};
  int64_t offset = 0;
  for (TensorEntry& tensor : tensors) {
    THRESHER_CHECK(names.insert(tensor.name).second);
    for (const int64_t extent : tensor.shape) THRESHER_CHECK(extent >= 0);
    const std::optional<int64_t> bytes = CheckedProduct(tensor.shape, DTypeBytes(tensor.dtype));
    THRESHER_CHECK(bytes);
    tensor.begin = offset;
    THRESHER_CHECK(!__builtin_add_overflow(offset, *bytes, &offset));
    tensor.end = offset;
    text += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}},",
                        JsonString(tensor.name), SafetensorsName(tensor.dtype),
                        fmt::join(tensor.shape, ","), tensor.begin, tensor.end);
  }
  if (text.back() == ',') text.pop_back();
  text += '}';

  const auto unpadded = kLengthBytes + static_cast<int64_t>(text.size());
  const int64_t data_begin = (unpadded + kAlignment - 1) / kAlignment * kAlignment;
  text.append(static_cast<size_t>(data_begin - unpadded), ' ');
  THRESHER_CHECK(static_cast<int64_t>(text.size()) <= kMaxSafetensorsHeaderBytes);
  for (TensorEntry& tensor : tensors) {
    tensor.begin += data_begin;
    tensor.end += data_begin;
  }
  std::string header;
  for (size_t i = 0; i < static_cast<size_t>(kLengthBytes); ++i) {
    header += static_cast<char>((text.size() >> (8 * i)) & 0xff);
  }
  return header + text;
}

}  // namespace thresher
