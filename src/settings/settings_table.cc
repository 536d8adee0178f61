#include "settings/settings_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json.h"

namespace thresher {
namespace {

struct Group {
  std::string name;
  std::vector<const SettingInfo*> settings;
};

std::vector<Group> GroupsOf(const std::vector<SettingInfo>& settings) {
  std::vector<Group> groups;
  for (const SettingInfo& setting : settings) {
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& g) { return g.name == setting.group; });
    if (group == groups.end()) group = groups.insert(groups.end(), {setting.group, {}});
    group->settings.push_back(&setting);
  }
  return groups;
}

bool HasValue(const SettingInfo& setting) {
  return setting.source != SettingSource::kDefault || !setting.default_value.empty();
}

// Behind a value in TOML. Control characters, which would end the comment, are escaped.
std::string Origin(const SettingInfo& setting) {
  const std::string quoted = Quoted(setting.place);
  std::string place = quoted.substr(1, quoted.size() - 2);
  switch (setting.source) {
    case SettingSource::kFlag:
      return "flag";
    case SettingSource::kEnvironment:
      return "environment " + place;
    case SettingSource::kFile:
      return place;
    case SettingSource::kDefault:
      break;
  }
  if (setting.default_text.empty()) return "not given";
  return setting.default_text == setting.default_value ? "default"
                                                       : "default: " + setting.default_text;
}

// "SHARD_SIZE_GB (in GB)", "BATCH_SIZE (x max-tokens)".
std::string Describe(const SettingVariable& variable, std::string_view quote) {
  std::string text = fmt::format("{0}{1}{0}", quote, variable.name);
  if (!variable.unit.empty()) text += fmt::format(" (in {})", variable.unit);
  if (!variable.times.empty()) text += fmt::format(" (x {0}{1}{0})", quote, variable.times);
  return text;
}

std::string Variables(const SettingInfo& setting, std::string_view quote) {
  std::vector<std::string> names;
  for (const SettingVariable& variable : setting.variables) {
    names.push_back(Describe(variable, quote));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string TypeOf(const SettingInfo& setting) {
  return setting.is_list ? "list" : std::string(SettingTypeName(setting.type));
}

std::string DefaultOf(const SettingInfo& setting) {
  return setting.default_text.empty() ? "not given" : setting.default_text;
}

// A cell of a Markdown table.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char character : text) {
    if (character == '|' || character == '<' || character == '*') cell += '\\';
    cell += character;
  }
  return cell;
}

}  // namespace

Result<std::string> SettingsToml(const std::vector<SettingInfo>& settings) {
  std::string out;
  for (const Group& group : GroupsOf(settings)) {
    out += fmt::format("{}# {}\n", out.empty() ? "" : "\n", group.name);
    for (const SettingInfo* setting : group.settings) {
      if (!HasValue(*setting)) {
        out += fmt::format("# {} =  # {}\n", setting->key, Origin(*setting));
        continue;
      }
      std::string value = setting->value;
      if (setting->type == SettingType::kText) {
        Result<std::string> quoted = TomlString(value);
        if (!quoted.ok()) return quoted.status().WithContext("--" + setting->key);
        value = *std::move(quoted);
      }
      out += fmt::format("{} = {}  # {}\n", setting->key, value, Origin(*setting));
    }
  }
  return out;
}

std::string SettingsJson(const std::vector<SettingInfo>& settings) {
  auto json = nlohmann::ordered_json::object();
  for (const SettingInfo& setting : settings) {
    nlohmann::ordered_json value;
    if (HasValue(setting)) {
      value = setting.value;
      // Integers, numbers and switches are JSON as they are.
      if (setting.type != SettingType::kText) {
        value = nlohmann::ordered_json::parse(setting.value, nullptr, false);
      }
      if (value.is_discarded()) value = setting.value;
    }
    nlohmann::ordered_json place;
    if (!setting.place.empty()) place = setting.place;
    json[setting.key] = {{"group", setting.group},
                         {"value", value},
                         {"source", SettingSourceName(setting.source)},
                         {"place", place}};
  }
  return json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string SettingsText(const std::vector<SettingInfo>& settings) {
  std::string out;
  for (const Group& group : GroupsOf(settings)) {
    out += fmt::format("{}{}\n", out.empty() ? "" : "\n", group.name);
    for (const SettingInfo* setting : group.settings) {
      out += fmt::format("  --{} ({})  [{}]\n      {}\n      key {}; environment {}\n",
                         setting->key, TypeOf(*setting), DefaultOf(*setting), setting->meaning,
                         setting->key, Variables(*setting, ""));
    }
  }
  return out;
}

std::string SettingsMarkdown(const std::vector<SettingInfo>& settings) {
  std::string out;
  for (const Group& group : GroupsOf(settings)) {
    out += fmt::format(
        "{}## {}\n\n| flag | key | type | default | environment | meaning |\n"
        "| --- | --- | --- | --- | --- | --- |\n",
        out.empty() ? "" : "\n", group.name);
    for (const SettingInfo* setting : group.settings) {
      out += fmt::format("| `--{0}` | `{0}` | {1} | {2} | {3} | {4} |\n", setting->key,
                         TypeOf(*setting), Cell(DefaultOf(*setting)), Variables(*setting, "`"),
                         Cell(setting->meaning));
    }
  }
  return out;
}

}  // namespace thresher
