// Engines on devices, through the command line, on XLA's CPU plug-in: the golden models, several
// devices, and plug-ins and devices that fail.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "golden_runs.h"
#include "plugins/plugin_library.h"

namespace thresher {
namespace {

using testing::HasSubstr;

class AcceleratorTest : public GoldenRuns {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("THRESHER_PLUGINS");
    plugins_ = folder != nullptr ? folder : SourcePath(".cache/plugins");
    const Result<std::string> plugin = FindPlugin("xla-cpu", plugins_);
    if (!plugin.ok()) GTEST_SKIP() << plugin.status().message();
    plugin_ = *plugin;
    environment_ = {{"THRESHER_PLUGINS", plugins_}};
  }

  // On the real plug-in with a fault.
  static std::string FaultyEngine() { return std::string("pjrt:") + THRESHER_FAULTY_PLUGIN; }
  void UseFault(const std::string& fault) {
    environment_["FAULTY_PLUGIN_REAL"] = plugin_;
    environment_["FAULTY_PLUGIN_FAULT"] = fault;
  }

  ProcessResult RunThresher(const std::vector<std::string>& arguments) const {
    Command command = Thresher(arguments);
    command.environment.insert_or_assign("THRESHER_PLUGINS", plugins_);
    for (const auto& [name, value] : environment_) command.environment[name] = value;
    return RunProcess(command);
  }

  ProcessResult Extract(const std::string& name, const std::vector<std::string>& flags) const {
    Command command =
        Extraction{model_->path(), Dataset(), folder_.path() + "/" + name, flags}.ToCommand();
    for (const auto& [variable, value] : environment_) command.environment[variable] = value;
    return RunProcess(command);
  }

  std::string plugins_;
  std::string plugin_;  // the library
};

class AcceleratorGoldenTest : public AcceleratorTest,
                              public testing::WithParamInterface<std::string> {};

TEST_P(AcceleratorGoldenTest, EveryTensorPackedAndOneByOne) {
  Prepare(GetParam(), "config.json");
  for (const char* batch_tokens : {"2048", "1"}) {
    SCOPED_TRACE(batch_tokens);
    const RunContent content =
        RunWith(fmt::format("run-{}", batch_tokens),
                {"--hooks", "all", "--engine", "xla-cpu", "--mesh", "data=1", "--batch-tokens",
                 batch_tokens, "--executable-cache", "none"});
    for (const auto& [kind, error] : Compare(content)) {
      fmt::print("  {:<24} worst relative L2 error {:.2g}\n", kind, error);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, AcceleratorGoldenTest,
                         testing::Values("qwen2", "llama", "llama3rope", "mistral", "smollm2"));

// 4 devices with a batch each, and 2 and 4 devices that share one, against 1 device.
TEST_F(AcceleratorTest, SeveralDevicesGiveWhatOneGives) {
  Prepare("qwen2", "config.json");
  const auto run = [&](const std::string& mesh) {
    return RunWith(mesh, {"--hooks", "all", "--engine", "xla-cpu", "--mesh", mesh, "--batch-tokens",
                          "64", "--executable-cache", "none"});
  };
  const RunContent one = run("data=1");
  for (const char* mesh : {"data=4", "model=2,data=1", "model=4"}) {
    SCOPED_TRACE(mesh);
    const RunContent several = run(mesh);
    Compare(several);  // with the golden tensors
    const std::map<int64_t, SampleContent> expected = one.Samples();
    for (const auto& [index, sample] : several.Samples()) {
      for (const auto& [hook, values] : sample.hooks) {
        const std::vector<float>& of_one = expected.at(index).hooks.at(hook);
        if (std::string(mesh) == "data=4") {
          EXPECT_EQ(values, of_one) << hook;  // the same program on the same batches
        } else {
          EXPECT_LE(RelativeL2(Doubles(of_one), Doubles(values)), 1e-6) << hook;
        }
      }
    }
  }
}

TEST_F(AcceleratorTest, ProgramsAreKeptAndFoundAgain) {
  Prepare("llama", "config.json");
  const std::string cache = folder_.path() + "/cache";
  const std::vector<std::string> flags = {"--engine",           "xla-cpu", "--mesh", "data=1",
                                          "--executable-cache", cache};
  const RunContent first = RunWith("first", flags);
  std::vector<std::string> kept;
  for (const auto& entry : std::filesystem::directory_iterator(cache)) {
    kept.push_back(entry.path().string());
  }
  ASSERT_FALSE(kept.empty());
  const RunContent again = RunWith("again", flags);
  // A damaged file costs a compilation and nothing else.
  for (const std::string& path : kept) WriteFile(path, "xxh3-128:0\nnonsense");
  const RunContent damaged = RunWith("damaged", flags);
  for (const auto& [index, sample] : first.Samples()) {
    EXPECT_EQ(again.Samples().at(index).hooks, sample.hooks);
    EXPECT_EQ(damaged.Samples().at(index).hooks, sample.hooks);
  }
}

TEST_F(AcceleratorTest, EnginesAreMixedOnlyIfAskedFor) {
  Prepare("llama", "config.json");
  RunWith("run", {"--engine", "cpu"});
  const ProcessResult refused = Extract("run", {"--engine", "xla-cpu"});
  EXPECT_EQ(refused.exit_status, 1) << refused.Describe();
  EXPECT_THAT(refused.err,
              HasSubstr("capture.engine: the run has \"cpu\", this worker \"xla-cpu\""));
  EXPECT_THAT(refused.err, HasSubstr("--allow-mixed-engines"));
  const ProcessResult allowed = Extract("run", {"--engine", "xla-cpu", "--allow-mixed-engines"});
  EXPECT_EQ(allowed.exit_status, 0) << allowed.Describe();
  // Other arithmetic is no matter of engines.
  const ProcessResult other =
      Extract("run", {"--engine", "xla-cpu", "--allow-mixed-engines", "--compute", "bf16"});
  EXPECT_EQ(other.exit_status, 1) << other.Describe();
  EXPECT_THAT(other.err, HasSubstr("capture.compute"));
}

TEST_F(AcceleratorTest, ARunSaysWhatComputedIt) {
  Prepare("llama", "config.json");
  const RunContent content = RunWith("run", {"--engine", "xla-cpu", "--mesh", "data=1"});
  EXPECT_EQ(content.run.spec.capture.engine, "xla-cpu");
  EXPECT_THAT(content.run.spec.capture.plugin, HasSubstr("pjrt_c_api_cpu_plugin.so, PJRT 0."));
}

TEST_F(AcceleratorTest, DevicesAreListed) {
  const ProcessResult listed = RunThresher({"devices", "--engine", "xla-cpu"});
  EXPECT_EQ(listed.exit_status, 0) << listed.Describe();
  EXPECT_THAT(listed.out, HasSubstr("xla-cpu: platform cpu"));
  EXPECT_THAT(listed.out, HasSubstr("  3  cpu"));
}

TEST_F(AcceleratorTest, PluginsThatCannotBeUsedAreExplained) {
  const auto devices = [&](const std::string& engine) {
    const ProcessResult result = RunThresher({"devices", "--engine", engine});
    EXPECT_NE(result.exit_status, 0) << result.Describe();
    return result.err;
  };
  environment_["THRESHER_PLUGINS"] = folder_.path();
  EXPECT_THAT(devices("xla-cpu"), HasSubstr("thresher plugins install xla-cpu"));
  EXPECT_THAT(devices("gpu"), HasSubstr("expected cpu, "));
  EXPECT_THAT(devices("pjrt:" + folder_.path() + "/none.so"),
              HasSubstr("cannot load the plug-in: "));
  EXPECT_THAT(devices(std::string("pjrt:") + THRESHER_OTHER_LIBRARY),
              HasSubstr("is a library, but no PJRT plug-in: it has no GetPjrtApi"));
  const std::map<std::string, std::string> messages = {
      {"no-api", "GetPjrtApi gave nothing"},
      {"old",
       "speaks version 0.80 of the PJRT API; this program needs 0.81 or a later 0.x: install "
       "a newer version"},
      {"new-major", "speaks version 1."},
      {"tiny-table", "its function table ends after 8 bytes"},
      {"short-table", "lacks the first functions of version 0."},
      {"no-devices-function", "this plug-in has no PJRT_Client_AddressableDevices"},
      {"client-fails", "the device is in use by another process"},
  };
  for (const auto& [fault, message] : messages) {
    UseFault(fault);
    EXPECT_THAT(devices(FaultyEngine()), HasSubstr(message)) << fault;
  }
}

TEST_F(AcceleratorTest, ADeviceThatFailsIsNamed) {
  Prepare("llama", "config.json");
  UseFault("execute-fails");
  const ProcessResult result = Extract("run", {"--engine", FaultyEngine(), "--mesh", "data=1"});
  EXPECT_NE(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("the device caught fire"));
}

TEST_F(AcceleratorTest, LittleMemoryTakesSmallerBatches) {
  Prepare("llama", "config.json");
  UseFault("little-memory");
  const ProcessResult result =
      Extract("run", {"--engine", FaultyEngine(), "--mesh", "data=1", "--hooks", "all",
                      "--batch-tokens", "100", "--executable-cache", "none"});
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("faulty plug-in: no memory for 112 rows"));
  const Result<RunContent> content = ReadCompleteRun(folder_.path() + "/run");
  ASSERT_TRUE(content.ok()) << content.status().message();
  Compare(*content);
}

TEST_F(AcceleratorTest, ADeviceThatHangsEndsTheWorker) {
  Prepare("llama", "config.json");
  UseFault("hangs");
  const ProcessResult result =
      Extract("run", {"--engine", FaultyEngine(), "--mesh", "data=1", "--device-timeout", "200ms"});
  EXPECT_EQ(result.exit_status, 75) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("the device did not answer within 0.2 s"));
  // Whoever comes next completes the run.
  environment_.erase("FAULTY_PLUGIN_FAULT");
  const ProcessResult next =
      Extract("run", {"--engine", FaultyEngine(), "--mesh", "data=1", "--lease-ttl", "1s"});
  EXPECT_EQ(next.exit_status, 0) << next.Describe();
}

}  // namespace
}  // namespace thresher
