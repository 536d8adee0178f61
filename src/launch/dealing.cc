#include "launch/dealing.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

namespace thresher {
namespace {

int NumberInFile(const std::string& path, int otherwise) {
  std::ifstream file(path);
  int number = 0;
  return file >> number ? number : otherwise;
}

// Where share `index` of `shares` begins among `count` things.
size_t ShareBegin(size_t count, size_t shares, size_t index) { return count * index / shares; }

bool IsVariableName(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  };
  return !name.empty() && is_letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
  });
}

}  // namespace

std::vector<Processor> UsableProcessors() {
  std::vector<Processor> processors;
  cpu_set_t usable;
  CPU_ZERO(&usable);
  const bool is_known = sched_getaffinity(0, sizeof(usable), &usable) == 0;
  const int count = is_known ? CPU_SETSIZE : static_cast<int>(std::thread::hardware_concurrency());
  for (int number = 0; number < count; ++number) {
    if (is_known && !CPU_ISSET(number, &usable)) continue;
    const std::string topology = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", number);
    processors.push_back({.number = number,
                          .package = NumberInFile(topology + "physical_package_id", 0),
                          .core = NumberInFile(topology + "core_id", number)});
  }
  return processors;
}

std::vector<std::vector<int>> DealProcessors(std::vector<Processor> processors, int64_t workers) {
  std::sort(processors.begin(), processors.end(), [](const Processor& a, const Processor& b) {
    return std::tie(a.package, a.core, a.number) < std::tie(b.package, b.core, b.number);
  });
  std::vector<std::vector<int>> cores;
  for (size_t i = 0; i < processors.size(); ++i) {
    const bool is_new_core = i == 0 || processors[i].package != processors[i - 1].package ||
                             processors[i].core != processors[i - 1].core;
    if (is_new_core) cores.emplace_back();
    cores.back().push_back(processors[i].number);
  }
  const auto worker_count = static_cast<size_t>(workers);
  // Too few whole cores: a core's processors are dealt out one by one.
  if (cores.size() < worker_count) {
    cores.clear();
    for (const Processor& processor : processors) cores.push_back({processor.number});
  }
  std::vector<std::vector<int>> shares(worker_count);
  for (size_t worker = 0; worker < worker_count && !cores.empty(); ++worker) {
    if (cores.size() < worker_count) {
      shares[worker] = cores[worker % cores.size()];
      continue;
    }
    const size_t end = ShareBegin(cores.size(), worker_count, worker + 1);
    for (size_t i = ShareBegin(cores.size(), worker_count, worker); i < end; ++i) {
      shares[worker].insert(shares[worker].end(), cores[i].begin(), cores[i].end());
    }
  }
  return shares;
}

Result<Devices> ParseDevices(std::string_view text) {
  const auto wrong = [&] {
    return InvalidArgument(fmt::format(
        "--devices: expected a variable and device numbers, such as CUDA_VISIBLE_DEVICES=0,1,2,3, "
        "found '{}'",
        text));
  };
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return wrong();
  Devices devices{.variable = std::string(text.substr(0, equals)), .numbers = {}};
  if (!IsVariableName(devices.variable)) return wrong();
  std::string_view rest = text.substr(equals + 1);
  while (true) {
    const size_t comma = rest.find(',');
    const std::string number(rest.substr(0, comma));
    const bool is_number =
        !number.empty() && number.find_first_not_of("0123456789") == std::string::npos;
    if (!is_number) return wrong();
    if (std::find(devices.numbers.begin(), devices.numbers.end(), number) !=
        devices.numbers.end()) {
      return InvalidArgument("--devices: device " + number + " is named twice");
    }
    devices.numbers.push_back(number);
    if (comma == std::string_view::npos) return devices;
    rest.remove_prefix(comma + 1);
  }
}

Result<std::vector<std::string>> DealDevices(const Devices& devices, int64_t workers) {
  const size_t device_count = devices.numbers.size();
  const auto worker_count = static_cast<size_t>(workers);
  if (device_count < worker_count) {
    return InvalidArgument(
        fmt::format("--devices: {} devices for {} workers; start at most one worker for each",
                    device_count, workers));
  }
  std::vector<std::string> shares(worker_count);
  for (size_t worker = 0; worker < worker_count; ++worker) {
    const size_t end = ShareBegin(device_count, worker_count, worker + 1);
    for (size_t i = ShareBegin(device_count, worker_count, worker); i < end; ++i) {
      shares[worker] += (shares[worker].empty() ? "" : ",") + devices.numbers[i];
    }
  }
  return shares;
}

std::string FlagOfWorker(const std::string& flag, int64_t index) {
  if (flag.starts_with("--metrics-port=")) {
    const size_t digits = flag.find_last_not_of("0123456789") + 1;
    int64_t port = 0;
    const char* const end = flag.data() + flag.size();
    const auto [last, error] = std::from_chars(flag.data() + digits, end, port);
    // Port 0 is whichever is free.
    if (error != std::errc() || last != end || port == 0) return flag;
    return flag.substr(0, digits) + std::to_string(port + index);
  }
  if (flag.starts_with("--trace=")) {
    std::filesystem::path path = flag.substr(flag.find('=') + 1);
    path.replace_filename(
        fmt::format("{}-{}{}", path.stem().string(), index, path.extension().string()));
    return "--trace=" + path.string();
  }
  return flag;
}

}  // namespace thresher
