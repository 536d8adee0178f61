#include "monitor/prometheus_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace thresher {
namespace {

bool IsName(std::string_view name) {
  const auto is_right = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), is_right);
}

std::string Escaped(std::string_view text, bool quotes) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\\\";
    } else if (c == '\n') {
      escaped += "\\n";
    } else if (c == '"' && quotes) {
      escaped += "\\\"";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string ValueText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

void PrometheusText::Family(std::string_view name, MetricType type, std::string_view help) {
  const bool is_counter = type == MetricType::kCounter;
  THRESHER_CHECK(IsName(name));
  THRESHER_CHECK(is_counter == name.ends_with("_total"));
  THRESHER_CHECK(names_.emplace(name).second);
  name_ = name;
  heading_ = fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, Escaped(help, false), name,
                         is_counter ? "counter" : "gauge");
}

void PrometheusText::Add(double value, const MetricLabels& labels) {
  THRESHER_CHECK(!name_.empty());
  text_ += heading_;
  heading_.clear();
  std::string inside;
  for (const MetricLabels* list : {static_cast<const MetricLabels*>(&common_), &labels}) {
    for (const auto& [name, label] : *list) {
      THRESHER_CHECK(IsName(name));
      inside += fmt::format("{}{}=\"{}\"", inside.empty() ? "" : ",", name, Escaped(label, true));
    }
  }
  text_ += inside.empty() ? fmt::format("{} {}\n", name_, ValueText(value))
                          : fmt::format("{}{{{}}} {}\n", name_, inside, ValueText(value));
}

}  // namespace thresher
