#include "settings/job_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <fstream>
#include <map>
#include <utility>

#include "base/json.h"
#include "base/nearest_name.h"
#include "base/toml.h"

namespace thresher {
namespace {

std::string WithDashes(std::string_view key) {
  std::string name(key);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

// What a setting takes, as messages say it.
std::string Expected(const JobKey& key) {
  switch (key.type) {
    case SettingType::kText:
      return key.is_list ? "a string or an array of strings, such as [\"a\", \"b\"]"
                         : "a string in quotes";
    case SettingType::kInteger:
      return "an integer without quotes";
    case SettingType::kNumber:
      return "a number without quotes";
    case SettingType::kSwitch:
      return "true or false, without quotes";
  }
  return "";
}

// A value that is not an array, as a flag takes it; nothing if the setting takes no such value.
std::optional<std::string> ScalarValue(const toml::node& node, SettingType type) {
  const auto* text = node.as_string();
  const auto* integer = node.as_integer();
  const auto* number = node.as_floating_point();
  const auto* boolean = node.as_boolean();
  const bool takes_integer = type != SettingType::kSwitch;
  if (text && type == SettingType::kText) return text->get();
  // A size, a duration or a layer may be a bare number.
  if (integer && takes_integer) return fmt::format("{}", integer->get());
  if (number && std::isfinite(number->get()) &&
      (type == SettingType::kNumber || type == SettingType::kText)) {
    return fmt::format("{}", number->get());
  }
  if (boolean && type == SettingType::kSwitch) return boolean->get() ? "true" : "false";
  return std::nullopt;
}

// Walks one file's table.
class Walk {
 public:
  Walk(const std::string& path, const std::vector<JobKey>& keys,
       const std::vector<std::string>& sections)
      : path_(path), keys_(keys), sections_(sections) {}

  Status Top(const toml::table& table) {
    for (const auto& [key, node] : table) {
      const std::string_view name = key.str();
      const bool is_section =
          std::find(sections_.begin(), sections_.end(), name) != sections_.end();
      if (node.is_table() && is_section) {
        RETURN_IF_ERROR(Section(name, *node.as_table()));
      } else if (is_section && !Find(name)) {
        return At(key.source(), fmt::format("[{}] is a section: expected keys below it, found {}",
                                            name, DescribeToml(node)));
      } else {
        RETURN_IF_ERROR(Key(key, node));
      }
    }
    return OkStatus();
  }

  // In the order of the file.
  std::vector<JobValue> Take() {
    std::vector<JobValue> values;
    std::vector<std::pair<toml::source_position, const JobValue*>> order;
    for (const auto& [name, found] : found_) order.emplace_back(found.position, &found.value);
    std::sort(order.begin(), order.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    values.reserve(order.size());
    for (const auto& [position, value] : order) values.push_back(*value);
    return values;
  }

 private:
  struct Found {
    toml::source_position position;
    std::string key;  // as the file spells it
    JobValue value;
  };

  const JobKey* Find(std::string_view name) const {
    const std::string dashed = WithDashes(name);
    const auto key =
        std::find_if(keys_.begin(), keys_.end(), [&](const JobKey& k) { return k.name == dashed; });
    return key == keys_.end() ? nullptr : &*key;
  }

  Status At(const toml::source_region& place, const std::string& message) const {
    return InvalidArgument(
        fmt::format("{}:{}:{}: {}", path_, place.begin.line, place.begin.column, message));
  }

  Status Section(std::string_view section, const toml::table& table) {
    for (const auto& [key, node] : table) {
      if (node.is_table() && !Find(key.str())) {
        return At(key.source(), fmt::format("sections have no sections inside: [{}.{}]", section,
                                            Shown(key.str())));
      }
      RETURN_IF_ERROR(Key(key, node));
    }
    return OkStatus();
  }

  Status Key(const toml::key& key, const toml::node& node) {
    const JobKey* known = Find(key.str());
    if (known == nullptr) return Unknown(key, node);
    if (const auto found = found_.find(known->name); found != found_.end()) {
      return GivenTwice(key, found->second);
    }
    Found found{key.source().begin,
                std::string(key.str()),
                {known->name, {}, fmt::format("{}:{}", path_, key.source().begin.line)}};
    if (const toml::array* array = node.as_array(); array != nullptr && known->is_list) {
      RETURN_IF_ERROR(Items(key, *array, found.value.values));
    } else {
      const std::optional<std::string> value = ScalarValue(node, known->type);
      if (!value) {
        return At(node.source(), fmt::format("'{}': expected {}, found {}", key.str(),
                                             Expected(*known), DescribeToml(node)));
      }
      found.value.values.push_back(*value);
    }
    found_.emplace(known->name, std::move(found));
    return OkStatus();
  }

  // The walk goes through a table by name, not by line: the later one is the second.
  Status GivenTwice(const toml::key& key, const Found& found) const {
    const toml::source_position here = key.source().begin;
    const auto [first, second] = std::minmax(here, found.position);
    return InvalidArgument(fmt::format(
        "{}:{}:{}: '{}' is given a second time; the first is in line {}", path_, second.line,
        second.column, second == here ? key.str() : found.key, first.line));
  }

  Status Items(const toml::key& key, const toml::array& array,
               std::vector<std::string>& values) const {
    if (array.empty()) {
      return At(array.source(),
                fmt::format("'{}': expected at least one item, found []", key.str()));
    }
    for (const toml::node& item : array) {
      const std::optional<std::string> value = ScalarValue(item, SettingType::kText);
      if (!value || value->empty()) {
        return At(item.source(), fmt::format("'{}': expected strings as items, found {}", key.str(),
                                             DescribeToml(item)));
      }
      values.push_back(*value);
    }
    return OkStatus();
  }

  Status Unknown(const toml::key& key, const toml::node& node) const {
    if (node.is_table() || node.is_array_of_tables()) {
      std::string known;
      for (const std::string& section : sections_) known += " [" + section + "]";
      return At(key.source(),
                fmt::format("there is no section [{}]{}; sections are{}", Shown(key.str()),
                            DidYouMean(key.str(), sections_), known));
    }
    std::vector<std::string> names;
    names.reserve(keys_.size());
    for (const JobKey& candidate : keys_) names.push_back(candidate.name);
    const std::string hint = DidYouMean(WithDashes(key.str()), names);
    return At(key.source(),
              fmt::format("there is no setting {}{}", Quoted(key.str()),
                          hint.empty() ? "; thresher config keys lists them all" : hint));
  }

  // A key that nobody knows, in brackets instead of quotes.
  static std::string Shown(std::string_view key) {
    const std::string quoted = Quoted(key);
    return quoted.substr(1, quoted.size() - 2);
  }

  const std::string& path_;
  const std::vector<JobKey>& keys_;
  const std::vector<std::string>& sections_;
  std::map<std::string, Found> found_;  // by the key's name
};

}  // namespace

std::string_view SettingTypeName(SettingType type) {
  switch (type) {
    case SettingType::kText:
      return "text";
    case SettingType::kInteger:
      return "integer";
    case SettingType::kNumber:
      return "number";
    case SettingType::kSwitch:
      return "switch";
  }
  return "";
}

Result<std::vector<JobValue>> ParseJobFile(std::string_view text, const std::string& path,
                                           const std::vector<JobKey>& keys,
                                           const std::vector<std::string>& sections) {
  ASSIGN_OR_RETURN(const toml::table table, ParseToml(text, path));
  Walk walk(path, keys, sections);
  RETURN_IF_ERROR(walk.Top(table));
  return walk.Take();
}

Result<std::vector<JobValue>> ReadJobFile(const std::string& path, const std::vector<JobKey>& keys,
                                          const std::vector<std::string>& sections) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound(path + ": cannot be opened; --config takes a TOML file");
  std::string text(kMaxJobFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.gcount() == 0 && !file.eof())) {
    return InvalidArgument(path + ": cannot be read; --config takes a TOML file");
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxJobFileBytes) {
    return InvalidArgument(path + ": expected a job file of at most 1 MiB; this one is larger");
  }
  return ParseJobFile(text, path, keys, sections);
}

Result<std::string> TomlString(std::string_view text) {
  std::string json;
  try {
    // Every escape of JSON is one of TOML.
    json = nlohmann::json(text).dump();
  } catch (const std::exception&) {
    return InvalidArgument(Quoted(text) + " is not valid UTF-8, so TOML cannot hold it");
  }
  std::string out;
  for (const char character : json) {
    // The one control character that JSON leaves as it is.
    out += character == '\x7f' ? std::string("\\u007F") : std::string(1, character);
  }
  return out;
}

}  // namespace thresher
