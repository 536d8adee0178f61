#include "plugins/plugin_library.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "base/digest.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "store/posix_file.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kReadBytes = size_t{4} << 20;
constexpr const char* kRecordFile = "plugin.json";

std::string InstallHint(const PluginSpec& spec) {
  return "; install it with: thresher plugins install " + spec.name;
}

Result<std::vector<std::string>> TextsOf(const nlohmann::json& record, const char* name) {
  std::vector<std::string> texts;
  if (!HasField(record, name) || !record[name].is_array()) {
    return FieldError(record, name, "a list");
  }
  for (const nlohmann::json& entry : record[name]) {
    if (!entry.is_string()) return FieldError(record, name, "a list of texts");
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

Result<PluginRecord> ParseRecord(std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(text));
  if (!json.is_object()) return InvalidArgument("expected an object");
  PluginRecord record;
  ASSIGN_OR_RETURN(record.name, StringField(json, "plugin"));
  ASSIGN_OR_RETURN(record.version, StringField(json, "version"));
  ASSIGN_OR_RETURN(record.library, StringField(json, "library"));
  ASSIGN_OR_RETURN(record.wheels, TextsOf(json, "wheels"));
  if (!HasField(json, "files") || !json["files"].is_array()) {
    return FieldError(json, "files", "a list");
  }
  for (const nlohmann::json& entry : json["files"]) {
    if (!entry.is_object()) return FieldError(json, "files", "a list of objects");
    PluginFile file;
    ASSIGN_OR_RETURN(file.path, StringField(entry, "path"));
    ASSIGN_OR_RETURN(file.bytes, IntegerField(entry, "bytes", 0, int64_t{1} << 50));
    ASSIGN_OR_RETURN(file.sha256, StringField(entry, "sha256"));
    record.files.push_back(std::move(file));
  }
  return record;
}

// What is wrong with an installed file, or nothing.
std::optional<std::string> Damage(const std::string& folder, const PluginFile& file,
                                  bool checks_bytes) {
  const std::string path = folder + "/" + file.path;
  std::error_code error;
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (error) return fmt::format("{}: {}", path, error.message());
  if (bytes != file.bytes) {
    return fmt::format("{} has {} bytes instead of {}", path, bytes, file.bytes);
  }
  if (!checks_bytes) return std::nullopt;
  const Result<std::string> sha256 = FileSha256(path);
  if (!sha256.ok()) return sha256.status().message();
  if (*sha256 == file.sha256) return std::nullopt;
  return path + " has other bytes than were installed";
}

}  // namespace

std::string DefaultPluginFolder() {
  if (const char* folder = std::getenv("THRESHER_PLUGINS"); folder != nullptr && *folder != '\0') {
    return folder;
  }
  const char* caches = std::getenv("XDG_CACHE_HOME");
  if (caches != nullptr && *caches != '\0') return std::string(caches) + "/thresher/plugins";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.cache/thresher/plugins";
}

int64_t PluginRecord::total_bytes() const {
  int64_t total = 0;
  for (const PluginFile& file : files) total += file.bytes;
  return total;
}

std::string PluginPath(const std::string& folder, const PluginSpec& spec) {
  return fmt::format("{}/{}-{}", folder, spec.name, spec.version());
}

std::string PluginRecordJson(const PluginRecord& record) {
  Json files = Json::array();
  for (const PluginFile& file : record.files) {
    files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  const Json json = {{"plugin", record.name},
                     {"version", record.version},
                     {"library", record.library},
                     {"wheels", record.wheels},
                     {"files", std::move(files)}};
  return json.dump(1) + "\n";
}

Result<PluginRecord> ReadPlugin(const std::string& folder, const PluginSpec& spec,
                                bool checks_bytes) {
  const std::string path = PluginPath(folder, spec);
  const std::string record_path = path + "/" + kRecordFile;
  const Result<MappedFile> file = MappedFile::Open(record_path);
  if (!file.ok()) {
    const Status& status = file.status();
    if (status.code() != Code::kNotFound) return status;
    return NotFound(fmt::format("the plug-in {} {} is not in {}{}", spec.name, spec.version(),
                                folder, InstallHint(spec)));
  }
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()),
                              file->bytes().size());
  Result<PluginRecord> record = ParseRecord(text);
  if (!record.ok()) {
    return DataLoss(record_path + ": " + record.status().message() + InstallHint(spec));
  }
  std::vector<std::string> wheels;
  for (const Wheel& wheel : spec.wheels) wheels.push_back(wheel.sha256);
  if (record->wheels != wheels || record->library != spec.library) {
    return DataLoss(path + " was made from other wheels than this program was tried with" +
                    InstallHint(spec));
  }
  for (const PluginFile& entry : record->files) {
    const std::optional<std::string> damage = Damage(path, entry, checks_bytes);
    if (damage) return DataLoss(*damage + InstallHint(spec));
  }
  return record;
}

Result<std::string> FindPlugin(std::string_view name, const std::string& folder) {
  ASSIGN_OR_RETURN(const PluginSpec spec, FindPluginSpec(name));
  ASSIGN_OR_RETURN(const PluginRecord record, ReadPlugin(folder, spec));
  return PluginPath(folder, spec) + "/" + record.library;
}

Result<std::string> FileSha256(const std::string& path) {
  FileDescriptor file = OpenFile(path, O_RDONLY);
  if (!file.valid()) return FileError(errno, "open", path);
  Digest digest(Digest::Kind::kSha256);
  std::vector<std::byte> buffer(kReadBytes);
  int64_t offset = 0;
  while (true) {
    ASSIGN_OR_RETURN(const size_t count, ReadAt(file, path, offset, buffer));
    digest.Update(std::span(buffer).first(count));
    offset += static_cast<int64_t>(count);
    if (count < buffer.size()) return digest.FinishHex();
  }
}

}  // namespace thresher
