#include "run_reader.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/crc32c.h"
#include "base/mapped_file.h"
#include "shard/convert.h"
#include "shard/safetensors.h"
#include "store/store.h"
#include "work/keys.h"

namespace thresher {
namespace {

Result<TensorFile> ReadTensors(std::span<const std::byte> file) {
  const auto file_bytes = static_cast<int64_t>(file.size());
  const std::span<const std::byte> first = file.first(std::min<size_t>(8, file.size()));
  ASSIGN_OR_RETURN(const int64_t data_begin, SafetensorsDataBegin(first, file_bytes));
  ASSIGN_OR_RETURN(const SafetensorsHeader header,
                   ParseSafetensorsHeader(file.first(static_cast<size_t>(data_begin)), file_bytes));
  TensorFile tensors;
  for (const TensorEntry& entry : header.tensors) {
    const char* data = reinterpret_cast<const char*>(file.data()) + entry.begin;
    tensors[entry.name] = {entry.dtype, entry.shape,
                           std::string(data, static_cast<size_t>(entry.end - entry.begin))};
  }
  return tensors;
}

std::string ChecksumOf(std::span<const std::byte> bytes) {
  return FormatCrc32c(ExtendCrc32c(0, bytes));
}

Status CheckShard(const Commit& commit, std::span<const std::byte> file,
                  const TensorFile& tensors) {
  if (static_cast<int64_t>(file.size()) != commit.bytes) {
    return DataLoss(
        fmt::format("{}: {} bytes, its commit says {}", commit.shard, file.size(), commit.bytes));
  }
  if (ChecksumOf(file) != commit.checksum) {
    return DataLoss(commit.shard + ": checksum is not that of its commit");
  }
  if (tensors.size() != commit.tensors.size()) {
    return DataLoss(commit.shard + ": not the tensors of its commit");
  }
  for (const TensorRecord& record : commit.tensors) {
    const auto tensor = tensors.find(record.name);
    if (tensor == tensors.end() || ChecksumOf(AsBytes(tensor->second.bytes)) != record.checksum) {
      return DataLoss(commit.shard + ": tensor " + record.name + " is not that of its commit");
    }
  }
  return OkStatus();
}

Status CheckSamples(const Commit& commit, const SampleRange& planned, const TensorFile& tensors) {
  const std::string name = UnitName(commit.unit);
  if (commit.first_sample != planned.first || commit.sample_count != planned.count) {
    return DataLoss(name + ": the commit's samples are not those of the plan");
  }
  std::multiset<int64_t> samples;
  std::optional<int64_t> previous;
  for (const int64_t index : tensors.at("sample_index").Integers()) {
    // Sequences of one sample, which was split, stand together.
    if (index != previous) samples.insert(index);
    previous = index;
  }
  for (const RejectedSample& rejected : commit.rejected) samples.insert(rejected.sample);
  for (int64_t index = planned.first; index < planned.end(); ++index) {
    if (samples.count(index) != 1) {
      return DataLoss(
          fmt::format("{}: sample {} is there {} times", name, index, samples.count(index)));
    }
  }
  if (static_cast<int64_t>(samples.size()) != planned.count) {
    return DataLoss(name + ": holds samples of another unit");
  }
  const std::vector<int64_t> offsets = tensors.at("sequence_offsets").Integers();
  const std::vector<int64_t> positions = tensors.at("positions").Integers();
  if (offsets.back() != commit.token_count ||
      static_cast<int64_t>(positions.size()) != commit.token_count) {
    return DataLoss(name + ": token count is not that of its commit");
  }
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const bool all_are_stored = commit.token_count == commit.forward_token_count;
    int64_t least = 0;
    for (int64_t t = offsets[s]; t < offsets[s + 1]; ++t) {
      const int64_t position = positions[static_cast<size_t>(t)];
      if (position < least || (all_are_stored && position != least)) {
        return DataLoss(name + ": positions do not count from 0 in each sequence");
      }
      least = position + 1;
    }
  }
  return OkStatus();
}

}  // namespace

std::vector<float> TensorContent::Floats() const {
  THRESHER_CHECK(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBf16);
  const auto count = static_cast<int64_t>(bytes.size()) / DTypeBytes(dtype);
  std::vector<float> values(static_cast<size_t>(count));
  if (count > 0) DecodeRows(AsBytes(bytes).data(), nullptr, 1, count, dtype, values.data());
  return values;
}

std::vector<int64_t> TensorContent::Integers() const {
  std::vector<int64_t> values;
  const auto width = static_cast<size_t>(DTypeBytes(dtype));
  for (size_t at = 0; at < bytes.size(); at += width) {
    if (dtype == DType::kI64) {
      int64_t value = 0;
      std::memcpy(&value, bytes.data() + at, width);
      values.push_back(value);
    } else {
      THRESHER_CHECK(dtype == DType::kI32);
      int32_t value = 0;
      std::memcpy(&value, bytes.data() + at, width);
      values.push_back(value);
    }
  }
  return values;
}

Result<TensorFile> ReadTensorFile(const std::string& path) {
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  return ReadTensors(file.bytes());
}

Result<RunContent> ReadRun(Store& store) {
  ASSIGN_OR_RETURN(Run run, LoadRun(store));
  RunContent content{.run = std::move(run), .units = {}};
  ASSIGN_OR_RETURN(const std::vector<int64_t> units,
                   ListUnits(store, kCommitsPrefix, content.run.plan.unit_count()));
  for (const int64_t unit : units) {
    ASSIGN_OR_RETURN(const Commit commit, ReadCommit(store, unit));
    ASSIGN_OR_RETURN(const std::string shard, store.GetText(commit.shard));
    ASSIGN_OR_RETURN(TensorFile tensors, ReadTensors(AsBytes(shard)));
    RETURN_IF_ERROR(CheckShard(commit, AsBytes(shard), tensors));
    if (commit.unit != unit || commit.run_fingerprint != content.run.fingerprint) {
      return DataLoss(CommitKey(unit) + ": of another unit or run");
    }
    RETURN_IF_ERROR(CheckSamples(commit, content.run.plan.Samples(unit), tensors));
    content.units.push_back({commit, std::move(tensors)});
  }
  return content;
}

Result<RunContent> ReadRun(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(folder));
  return ReadRun(*store);
}

Result<RunContent> ReadCompleteRun(Store& store) {
  ASSIGN_OR_RETURN(RunContent content, ReadRun(store));
  const int64_t unit_count = content.run.plan.unit_count();
  if (static_cast<int64_t>(content.units.size()) != unit_count) {
    return FailedPrecondition(
        fmt::format("{} of {} units are committed", content.units.size(), unit_count));
  }
  RETURN_IF_ERROR(store.Stat(kManifestKey).status());
  return content;
}

Result<RunContent> ReadCompleteRun(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(folder));
  return ReadCompleteRun(*store);
}

std::map<int64_t, SampleContent> RunContent::Samples() const {
  std::map<int64_t, SampleContent> samples;
  for (const UnitContent& unit : units) {
    const std::vector<int64_t> index = unit.tensors.at("sample_index").Integers();
    const std::vector<int64_t> offsets = unit.tensors.at("sequence_offsets").Integers();
    const std::vector<int64_t> ids = unit.tensors.at("token_ids").Integers();
    for (size_t s = 0; s < index.size(); ++s) {
      std::vector<int64_t>& token_ids = samples[index[s]].token_ids;
      token_ids.insert(token_ids.end(), ids.begin() + offsets[s], ids.begin() + offsets[s + 1]);
    }
    for (const std::string& hook : run.spec.capture.hooks) {
      const TensorContent& tensor = unit.tensors.at(hook);
      const std::vector<float> values = tensor.Floats();
      const int64_t width = tensor.shape.at(1);
      for (size_t s = 0; s < index.size(); ++s) {
        std::vector<float>& rows = samples[index[s]].hooks[hook];
        rows.insert(rows.end(), values.begin() + offsets[s] * width,
                    values.begin() + offsets[s + 1] * width);
      }
    }
  }
  return samples;
}

std::map<int64_t, std::string> RunContent::Rejected() const {
  std::map<int64_t, std::string> rejected;
  for (const UnitContent& unit : units) {
    for (const RejectedSample& sample : unit.commit.rejected) {
      rejected[sample.sample] = sample.reason;
    }
  }
  return rejected;
}

std::string DifferenceBetween(const RunContent& expected, const RunContent& found) {
  if (expected.run.fingerprint != found.run.fingerprint) return "the runs' fingerprints differ";
  if (expected.units.size() != found.units.size()) {
    return fmt::format("{} units, not {}", found.units.size(), expected.units.size());
  }
  for (size_t unit = 0; unit < expected.units.size(); ++unit) {
    const UnitContent& a = expected.units[unit];
    const UnitContent& b = found.units[unit];
    if (a.commit.unit != b.commit.unit) return "not the same units";
    if (a.tensors.size() != b.tensors.size()) return "not the same tensors";
    for (const auto& [name, tensor] : a.tensors) {
      const auto other = b.tensors.find(name);
      if (other == b.tensors.end() || other->second.dtype != tensor.dtype ||
          other->second.shape != tensor.shape || other->second.bytes != tensor.bytes) {
        return UnitName(a.commit.unit) + ": tensor " + name + " differs";
      }
    }
    if (a.commit.checksum != b.commit.checksum) {
      return UnitName(a.commit.unit) + ": the same tensors in another file";
    }
  }
  return "";
}

}  // namespace thresher
