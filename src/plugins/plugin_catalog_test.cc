#include "plugins/plugin_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace thresher {
namespace {

using testing::Contains;
using testing::HasSubstr;

TEST(PluginCatalogTest, EveryWheelIsPinned) {
  std::set<std::string> names;
  for (const PluginSpec& spec : PluginCatalog()) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    EXPECT_TRUE(spec.library.ends_with(".so")) << spec.library;
    for (const Wheel& wheel : spec.wheels) {
      EXPECT_EQ(wheel.sha256.size(), 64U) << wheel.package;
      EXPECT_EQ(wheel.sha256.find_first_not_of("0123456789abcdef"), std::string::npos);
      EXPECT_THAT(wheel.file, HasSubstr("-" + wheel.version + "-"));
      EXPECT_TRUE(wheel.file.ends_with("x86_64.whl")) << wheel.file;
    }
  }
}

TEST(PluginCatalogTest, AnUnknownNameListsTheKnownOnes) {
  const Result<PluginSpec> spec = FindPluginSpec("gpu");
  ASSERT_FALSE(spec.ok());
  EXPECT_EQ(spec.status().message(),
            "there is no plug-in 'gpu'; there are tpu, cuda, cuda13, xla-cpu");
}

TEST(PluginCatalogTest, PipLooksForTheWheelsTags) {
  const PluginSpec spec = {
      .name = "x",
      .description = "",
      .library = "x.so",
      .wheels = {{"one", "1", "one-1-cp311-cp311-manylinux_2_31_x86_64.whl", "aa"},
                 {"two", "2", "two-2-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
                  "bb"}},
      .needs = ""};
  const std::vector<std::string> options = PipTagOptions(spec);
  for (const char* option :
       {"--abi=cp311", "--abi=none", "--platform=manylinux_2_31_x86_64",
        "--platform=manylinux2014_x86_64", "--platform=manylinux_2_17_x86_64"}) {
    EXPECT_THAT(options, Contains(option));
  }
  EXPECT_EQ(PipRequirements(spec), "one==1 --hash=sha256:aa\ntwo==2 --hash=sha256:bb\n");
}

}  // namespace
}  // namespace thresher
