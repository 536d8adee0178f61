#include "plugins/plugin_install.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "plugins/child_program.h"

namespace thresher {
namespace {

using testing::AllOf;
using testing::HasSubstr;

namespace fs = std::filesystem;

// Writes a wheel as the index has them: FOLDER/tiny-VERSION-py3-none-manylinux_2_17_x86_64.whl with
// tiny/plugin.so, which holds TEXT, and a program.
constexpr const char* kMakeWheel = R"(
import sys, zipfile
folder, version, text = sys.argv[1:]
info = f"tiny-{version}.dist-info/"
files = {"tiny/plugin.so": text, "tiny/bin/tool": "#!/bin/sh\n",
         info + "METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
         info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\n"
                         "Tag: py3-none-manylinux_2_17_x86_64\n"}
files[info + "RECORD"] = "".join(name + ",,\n" for name in files) + info + "RECORD,,\n"
path = f"{folder}/tiny-{version}-py3-none-manylinux_2_17_x86_64.whl"
with zipfile.ZipFile(path, "w") as wheel:
    for name, content in files.items():
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100755 if name.endswith("tool") else 0o100644) << 16
        wheel.writestr(entry, content)
)";

// Installs a plug-in of one tiny wheel out of a folder, without an index.
class PluginInstallTest : public testing::Test {
 protected:
  void SetUp() override {
    const Result<int> pip = RunChildProgram({"python3", "-m", "pip", "--version"});
    if (!pip.ok() || *pip != 0) GTEST_SKIP() << "python3 has no pip";
    fs::create_directory(links());
    setenv("PIP_NO_INDEX", "1", 1);
    setenv("PIP_FIND_LINKS", links().c_str(), 1);
    spec_ = SpecOf("1.0", "the library");
    options_.folder = folder_.PathOf("plugins");
    options_.is_quiet = true;
  }

  std::string links() const { return folder_.PathOf("links"); }
  std::string PathOf(const std::string& name) const {
    return PluginPath(options_.folder, spec_) + "/" + name;
  }

  PluginSpec SpecOf(const std::string& version, const std::string& text) const {
    EXPECT_EQ(*RunChildProgram({"python3", "-c", kMakeWheel, links(), version, text}), 0);
    const std::string file = "tiny-" + version + "-py3-none-manylinux_2_17_x86_64.whl";
    return {.name = "tiny",
            .description = "",
            .library = "tiny/plugin.so",
            .wheels = {{"tiny", version, file, *FileSha256(links() + "/" + file)}},
            .needs = ""};
  }

  TemporaryFolder folder_;
  PluginSpec spec_;
  PluginInstallOptions options_;
};

TEST_F(PluginInstallTest, UnpacksAndRecordsEveryFile) {
  const Result<PluginRecord> made = InstallPlugin(spec_, options_);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(ReadFileForTest(PathOf("tiny/plugin.so")), "the library");
  EXPECT_NE(fs::status(PathOf("tiny/bin/tool")).permissions() & fs::perms::owner_exec,
            fs::perms::none);
  const Result<PluginRecord> read = ReadPlugin(options_.folder, spec_, /*checks_bytes=*/true);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->total_bytes(), made->total_bytes());
  for (const auto& entry : fs::directory_iterator(options_.folder)) {
    EXPECT_THAT(entry.path().filename().string(), testing::AnyOf("tiny-1.0", "tiny.lock"));
  }
  // Nothing is fetched again.
  options_.python = "/nonexistent/python3";
  EXPECT_TRUE(InstallPlugin(spec_, options_).ok());
}

TEST_F(PluginInstallTest, OtherBytesThanThosePinnedAreRefused) {
  spec_.wheels[0].sha256 = std::string(64, '0');
  const Result<PluginRecord> made = InstallPlugin(spec_, options_);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), Code::kUnavailable);
  EXPECT_THAT(made.status().message(),
              AllOf(HasSubstr("pip ended with status 1"), HasSubstr("PIP_FIND_LINKS")));
  EXPECT_FALSE(fs::exists(PluginPath(options_.folder, spec_)));
  EXPECT_EQ(ReadPlugin(options_.folder, spec_).status().code(), Code::kNotFound);
}

TEST_F(PluginInstallTest, DamageIsFoundAndMended) {
  ASSERT_TRUE(InstallPlugin(spec_, options_).ok());
  const auto damage = [&](bool checks_bytes = false) {
    const Status status = ReadPlugin(options_.folder, spec_, checks_bytes).status();
    EXPECT_TRUE(status.ok() || status.code() == Code::kDataLoss) << status.message();
    return status.message();
  };
  folder_.Write("plugins/tiny-1.0/tiny/plugin.so", "the Library");
  EXPECT_EQ(damage(), "");
  EXPECT_THAT(damage(/*checks_bytes=*/true), HasSubstr("plugin.so has other bytes"));
  fs::resize_file(PathOf("tiny/plugin.so"), 3);
  EXPECT_THAT(damage(), AllOf(HasSubstr("has 3 bytes instead of 11"),
                              HasSubstr("thresher plugins install tiny")));
  fs::remove(PathOf("tiny/plugin.so"));
  EXPECT_THAT(damage(), HasSubstr("No such file"));
  folder_.Write("plugins/tiny-1.0/plugin.json", "{\"plugin\": ");
  EXPECT_THAT(damage(), HasSubstr("plugin.json: "));

  ASSERT_TRUE(InstallPlugin(spec_, options_).ok());
  EXPECT_EQ(damage(/*checks_bytes=*/true), "");
  EXPECT_EQ(ReadFileForTest(PathOf("tiny/plugin.so")), "the library");
}

TEST_F(PluginInstallTest, WhatAKilledInstallationLeftIsRemoved) {
  fs::create_directories(options_.folder + "/tiny.partial-1/tiny");
  folder_.Write("plugins/tiny.partial-1/tiny/plugin.so", "the li");
  EXPECT_EQ(ReadPlugin(options_.folder, spec_).status().code(), Code::kNotFound);
  ASSERT_TRUE(InstallPlugin(spec_, options_).ok());
  EXPECT_FALSE(fs::exists(options_.folder + "/tiny.partial-1"));
}

TEST_F(PluginInstallTest, OtherPinsOfTheSameVersionReplaceIt) {
  ASSERT_TRUE(InstallPlugin(spec_, options_).ok());
  spec_ = SpecOf("1.0", "another one");
  EXPECT_EQ(ReadPlugin(options_.folder, spec_).status().code(), Code::kDataLoss);
  ASSERT_TRUE(InstallPlugin(spec_, options_).ok());
  EXPECT_EQ(ReadFileForTest(PathOf("tiny/plugin.so")), "another one");
}

TEST_F(PluginInstallTest, SaysWhatIsMissing) {
  options_.python = "/nonexistent/python3";
  Status status = InstallPlugin(spec_, options_).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("--python"));

  options_.python = "/bin/false";
  status = InstallPlugin(spec_, options_).status();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("/bin/false has no pip"));
}

}  // namespace
}  // namespace thresher
