#include "cli/run_folder.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "base/byte_size.h"
#include "store/notice_store.h"
#include "work/keys.h"

namespace thresher {

Result<std::unique_ptr<Store>> OpenStoreForPeople(const std::string& url,
                                                  const StoreOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenStore(url, options));
  return WithNotices(std::move(store), [](const std::string& line) {
    std::fprintf(stderr, "thresher: %s\n", line.c_str());
  });
}

Result<std::unique_ptr<Store>> OpenRunFolder(const std::string& url, const StoreOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenStoreForPeople(url, options));
  const Result<ObjectInfo> spec = store->Stat(kRunKey);
  if (spec.ok()) return store;
  if (spec.status().code() != Code::kNotFound) {
    return spec.status().WithContext("reading run.json in " + store->url());
  }
  return NotFound("no run at " + store->url() +
                  ": a run's folder holds run.json, plan/, commits/ and shards below tpu_0/, "
                  "tpu_1/, ...; give what --output of thresher extract was");
}

std::string TokensText(int64_t stored, int64_t read) {
  if (stored == read) return FormatCount(stored);
  return fmt::format("{} stored of {} read", FormatCount(stored), FormatCount(read));
}

}  // namespace thresher
