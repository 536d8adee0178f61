#include "engine/pjrt/executable_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>
#include <system_error>

#include "base/fingerprint.h"

namespace thresher {
namespace {

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Size and time of change stand for the library's content: it is hundreds of MB.
std::string LibraryIdentity(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  const auto changed = std::filesystem::last_write_time(path, error);
  return fmt::format("{} {}", bytes, changed.time_since_epoch().count());
}

// The line of /proc/cpuinfo that names what the processor can do.
std::string ProcessorFlags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags")) return line;
  }
  return "";
}

// A file: the fingerprint of the bytes, a newline, the bytes.
std::optional<std::string> ReadKept(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string fingerprint;
  if (!file || !std::getline(file, fingerprint)) return std::nullopt;
  std::ostringstream content;
  content << file.rdbuf();
  std::string bytes = std::move(content).str();
  if (FingerprintOf(BytesOf(bytes)) != fingerprint) return std::nullopt;
  return bytes;
}

void Keep(const std::string& path, const std::string& bytes) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  const std::string partial = fmt::format("{}.{}.partial", path, getpid());
  {
    std::ofstream file(partial, std::ios::binary);
    file << FingerprintOf(BytesOf(bytes)) << '\n' << bytes;
    if (!file.flush()) {
      file.close();
      std::filesystem::remove(partial, error);
      return;
    }
  }
  std::filesystem::rename(partial, path, error);
}

}  // namespace

std::string ExecutableCache::PathOf(std::string_view module, const CompileOptions& options) const {
  Fingerprinter fingerprint;
  fingerprint.AddField(module);
  fingerprint.AddField(SerializeCompileOptions(options));
  fingerprint.AddField(client_.plugin().api_version());
  fingerprint.AddField(LibraryIdentity(client_.plugin().path()));
  fingerprint.AddField(client_.platform());
  fingerprint.AddField(client_.platform_version());
  fingerprint.AddField(client_.devices().front().kind);
  fingerprint.AddField(client_.platform() == "cpu" ? ProcessorFlags() : "");
  const std::string text = fingerprint.Finish();
  return folder_ + "/" + text.substr(text.find(':') + 1) + ".executable";
}

Result<PjrtExecutable> ExecutableCache::Get(std::string_view module,
                                            const CompileOptions& options) {
  const std::string path = folder_.empty() ? "" : PathOf(module, options);
  if (!path.empty()) {
    if (const std::optional<std::string> bytes = ReadKept(path)) {
      Result<PjrtExecutable> executable = client_.Deserialize(*bytes, options);
      if (executable.ok()) {
        ++found_;
        return executable;
      }
    }
  }
  ASSIGN_OR_RETURN(PjrtExecutable executable, client_.Compile(module, options));
  ++compiled_;
  if (!path.empty()) {
    // Not every plug-in can.
    const Result<std::string> bytes = executable.Serialize();
    if (bytes.ok()) Keep(path, *bytes);
  }
  return executable;
}

}  // namespace thresher
