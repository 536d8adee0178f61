// --tokens and --overlong split through the command line: the rows that are stored are, byte for
// byte, those that a run over all tokens stores for the same sample and position.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "model/golden_for_test.h"
#include "model/model_folder_for_test.h"
#include "process.h"
#include "run_reader.h"
#include "stored_rows.h"

namespace thresher {
namespace {

constexpr int64_t kMaxTokens = 40;
constexpr int64_t kOverlap = 5;

class TokenSelectionTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteSamples(Dataset(), {.count = 30, .shortest = 1, .longest = 90, .seed = 5});
  }

  std::string Dataset() const { return folder_.path() + "/samples.jsonl"; }
  std::string Output(const std::string& run) const { return folder_.path() + "/" + run; }

  Extraction Worker(const std::string& run, const std::vector<std::string>& flags) const {
    Extraction extraction{GoldenModel("qwen2"), Dataset(), Output(run), {}};
    extraction.flags = {"--hooks",        "resid_post,k",
                        "--batch-tokens", "128",
                        "--max-tokens",   std::to_string(kMaxTokens),
                        "--overlong",     "split",
                        "--overlap",      std::to_string(kOverlap),
                        "--lease-ttl",    "150ms",
                        "--quiet"};
    extraction.flags.insert(extraction.flags.end(), flags.begin(), flags.end());
    return extraction;
  }

  RunContent Run(const std::string& run, const std::vector<std::string>& flags) const {
    const ProcessResult result = Worker(run, flags).Run();
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    return Read(run);
  }

  RunContent Read(const std::string& run) const {
    Result<RunContent> content = ReadCompleteRun(Output(run));
    EXPECT_TRUE(content.ok()) << content.status().message();
    THRESHER_CHECK(content.ok());
    return std::move(content).value();
  }

  void ExpectVerified(const std::string& run) const {
    const ProcessResult verify =
        RunProcess(Thresher({"verify", Output(run), "--recompute", "1", "--json"}));
    EXPECT_EQ(verify.exit_status, 0) << verify.Describe();
  }

  // Exactly the rows of `all` for which `is_stored(place, tokens of the sequence)` holds.
  template <typename IsStored>
  void ExpectRows(const StoredRows& selected, const StoredRows& all,
                  const IsStored& is_stored) const {
    std::map<std::pair<int64_t, int64_t>, int64_t> lengths;
    for (const auto& [place, row] : all) {
      const auto& [sample, part, position] = place;
      int64_t& length = lengths[{sample, part}];
      length = std::max(length, position + 1);
    }
    StoredRows expected;
    for (const auto& [place, row] : all) {
      const int64_t length = lengths.at({std::get<0>(place), std::get<1>(place)});
      if (is_stored(std::get<2>(place), length)) expected.emplace(place, row);
    }
    EXPECT_FALSE(expected.empty());
    EXPECT_LT(expected.size(), all.size());
    EXPECT_EQ(selected.size(), expected.size());
    EXPECT_TRUE(selected == expected);
  }

  TemporaryFolder folder_;
};

TEST_F(TokenSelectionTest, StoredRowsAreThoseOfARunOverAllTokens) {
  for (const char* dtype : {"bf16", "int8"}) {
    const std::vector<std::string> flags = {"--dtype", dtype};
    const auto name = [&](const char* kind) { return fmt::format("{}-{}", dtype, kind); };
    const auto with = [&](const char* tokens) {
      return std::vector<std::string>{"--dtype", dtype, "--tokens", tokens};
    };
    const StoredRows all = RowsOf(Run(name("all"), flags));
    EXPECT_TRUE(std::ranges::any_of(all, [](const auto& row) {
      return std::get<1>(row.first) == 2;
    })) << "no sample became three sequences";

    ExpectRows(RowsOf(Run(name("last"), with("last"))), all,
               [](int64_t position, int64_t length) { return position == length - 1; });
    ExpectRows(RowsOf(Run(name("every"), with("every:7"))), all,
               [](int64_t position, int64_t) { return position % 7 == 0; });
    const StoredRows some = RowsOf(Run(name("fraction"), with("fraction:0.25")));
    EXPECT_GT(some.size(), all.size() / 8);
    EXPECT_LT(some.size(), all.size() / 2);
    for (const auto& [place, row] : some) EXPECT_TRUE(all.at(place) == row);
    for (const char* kind : {"all", "last", "every", "fraction"}) ExpectVerified(name(kind));
  }
}

// A tokenizer whose tokens are words: w0 to w9, and STOP.
std::string WordTokenizer() {
  std::string vocabulary = R"("[UNK]": 0, "STOP": 1)";
  for (int word = 0; word < 10; ++word) {
    vocabulary += fmt::format(R"(, "w{}": {})", word, word + 2);
  }
  return fmt::format(
      R"({{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
           "normalizer": null, "pre_tokenizer": {{"type": "Whitespace"}}, "post_processor": null,
           "decoder": null, "model": {{"type": "WordLevel", "vocab": {{{}}}, "unk_token": "[UNK]"}}}})",
      vocabulary);
}

TEST_F(TokenSelectionTest, AfterAMarkerInTheText) {
  const ModelFolder model("qwen2");
  model.Write("tokenizer.json", WordTokenizer());
  Random random(9);
  std::string lines;
  std::vector<int64_t> words_before;  // by sample: the last STOP and what is before it
  for (int sample = 0; sample < 20; ++sample) {
    const auto count = static_cast<int64_t>(2 + random.Below(90));
    const auto stop = static_cast<int64_t>(random.Below(static_cast<uint64_t>(count - 1)));
    words_before.push_back(stop + 1);
    std::string text;
    for (int64_t word = 0; word < count; ++word) {
      const bool is_stop = word == stop || (word < stop && random.Below(10) == 0);
      text += is_stop ? std::string(" STOP") : fmt::format(" w{}", random.Below(10));
    }
    lines += fmt::format("{{\"text\": \"{}\"}}\n", text);
  }
  WriteFile(Dataset(), lines);
  const auto run = [&](const char* name, const char* tokens) {
    Extraction worker = Worker(name, {"--tokens", tokens});
    worker.model = model.path();
    const ProcessResult result = worker.Run();
    EXPECT_EQ(result.exit_status, 0) << result.Describe();
    return RowsOf(Read(name));
  };
  const StoredRows all = run("all", "all");
  const StoredRows after = run("after", "after:STOP");
  ExpectVerified("after");
  StoredRows expected;
  for (const auto& [place, row] : all) {
    const auto& [sample, part, position] = place;
    const int64_t word = part * (kMaxTokens - kOverlap) + position;
    if (word >= words_before[static_cast<size_t>(sample)]) expected.emplace(place, row);
  }
  EXPECT_LT(expected.size(), all.size());
  EXPECT_EQ(after.size(), expected.size());
  EXPECT_TRUE(after == expected);
}

// Several units of a run over all tokens.
const std::vector<std::string> kSmallShards = {"--shard-bytes", "60KB"};

// Few rows a sequence: a unit reads far more tokens than it stores, and some batches store none.
TEST_F(TokenSelectionTest, ShardsAreAsLargeAsTheirRows) {
  const RunContent all = Run("all", kSmallShards);
  const RunContent few =
      Run("few", {"--tokens", "fraction:0.01", kSmallShards[0], kSmallShards[1]});
  ExpectVerified("few");
  int64_t rows = 0;
  int64_t read = 0;
  for (const UnitContent& unit : few.units) {
    rows += unit.commit.token_count;
    read += unit.commit.forward_token_count;
  }
  int64_t all_tokens = 0;
  for (const UnitContent& unit : all.units) all_tokens += unit.commit.token_count;
  EXPECT_EQ(read, all_tokens);
  EXPECT_GT(rows, 0);
  EXPECT_LT(rows, read / 20);
  EXPECT_LT(few.units.size(), all.units.size());
}

TEST_F(TokenSelectionTest, AKilledWorkerLeavesNoTrace) {
  const std::vector<std::string> flags = {"--tokens", "every:3",       "--dtype",
                                          "int8",     "--shard-bytes", "10KB"};
  const RunContent undisturbed = Run("undisturbed", flags);
  ASSERT_GT(undisturbed.units.size(), 1u);
  int kills = 0;
  // Later and later, until a worker gets to its end.
  for (int64_t delay_ms = 0; kills == delay_ms / 10; delay_ms += 10) {
    Process worker(Worker("killed", flags).ToCommand());
    PassMilliseconds(delay_ms);
    if (worker.HasEnded()) {
      EXPECT_EQ(worker.Wait().exit_status, 0);
      break;
    }
    worker.Signal(SIGKILL);
    (void)worker.Wait();
    ++kills;
  }
  EXPECT_GT(kills, 0);
  const RunContent resumed = Run("killed", flags);
  EXPECT_EQ(DifferenceBetween(undisturbed, resumed), "");
  ExpectVerified("killed");
}

}  // namespace
}  // namespace thresher
