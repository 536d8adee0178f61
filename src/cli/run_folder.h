#ifndef THRESHER_CLI_RUN_FOLDER_H_
#define THRESHER_CLI_RUN_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "store/store.h"

namespace thresher {

// OpenStore, which says on the standard error stream when a cloud does not answer.
Result<std::unique_ptr<Store>> OpenStoreForPeople(const std::string& url,
                                                  const StoreOptions& options);

// Opens the folder of an existing run. kNotFound, saying what a run's folder looks like, if `url`
// holds none.
Result<std::unique_ptr<Store>> OpenRunFolder(const std::string& url, const StoreOptions& options);

// "1,234", or "1,234 stored of 20,000 read" where only some rows are stored.
std::string TokensText(int64_t stored, int64_t read);

}  // namespace thresher

#endif  // THRESHER_CLI_RUN_FOLDER_H_
