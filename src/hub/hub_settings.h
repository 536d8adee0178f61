#ifndef THRESHER_HUB_HUB_SETTINGS_H_
#define THRESHER_HUB_HUB_SETTINGS_H_

#include <cstdint>
#include <string>

namespace thresher {

// How to reach a hub and where its files are kept. The environment variables are those of
// huggingface_hub, with the same meaning, so that files and accounts are shared with it.
struct HubSettings {
  // HF_ENDPOINT; without a slash at the end.
  std::string endpoint = "https://huggingface.co";

  // Sent to the endpoint and to nobody else; "" for none. HF_TOKEN, else HUGGING_FACE_HUB_TOKEN,
  // else the file HF_TOKEN_PATH ($HF_HOME/token); none at all with HF_HUB_DISABLE_IMPLICIT_TOKEN.
  std::string token = {};

  // HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else $HF_HOME/hub, where HF_HOME is
  // $XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface. "~" and "$NAME" in them are expanded.
  std::string cache_folder = {};

  // HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE): no request is ever sent.
  bool offline = false;

  // Files come in pieces of this size, of which at most so many are in memory at once.
  int64_t piece_bytes = 16 << 20;
  int64_t parallel_pieces = 8;

  // How long a request is tried again while nobody answers or the server is in trouble, and how
  // long when it asks to be asked less often (status 429).
  int64_t retry_budget_ms = 60'000;
  int64_t rate_limit_budget_ms = 600'000;

  static HubSettings FromEnvironment();
};

}  // namespace thresher

#endif  // THRESHER_HUB_HUB_SETTINGS_H_
