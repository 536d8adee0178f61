#include "dashboard/run_list.h"

#include "work/keys.h"

namespace thresher {
namespace {

// Sorts after every key of a folder: the last code point there is.
constexpr const char* kLastCharacter = "\xf4\x8f\xbf\xbf";
// A bucket of other things is not searched for ever.
constexpr int kMostFolders = 2'000;

}  // namespace

Result<std::vector<FoundRun>> FindRuns(Store& store) {
  std::vector<FoundRun> runs;
  const Result<ObjectInfo> own = store.Stat(kRunKey);
  if (own.ok()) return std::vector<FoundRun>{{"", own->modified_ms}};
  if (own.status().code() != Code::kNotFound) return own.status();
  std::string after;
  for (int i = 0; i < kMostFolders && runs.size() < kMostListedRuns; ++i) {
    ASSIGN_OR_RETURN(const ListPage page, store.List("", after, 1));
    if (page.objects.empty()) break;
    const std::string& key = page.objects.front().key;
    const size_t slash = key.find('/');
    if (slash == std::string::npos) {
      after = key;
      continue;
    }
    const std::string folder = key.substr(0, slash);
    const Result<ObjectInfo> run = store.Stat(folder + "/" + std::string(kRunKey));
    if (run.ok()) {
      runs.push_back({folder, run->modified_ms});
    } else if (run.status().code() != Code::kNotFound) {
      return run.status();
    }
    after = folder + "/" + kLastCharacter;
  }
  return runs;
}

}  // namespace thresher
