// Engines on devices, through the command line, on XLA's CPU plug-in: the golden models, several
// devices, and plug-ins and devices that fail.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "golden_runs.h"
#include "plugins/plugin_library.h"
#include "stored_rows.h"

namespace thresher {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class AcceleratorTest : public GoldenRuns {
 protected:
  void SetUp() override {
    // The golden models on a device that is here (bench/gpu.py).
    if (const char* engine = std::getenv("THRESHER_TEST_ENGINE")) engine_ = engine;
    const char* folder = std::getenv("THRESHER_PLUGINS");
    plugins_ = folder != nullptr ? folder : SourcePath(".cache/plugins");
    const Result<std::string> plugin = FindPlugin(engine_, plugins_);
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

  std::string engine_ = "xla-cpu";
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
                {"--hooks", "all", "--engine", engine_, "--mesh", "data=1", "--batch-tokens",
                 batch_tokens, "--executable-cache", "none"});
    for (const auto& [kind, error] : Compare(content)) {
      fmt::print("  {:<24} worst relative L2 error {:.2g}\n", kind, error);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, AcceleratorGoldenTest,
                         testing::Values("qwen2", "llama", "llama3rope", "mistral", "smollm2"),
                         [](const auto& model) { return model.param; });

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

// Relative L2 of f32 rows against those of the same tokens in `all`.
double WorstError(const StoredRows& rows, const StoredRows& all) {
  double worst = 0;
  for (const auto& [place, row] : rows) {
    EXPECT_EQ(row.token_id, all.at(place).token_id);
    for (const auto& [hook, bytes] : row.bytes) {
      const std::string& expected = all.at(place).bytes.at(hook);
      std::vector<float> values(2 * expected.size() / sizeof(float));
      std::memcpy(values.data(), expected.data(), expected.size());
      std::memcpy(&values[values.size() / 2], bytes.data(), bytes.size());
      const auto middle = values.begin() + std::ssize(values) / 2;
      worst = std::max(worst, RelativeL2({values.begin(), middle}, {middle, values.end()}));
    }
  }
  return worst;
}

// The rows of selected tokens are those of a run over all tokens: both runs have one unit, and so
// the same batches. Devices that share a batch divide the work in another way.
TEST_F(AcceleratorTest, SelectedRowsAreThoseOfAllTokens) {
  Prepare("qwen2", "config.json");
  WriteSamples(Dataset(), {.count = 25, .shortest = 1, .longest = 60, .seed = 3});
  for (const auto& [mesh, bound] : {std::pair("data=2", 0.0), std::pair("model=2,data=1", 1e-5)}) {
    const auto rows = [&](const std::string& tokens) {
      return RowsOf(
          RunWith(fmt::format("{}-{}", mesh, tokens),
                  {"--hooks", "resid_post,k", "--engine", "xla-cpu", "--mesh", mesh, "--tokens",
                   tokens, "--batch-tokens", "128", "--executable-cache", "none"}));
    };
    const StoredRows all = rows("all");
    for (const char* tokens : {"last", "every:7"}) {
      const StoredRows selected = rows(tokens);
      EXPECT_GE(selected.size(), 25u);
      EXPECT_LT(selected.size(), all.size() / 2);
      EXPECT_LE(WorstError(selected, all), bound) << mesh << ", " << tokens;
    }
  }
}

// Every seventh of 256 tokens are 37, for which 48 rows cross.
TEST_F(AcceleratorTest, OnlySelectedRowsCrossToTheHost) {
  Prepare("qwen2", "config.json");
  WriteSamples(Dataset(), {.count = 1, .shortest = 256, .longest = 256});
  UseFault("registers");
  for (const auto& [tokens, rows] : {std::pair("all", 256), std::pair("every:7", 48)}) {
    const ProcessResult result =
        Extract(tokens, {"--engine", FaultyEngine(), "--mesh", "data=1", "--tokens", tokens,
                         "--batch-tokens", "256", "--executable-cache", "none"});
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    EXPECT_THAT(result.err,
                HasSubstr(fmt::format(" copies of {} bytes", kGoldenLayers * rows * 64 * 4)));
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
  EXPECT_LE(kept.size(), 5u);  // one for each size of batches
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

TEST_F(AcceleratorTest, CudnnsAttentionNeedsCuda) {
  Prepare("llama", "config.json");
  const auto error = [&](const std::string& engine, const std::vector<std::string>& more) {
    std::vector<std::string> flags = {"--engine", engine, "--device-attention", "cudnn"};
    flags.insert(flags.end(), more.begin(), more.end());
    const ProcessResult result = Extract("run", flags);
    EXPECT_EQ(result.exit_status, 2) << result.Describe();
    return result.err;
  };
  const std::string by_path = "pjrt:" + plugin_;
  EXPECT_THAT(error("cpu", {}), HasSubstr("--device-attention: cudnn needs --engine cuda"));
  EXPECT_THAT(error("xla-cpu", {}), HasSubstr("--device-attention: cudnn needs --engine cuda"));
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--compute", "f32"}, {"--compute", "bf16", "--mesh", "model=2"}}) {
    EXPECT_THAT(error(by_path, flags), HasSubstr("--device-attention: cudnn needs --compute bf16"));
  }
  EXPECT_THAT(
      error(by_path, {"--compute", "bf16"}),
      HasSubstr("--device-attention: attention by cuDNN needs devices of the platform cuda, "
                "and these are of cpu"));
}

TEST_F(AcceleratorTest, DevicesAreListed) {
  const ProcessResult listed = RunThresher({"devices", "--engine", "xla-cpu"});
  EXPECT_EQ(listed.exit_status, 0) << listed.Describe();
  EXPECT_THAT(listed.out, HasSubstr("xla-cpu: platform cpu"));
  EXPECT_THAT(listed.out, HasSubstr("  3  cpu"));
}

// thresher bench: with rows and without, beside large products through the same plug-in.
TEST_F(AcceleratorTest, DevicesAreMeasured) {
  std::vector<std::string> flags = {"bench",    "--shape",  "tiny",     "--lengths",
                                    "100,33,1", "--engine", "xla-cpu",  "--quiet",
                                    "--mesh",   "data=2",   "--repeat", "1"};
  const ProcessResult text = RunThresher(flags);
  EXPECT_EQ(text.exit_status, 0) << text.Describe();
  for (const char* part : {"tiny, random weights", "2 of 4 cpu", " tokens/s", "fraction reached",
                           "bringing the rows costs"}) {
    EXPECT_THAT(text.out, HasSubstr(part));
  }
  flags.back() = "2";
  flags.push_back("--json");
  const ProcessResult result = RunThresher(flags);
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  const auto figures = nlohmann::json::parse(result.out);
  EXPECT_EQ(figures.at("device_kind"), "cpu");
  EXPECT_EQ(figures.at("devices"), 2);
  const int64_t rounds = figures.at("batches");
  EXPECT_GE(rounds, 4 * 4);  // four times what is in flight
  EXPECT_EQ(figures.at("tokens"), 134 * rounds);
  EXPECT_EQ(figures.at("stored_bytes"), 134 * rounds * 2 * 96 * 2);
  const auto seconds = figures.at("pass_seconds").get<std::vector<double>>();
  const auto without = figures.at("pass_seconds_without_rows").get<std::vector<double>>();
  ASSERT_EQ(seconds.size(), 2u);
  ASSERT_EQ(without.size(), 2u);
  const double best = *std::ranges::min_element(seconds);
  EXPECT_DOUBLE_EQ(figures.at("tokens_per_second"), figures.at("tokens").get<double>() / best);
  EXPECT_DOUBLE_EQ(figures.at("cost_of_rows"), best / *std::ranges::min_element(without) - 1);
  EXPECT_TRUE(figures.at("published_peak_gflops_per_second").is_null());
  EXPECT_GT(figures.at("matmul_peak_gflops_per_second"), 1);
  EXPECT_DOUBLE_EQ(
      figures.at("mfu").get<double>() * figures.at("matmul_peak_gflops_per_second").get<double>(),
      figures.at("gflops_per_second"));
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

TEST_F(AcceleratorTest, ACompilerWithLittleMemoryTakesSmallerBatches) {
  Prepare("llama", "config.json");
  UseFault("compiler-with-little-memory");
  const std::vector<std::string> flags = {
      "--engine", FaultyEngine(),       "--mesh", "data=1", "--hooks", "all", "--batch-tokens",
      "100",      "--executable-cache", "none"};
  const ProcessResult result = Extract("run", flags);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("faulty plug-in: no memory to compile 112 rows"));
  const Result<RunContent> content = ReadCompleteRun(folder_.path() + "/run");
  ASSERT_TRUE(content.ok()) << content.status().message();
  Compare(*content);

  UseFault("compiler-without-memory");
  const ProcessResult none = Extract("none", flags);
  EXPECT_EQ(none.exit_status, 1) << none.Describe();
  for (const char* rows : {"112", "80", "64", "32", "16"}) {
    EXPECT_THAT(none.err, HasSubstr(fmt::format("no memory to compile {} rows", rows)));
  }
  EXPECT_THAT(none.err, HasSubstr("the device's memory does not suffice for the smallest batch: "
                                  "capture fewer hook points, use --compute bf16, or split the "
                                  "model over more devices (--mesh model=N)"));
}

TEST_F(AcceleratorTest, WeightsThatDoNotFitAreExplained) {
  Prepare("llama", "config.json");
  UseFault("no-memory-for-weights");
  const ProcessResult result = Extract("run", {"--engine", FaultyEngine(), "--mesh", "data=1"});
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("on each device) do not fit into the memory of cpu: split the "
                                    "model over more devices (--mesh model=N), or use --compute "
                                    "bf16; "));
  EXPECT_THAT(result.err, HasSubstr("device memory is full"));
}

// Results are copied into memory that the plug-in knows, where it wants to know it.
TEST_F(AcceleratorTest, HostMemoryIsRegistered) {
  Prepare("llama", "config.json");
  const std::vector<std::string> flags = {"--engine",       FaultyEngine(), "--mesh",  "data=1",
                                          "--batch-tokens", "32",           "--hooks", "all"};
  UseFault("registers");
  const ProcessResult result = Extract("run", flags);
  EXPECT_EQ(result.exit_status, 0) << result.Describe();
  EXPECT_THAT(
      result.err,
      ContainsRegex("[1-9][0-9]* blocks registered, [1-9][0-9]* copies of [1-9][0-9]* bytes into "
                    "them, none left"));
  for (const char* wrong : {"not registered", "registered twice"}) {
    EXPECT_THAT(result.err, Not(HasSubstr(wrong)));
  }
  const Result<RunContent> content = ReadCompleteRun(folder_.path() + "/run");
  ASSERT_TRUE(content.ok()) << content.status().message();
  Compare(*content);

  UseFault("fails-to-register");
  const ProcessResult without = Extract("without", flags);
  EXPECT_EQ(without.exit_status, 0) << without.Describe();
  EXPECT_THAT(without.err, Not(HasSubstr("not registered")));
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
