#include "hub/local_copy.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/byte_size.h"
#include "base/clock.h"
#include "hub/address.h"
#include "hub/hub.h"

namespace thresher {
namespace {

// A line every few seconds while something is fetched.
std::function<void(const HubProgress&)> LinesOf(const HubEvents& events) {
  constexpr int64_t kIntervalMs = 5'000;
  const int64_t begin_ms = Clock::Real().MonotonicMs();
  return [events, begin_ms, next_ms = begin_ms + kIntervalMs](const HubProgress& progress) mutable {
    const int64_t now_ms = Clock::Real().MonotonicMs();
    if (now_ms < next_ms) return;
    next_ms = now_ms + kIntervalMs;
    const double bytes_per_ms =
        static_cast<double>(progress.bytes_done) / static_cast<double>(now_ms - begin_ms);
    const auto left_bytes = static_cast<double>(progress.bytes_total - progress.bytes_done);
    events(fmt::format(
        "fetching {}: {} of {}, {}/s, {} left", progress.file,
        FormatBytes(static_cast<double>(progress.bytes_done)),
        FormatBytes(static_cast<double>(progress.bytes_total)), FormatBytes(bytes_per_ms * 1000),
        bytes_per_ms > 0 ? FormatDuration(static_cast<int64_t>(left_bytes / bytes_per_ms)) : "?"));
  };
}

Result<Hub> OpenHub(const HubEvents& events) {
  HubCallbacks callbacks;
  if (events) callbacks = {.on_warning = events, .on_progress = LinesOf(events)};
  return Hub::Create(HubSettings::FromEnvironment(), std::move(callbacks));
}

}  // namespace

Result<std::string> LocalModelFolder(const std::string& model, const HubEvents& events) {
  if (!IsHubAddress(model)) return model;
  ASSIGN_OR_RETURN(const HubAddress address, ParseHubAddress(model));
  if (address.kind != HubKind::kModel) {
    return InvalidArgument(model + " is a data set; --model takes hf://owner/name");
  }
  ASSIGN_OR_RETURN(const Hub hub, OpenHub(events));
  return hub.FetchModel(address);
}

Result<LocalDataset> FetchHubDataset(const std::string& address_text, const HubEvents& events) {
  ASSIGN_OR_RETURN(HubAddress address, ParseHubAddress(address_text));
  if (address.kind != HubKind::kDataset) {
    return InvalidArgument(address_text +
                           " is a model; a data set is hf://datasets/owner/name[@revision][/path]");
  }
  ASSIGN_OR_RETURN(const Hub hub, OpenHub(events));
  ASSIGN_OR_RETURN(address.revision, hub.ResolveCommit(address));
  ASSIGN_OR_RETURN(std::vector<std::string> paths, hub.FetchDataset(address));
  return LocalDataset{address.Text(), std::move(paths)};
}

}  // namespace thresher
