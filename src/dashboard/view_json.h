#ifndef THRESHER_DASHBOARD_VIEW_JSON_H_
#define THRESHER_DASHBOARD_VIEW_JSON_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "dashboard/run_watcher.h"
#include "monitor/run_cost.h"

namespace thresher {

// What the page shows of a run, and /api/run answers: StatusJson, and beside it "version", "error",
// "events", "speeds", each worker's "spark", and the map of units. At most `max_workers` workers,
// if there are more those that need attention first; "worker_count" says how many there are.
nlohmann::ordered_json ViewJson(const RunView& view, const std::optional<RunPrices>& prices,
                                size_t max_workers);

// The units of a run as cells of equally many units, at most `max_cells`:
// {"units_per_cell": 1, "states": "3321000"} with a digit for each unit (its UnitCondition), or
// {"units_per_cell": 40, "cells": [[open, held, waiting, committed, quarantined], ...]}.
nlohmann::ordered_json UnitMapJson(const RunStatus& status, int64_t max_cells);

nlohmann::ordered_json EventsJson(const RunView& view, int64_t after_number);

// As text, with invalid UTF-8 replaced.
std::string JsonText(const nlohmann::ordered_json& json);

}  // namespace thresher

#endif  // THRESHER_DASHBOARD_VIEW_JSON_H_
