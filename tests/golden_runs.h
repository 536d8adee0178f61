#ifndef THRESHER_TESTS_GOLDEN_RUNS_H_
#define THRESHER_TESTS_GOLDEN_RUNS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "model/golden_for_test.h"
#include "model/model_folder_for_test.h"
#include "run_reader.h"

namespace thresher {

inline constexpr int32_t kGoldenLayers = 3;

inline std::vector<double> Doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

// "blocks.2.attn.hook_q" -> "attn.hook_q"
inline std::string KindOf(const std::string& hook) {
  return hook.starts_with("blocks.") ? hook.substr(hook.find('.', 7) + 1) : hook;
}

// A model, its golden sequences in a data set of one line each, and runs over them.
class GoldenRuns : public testing::Test {
 protected:
  void Prepare(const std::string& model, const std::string& config) {
    golden_ = LoadGolden(model, kGoldenLayers);
    model_ = std::make_unique<ModelFolder>(model);
    if (config != "config.json") model_->Write("config.json", model_->Read(config));
    std::string lines;
    for (const auto& [index, sequence] : golden_) lines += TokenIdsLine(sequence.token_ids);
    WriteFile(Dataset(), lines);
  }

  std::string Dataset() const { return folder_.path() + "/golden.jsonl"; }

  // One run per name; a failure ends the test.
  RunContent RunWith(const std::string& name, const std::vector<std::string>& flags) {
    const std::string output = folder_.path() + "/" + name;
    Command command = Extraction{model_->path(), Dataset(), output, flags}.ToCommand();
    for (const auto& [variable, value] : environment_) command.environment[variable] = value;
    const ProcessResult result = RunProcess(command);
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    Result<RunContent> content = ReadCompleteRun(output);
    EXPECT_TRUE(content.ok()) << content.status().message();
    THRESHER_CHECK(content.ok());
    return std::move(content).value();
  }

  // Compares every golden tensor; gives the worst error of each kind of hook point.
  std::map<std::string, double> Compare(const RunContent& content) const {
    const std::map<int64_t, SampleContent> samples = content.Samples();
    EXPECT_EQ(samples.size(), golden_.size());
    std::map<std::string, double> worst;
    int64_t sample_index = 0;
    for (const auto& [sequence_index, sequence] : golden_) {
      const SampleContent& sample = samples.at(sample_index++);
      EXPECT_EQ(sample.token_ids,
                std::vector<int64_t>(sequence.token_ids.begin(), sequence.token_ids.end()));
      for (const auto& [hook, expected] : sequence.values) {
        const std::string name = HookName(hook);
        const auto found = sample.hooks.find(name);
        if (found == sample.hooks.end()) {
          ADD_FAILURE() << name << " is not in the shard";
          continue;
        }
        const double error = RelativeL2(expected, Doubles(found->second));
        EXPECT_LE(error, kGoldenTolerance) << name << " of sequence " << sequence_index;
        double& kind = worst[KindOf(name)];
        kind = std::max(kind, error);
      }
    }
    return worst;
  }

  std::map<std::string, std::string> environment_;  // of the runs, beside the test's own
  TemporaryFolder folder_;
  std::unique_ptr<ModelFolder> model_;
  std::map<int, GoldenSequence> golden_;
};

}  // namespace thresher

#endif  // THRESHER_TESTS_GOLDEN_RUNS_H_
