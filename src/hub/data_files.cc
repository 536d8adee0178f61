#include "hub/data_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include "base/glob.h"

namespace thresher {
namespace {

using Paths = std::vector<std::string>;

constexpr size_t kMostNamesShown = 8;

// The kinds of data files, the preferred one first.
struct Format {
  std::string_view name;
  std::vector<std::string_view> endings;
  bool may_be_compressed;
};

const std::array<Format, 4>& Formats() {
  static const std::array<Format, 4> kFormats = {{
      {"*.parquet", {".parquet"}, false},
      {"*.jsonl", {".jsonl", ".ndjson"}, true},
      {"*.json", {".json"}, true},
      {"*.txt", {".txt"}, true},
  }};
  return kFormats;
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

bool HasFormat(const std::string& path, const Format& format) {
  std::string name = LowerCase(path);
  if (format.may_be_compressed) {
    for (const std::string_view ending : {".gz", ".zst"}) {
      if (name.ends_with(ending)) {
        name.resize(name.size() - ending.size());
        break;
      }
    }
  }
  return std::any_of(format.endings.begin(), format.endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

bool IsDataFile(const std::string& path) {
  const auto& formats = Formats();
  return std::any_of(formats.begin(), formats.end(),
                     [&](const Format& format) { return HasFormat(path, format); });
}

// Files about the data set, and those in hidden folders.
bool IsAboutData(std::string_view path) {
  const std::string name = LowerCase(path.substr(path.rfind('/') + 1));
  for (const std::string_view other :
       {"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json",
        "croissant.json", "readme.txt", "license.txt", "notice.txt", "requirements.txt",
        "citation.txt"}) {
    if (name == other) return true;
  }
  for (size_t at = 0; at < path.size();) {
    if (path.substr(at).starts_with(".") || path.substr(at).starts_with("__")) return true;
    const size_t slash = path.find('/', at);
    if (slash == path.npos) return false;
    at = slash + 1;
  }
  return false;
}

enum class Split { kNone, kTrain, kOther };

Split SplitOfWord(std::string_view word) {
  if (word == "train" || word == "training") return Split::kTrain;
  for (const std::string_view other :
       {"validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation"}) {
    if (word == other) return Split::kOther;
  }
  return Split::kNone;
}

// By the last word of the path that names a split.
Split SplitOf(std::string_view path) {
  const std::string text = LowerCase(path);
  Split split = Split::kNone;
  std::string word;
  for (size_t at = 0; at <= text.size(); ++at) {
    const bool is_end = at == text.size() ||
                        std::string_view("-_. /0123456789").find(text[at]) != std::string::npos;
    if (!is_end) {
      word += text[at];
      continue;
    }
    if (const Split found = SplitOfWord(word); found != Split::kNone) split = found;
    word.clear();
  }
  return split;
}

std::string Some(const Paths& paths) {
  const size_t shown = std::min(paths.size(), kMostNamesShown);
  std::string text = fmt::format("{}", fmt::join(std::span(paths).first(shown), ", "));
  if (shown < paths.size()) text += fmt::format(" and {} more", paths.size() - shown);
  return text;
}

template <typename Keep>
Paths Filtered(const Paths& paths, const Keep& keep) {
  Paths kept;
  std::copy_if(paths.begin(), paths.end(), std::back_inserter(kept), keep);
  return kept;
}

Status NoneOf(const HubAddress& address, std::string_view what, const Paths& found) {
  return NotFound(fmt::format("{}: {}; it {}", address.Text(), what,
                              found.empty()
                                  ? std::string("has no files at all")
                                  : fmt::format("has {} files: {}", found.size(), Some(found))));
}

// Says so where files come from several folders, which often are several data sets in one.
void NoticeFolders(const HubAddress& address, DataFileChoice& choice) {
  std::map<std::string, int> folders;
  for (const std::string& path : choice.paths) {
    const size_t slash = path.rfind('/');
    ++folders[slash == path.npos ? "." : path.substr(0, slash)];
  }
  if (folders.size() < 2) return;
  Paths texts;
  for (const auto& [folder, count] : folders)
    texts.push_back(fmt::format("{} ({})", folder, count));
  choice.notices.push_back(fmt::format(
      "{}: takes files of {} folders together: {}; if they are different data sets, name one: "
      "{}/{}",
      address.Text(), folders.size(), Some(texts), address.Text(), folders.rbegin()->first));
}

// `prefix_bytes`: of the folder that was named, whose own name says nothing about splits.
Result<DataFileChoice> Choose(const Paths& candidates, size_t prefix_bytes,
                              const HubAddress& address) {
  const Paths data = Filtered(candidates, [&](const std::string& path) {
    return IsDataFile(path) && !IsAboutData(std::string_view(path).substr(prefix_bytes));
  });
  if (data.empty()) {
    return NoneOf(address, "no data files (Parquet, JSONL, JSON or text) here", candidates);
  }
  const auto split = [&](const std::string& path) {
    return SplitOf(std::string_view(path).substr(prefix_bytes));
  };
  DataFileChoice choice;
  std::string taken;
  for (const Format& format : Formats()) {
    choice.paths = Filtered(data, [&](const std::string& path) { return HasFormat(path, format); });
    taken = format.name;
    if (!choice.paths.empty()) break;
  }
  const Paths train =
      Filtered(choice.paths, [&](const std::string& path) { return split(path) == Split::kTrain; });
  if (!train.empty() && train.size() < choice.paths.size()) {
    choice.paths = train;
    taken += " of the split train";
  }
  const Paths left = Filtered(data, [&](const std::string& path) {
    return !std::binary_search(choice.paths.begin(), choice.paths.end(), path);
  });
  if (!left.empty()) {
    choice.notices.push_back(fmt::format(
        "{}: takes {} of {} data files: {}; not {}; name a folder, file or glob for another choice",
        address.Text(), choice.paths.size(), data.size(), taken, Some(left)));
  }
  NoticeFolders(address, choice);
  return choice;
}

}  // namespace

Result<DataFileChoice> ChooseDataFiles(const std::vector<std::string>& paths,
                                       const HubAddress& address) {
  const std::string& wanted = address.path;
  if (wanted.empty()) return Choose(paths, 0, address);
  if (std::find(paths.begin(), paths.end(), wanted) != paths.end())
    return DataFileChoice{{wanted}, {}};
  const std::string folder = wanted + "/";
  const Paths inside =
      Filtered(paths, [&](const std::string& path) { return path.starts_with(folder); });
  if (!inside.empty()) return Choose(inside, folder.size(), address);
  if (!IsGlob(wanted)) return NoneOf(address, "there is no such file or folder", paths);
  DataFileChoice choice;
  choice.paths = Filtered(paths, [&](const std::string& path) {
    return IsDataFile(path) && MatchesGlob(wanted, path);
  });
  if (choice.paths.empty()) return NoneOf(address, "no data file fits", paths);
  return choice;
}

}  // namespace thresher
