// `thresher plugins` with the real program and, where it can be reached, the real package index.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "process.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

class PluginsCommandTest : public testing::Test {
 protected:
  ProcessResult Plugins(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "plugins");
    Command command = Thresher(arguments);
    command.environment["THRESHER_PLUGINS"] = folder_.PathOf("plugins");
    return RunProcess(command, 300'000);
  }

  // The entry of a plug-in in `plugins list --json`.
  Json Listed(const std::string& name) const {
    const ProcessResult result = Plugins({"list", "--json"});
    for (const Json& entry : Json::parse(result.out)) {
      if (entry.at("plugin") == name) return entry;
    }
    return Json();
  }

  TemporaryFolder folder_;
};

TEST_F(PluginsCommandTest, NothingIsInstalledAtFirst) {
  const ProcessResult list = Plugins({"list"});
  ASSERT_EQ(list.exit_status, 0) << list.Describe();
  EXPECT_THAT(list.out, HasSubstr("not installed"));
  EXPECT_EQ(Listed("tpu").at("state"), "not installed");
  EXPECT_TRUE(Listed("tpu").at("library").is_null());
  const ProcessResult path = Plugins({"path", "tpu"});
  EXPECT_EQ(path.exit_status, 1) << path.Describe();
  EXPECT_EQ(path.out, "");
  EXPECT_THAT(path.err, HasSubstr("install it with: thresher plugins install tpu"));
  const ProcessResult unknown = Plugins({"install", "gpu"});
  EXPECT_EQ(unknown.exit_status, 2) << unknown.Describe();
  EXPECT_THAT(unknown.err, HasSubstr("there are tpu, cuda, cuda13, xla-cpu"));
}

TEST_F(PluginsCommandTest, RequirementsAreWhatPipReads) {
  const ProcessResult result = Plugins({"requirements", "cuda"});
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.out, HasSubstr("# pip download --no-deps --require-hashes"));
  EXPECT_THAT(result.out, HasSubstr("\njax-cuda12-pjrt==0.10.2 --hash=sha256:"));
  EXPECT_THAT(result.out, HasSubstr("\nnvidia-cudnn-cu12=="));
}

TEST_F(PluginsCommandTest, WithoutPipItSaysWhatToInstall) {
  const ProcessResult result = Plugins({"install", "xla-cpu", "--python", "/bin/false"});
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("/bin/false has no pip; install it"));
}

TEST_F(PluginsCommandTest, InstallsFindsAndMendsThePinnedWheel) {
  ProcessResult install = Plugins({"install", "xla-cpu", "--quiet"});
  if (install.exit_status != 0 && install.err.find("pip") != std::string::npos) {
    GTEST_SKIP() << "the Python package index is out of reach: " << install.err;
  }
  ASSERT_EQ(install.exit_status, 0) << install.Describe();
  const ProcessResult path = Plugins({"path", "xla-cpu"});
  ASSERT_EQ(path.exit_status, 0) << path.Describe();
  const std::string library = path.out.substr(0, path.out.size() - 1);
  EXPECT_EQ(std::filesystem::file_size(library), 201600336U);
  EXPECT_EQ(Listed("xla-cpu").at("state"), "installed");
  EXPECT_EQ(Listed("xla-cpu").at("library"), library);

  std::filesystem::resize_file(library, 1000);
  const ProcessResult damaged = Plugins({"list"});
  EXPECT_EQ(damaged.exit_status, 1) << damaged.Describe();
  EXPECT_THAT(damaged.out, HasSubstr("has 1000 bytes instead of 201600336"));
  EXPECT_THAT(damaged.err, HasSubstr("thresher plugins install xla-cpu"));
  install = Plugins({"install", "xla-cpu", "--quiet"});
  ASSERT_EQ(install.exit_status, 0) << install.Describe();
  EXPECT_EQ(Plugins({"list", "--check"}).exit_status, 0);
}

}  // namespace
}  // namespace thresher
