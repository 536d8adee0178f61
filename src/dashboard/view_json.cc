#include "dashboard/view_json.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "monitor/status_json.h"

namespace thresher {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMapCells = 2'000;

int AttentionRank(const std::string& state) {
  if (state == "silent" || state == "lost") return 0;
  if (state == "running" || state == "ending") return 1;
  return 2;
}

// Those that need attention first, then those that work; of each by worker id.
void Shorten(Json& workers, size_t max_workers) {
  if (workers.size() <= max_workers) return;
  auto& list = workers.get_ref<Json::array_t&>();
  std::stable_sort(list.begin(), list.end(), [](const Json& a, const Json& b) {
    return AttentionRank(a["state"].get<std::string>()) <
           AttentionRank(b["state"].get<std::string>());
  });
  list.resize(max_workers);
}

void AddSparks(const RunView& view, Json& workers) {
  for (Json& worker : workers) {
    Json spark = Json::array();
    const auto found = view.sparks->find(worker["session"].get<std::string>());
    if (found != view.sparks->end()) {
      for (const float value : found->second) spark.push_back(std::lround(value));
    }
    worker["spark"] = std::move(spark);
  }
}

}  // namespace

Json UnitMapJson(const RunStatus& status, int64_t max_cells) {
  const auto count = static_cast<int64_t>(status.units.size());
  const int64_t per_cell = std::max<int64_t>(1, (count + max_cells - 1) / max_cells);
  Json json = {{"units_per_cell", per_cell}};
  if (per_cell == 1) {
    std::string states;
    for (const UnitCondition state : status.units) {
      states += static_cast<char>('0' + static_cast<int>(state));
    }
    json["states"] = states;
    return json;
  }
  json["cells"] = Json::array();
  for (int64_t begin = 0; begin < count; begin += per_cell) {
    std::array<int64_t, kUnitConditions> counts = {};
    for (int64_t unit = begin; unit < std::min(count, begin + per_cell); ++unit) {
      ++counts[static_cast<size_t>(status.units[static_cast<size_t>(unit)])];
    }
    json["cells"].push_back(counts);
  }
  return json;
}

Json EventsJson(const RunView& view, int64_t after_number) {
  Json events = Json::array();
  for (const RunEvent& event : view.events) {
    if (event.number <= after_number) continue;
    events.push_back({{"number", event.number},
                      {"unix_ms", event.unix_ms},
                      {"level", event.level == EventLevel::kWarning ? "warning" : "info"},
                      {"text", event.text}});
  }
  return events;
}

Json ViewJson(const RunView& view, const std::optional<RunPrices>& prices, size_t max_workers) {
  Json json;
  if (view.status) {
    json = StatusJson(*view.status, view.alerts, prices);
    json["worker_count"] = json["workers"].size();
    Shorten(json["workers"], max_workers);
    AddSparks(view, json["workers"]);
    json["map"] = UnitMapJson(*view.status, kMapCells);
    json["worker_states"] = Json::object();
    for (size_t i = 0; i < view.status->worker_counts.size(); ++i) {
      json["worker_states"][std::string(WorkerStateName(static_cast<WorkerState>(i)))] =
          view.status->worker_counts[i];
    }
  } else {
    json["alerts"] = Json::array();
    for (const Alert& alert : view.alerts) json["alerts"].push_back(AlertJson(alert));
  }
  json["version"] = view.version;
  json["unix_ms"] = view.unix_ms;
  json["read_unix_ms"] = view.read_unix_ms;
  json["error"] = view.error;
  json["events"] = EventsJson(view, 0);
  json["speeds"] = Json::array();
  for (const SpeedPoint& point : view.speeds) {
    json["speeds"].push_back(
        {point.unix_ms, std::lround(point.tokens_per_second), std::lround(point.bytes_per_second)});
  }
  return json;
}

std::string JsonText(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace thresher
