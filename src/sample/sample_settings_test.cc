#include "sample/sample_settings.h"

#include <gtest/gtest.h>

namespace thresher {
namespace {

TEST(SampleSettingsTest, EveryFieldReturns) {
  SampleSettings settings;
  for (auto& [name, text] : settings.ToMap()) {
    std::map<std::string, std::string> map = settings.ToMap();
    const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
    map[name] = is_number ? "77" : "other";
    const Result<SampleSettings> changed = SampleSettings::FromMap(map, "run.json");
    ASSERT_TRUE(changed.ok()) << changed.status().message();
    EXPECT_FALSE(*changed == settings) << name;
    EXPECT_EQ(changed->ToMap(), map);
  }
}

TEST(SampleSettingsTest, WhatIsWrongIsNamed) {
  std::map<std::string, std::string> map = SampleSettings().ToMap();
  map["seed"] = "seven";
  EXPECT_EQ(SampleSettings::FromMap(map, "run.json").status().message(),
            "run.json: field 'seed': expected a number, found 'seven'");
  map.erase("seed");
  EXPECT_EQ(SampleSettings::FromMap(map, "run.json").status().message(),
            "run.json: field 'seed': missing");
}

}  // namespace
}  // namespace thresher
