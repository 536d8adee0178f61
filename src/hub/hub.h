#ifndef THRESHER_HUB_HUB_H_
#define THRESHER_HUB_HUB_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "hub/address.h"
#include "hub/hub_client.h"
#include "hub/hub_settings.h"

namespace thresher {

// How far the files of one call are.
struct HubProgress {
  std::string file;         // the one that grew last
  int64_t bytes_done = 0;   // of all files that had to be fetched
  int64_t bytes_total = 0;  // of the same
};

// Both may be empty. They are called from several threads, one at a time; keep them short.
struct HubCallbacks {
  std::function<void(const std::string& message)> on_warning = {};
  std::function<void(const HubProgress& progress)> on_progress = {};
};

// Models and data sets of a Hugging Face Hub as local files, in the cache that huggingface_hub uses
// too (laid out in hub_cache.h). What is there already is not fetched again. Files are checked by
// size and SHA-256 (or git's SHA-1) before they get their names; a fetch that was killed goes on
// where it was; processes that fetch the same file at the same time fetch it once.
//
//   ASSIGN_OR_RETURN(HubAddress address, ParseHubAddress("hf://datasets/openai/gsm8k/main"));
//   ASSIGN_OR_RETURN(const Hub hub, Hub::Create(HubSettings::FromEnvironment()));
//   ASSIGN_OR_RETURN(address.revision, hub.ResolveCommit(address));  // the same for all workers
//   ASSIGN_OR_RETURN(const std::vector<std::string> files, hub.FetchDataset(address));
//
// Requests: none when offline, and none for a revision that is a commit hash all of whose files are
// here; else one for the commit, and for a new commit one for each 1,000 of its files. When the
// hub cannot be reached, what the revision meant last is used with a warning.
//
// Errors: kInvalidArgument, kNotFound, kPermissionDenied (gated or private), kUnavailable (worth
// trying again), kDataLoss (wrong bytes, twice), kResourceExhausted (disk), kFailedPrecondition.
// Messages hold no token. Any thread may call any function.
class Hub {
 public:
  // `clock` outlives the hub.
  static Result<Hub> Create(HubSettings settings, HubCallbacks callbacks = {},
                            Clock& clock = Clock::Real());

  // The commit (40 digits) that the address' revision means now.
  Result<std::string> ResolveCommit(const HubAddress& address) const;

  // The folder of the model's snapshot, with config.json, tokenizer.json, tokenizer_config.json,
  // chat_template.jinja, generation_config.json and special_tokens_map.json as far as the
  // repository has them (config.json it must have), and the weights: model.safetensors, or
  // model.safetensors.index.json and the files that it names. Nothing else is fetched.
  Result<std::string> FetchModel(const HubAddress& address) const;

  // The data files that the address means (data_files.h), as paths in the snapshot's folder,
  // sorted: at least one.
  Result<std::vector<std::string>> FetchDataset(const HubAddress& address) const;

 private:
  Hub(HubSettings settings, HubCallbacks callbacks, HubClient client);

  HubSettings settings_;
  HubCallbacks callbacks_;
  HubClient client_;
};

}  // namespace thresher

#endif  // THRESHER_HUB_HUB_H_
