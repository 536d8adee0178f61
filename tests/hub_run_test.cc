// Runs whose model or data set is named by its address on a hub, which is a server on loopback.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/temporary_folder_for_test.h"
#include "extraction.h"
#include "files.h"
#include "hub/fake_hub_for_test.h"
#include "run_reader.h"

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class HubRunTest : public testing::Test {
 protected:
  HubRunTest() { WriteSamples(Path("d.jsonl"), {.count = 20, .shortest = 1, .longest = 20}); }

  // The hub gets the golden Qwen2 model as owner/name.
  void ServeModel() {
    for (const char* name : {"config.json", "model.safetensors"}) {
      hub_.files[name] = {.bytes = ReadFile(GoldenModel("qwen2") + "/" + name),
                          .is_large = std::string(name) == "model.safetensors"};
    }
  }

  using Environment = std::map<std::string, std::string>;
  ProcessResult Extract(const std::string& model, const std::string& dataset,
                        const std::string& output, const Environment& environment = {}) const {
    Command command =
        Extraction{.model = model, .dataset = dataset, .output = Path(output)}.ToCommand();
    command.environment.insert({{"HF_ENDPOINT", hub_.url()},
                                {"HF_HOME", Path("hf")},
                                {"HF_HUB_CACHE", ""},
                                {"HF_HUB_OFFLINE", ""},
                                {"HF_TOKEN", ""}});
    for (const auto& [name, value] : environment) command.environment[name] = value;
    return RunProcess(command);
  }

  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }

  // What run `output` stored is what a run of the same files from a local folder stores.
  void ExpectAsFromLocalFiles(const std::string& output) const {
    const ProcessResult local = Extract(GoldenModel("qwen2"), Path("d.jsonl"), "local-" + output);
    ASSERT_EQ(local.exit_status, 0) << local.Describe();
    const Result<RunContent> expected = ReadCompleteRun(Path("local-" + output));
    const Result<RunContent> found = ReadCompleteRun(Path(output));
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    ASSERT_TRUE(found.ok()) << found.status().message();
    EXPECT_EQ(DifferenceBetween(*expected, *found), "");
  }

  TemporaryFolder folder_;
  FakeHub hub_;
};

TEST_F(HubRunTest, AModelIsFetchedOnceAndThenReadFromTheCache) {
  ServeModel();
  hub_.needs_token = "secret";
  const ProcessResult first =
      Extract("hf://owner/name", Path("d.jsonl"), "first", {{"HF_TOKEN", "secret"}});
  ASSERT_EQ(first.exit_status, 0) << first.Describe();
  EXPECT_THAT(first.out + first.err, Not(HasSubstr("secret")));
  ExpectAsFromLocalFiles("first");
  // Where huggingface_hub would look for it.
  EXPECT_TRUE(std::filesystem::exists(Path("hf/hub/models--owner--name/snapshots/") + hub_.commit +
                                      "/model.safetensors"));

  const size_t requests = hub_.RequestCount();
  const ProcessResult second =
      Extract("hf://owner/name", Path("d.jsonl"), "second", {{"HF_HUB_OFFLINE", "1"}});
  ASSERT_EQ(second.exit_status, 0) << second.Describe();
  EXPECT_EQ(hub_.RequestCount(), requests);
  ExpectAsFromLocalFiles("second");
}

TEST_F(HubRunTest, ADataSetByName) {
  hub_.kind = "datasets";
  hub_.files["data/train-00000.jsonl"] = {.bytes = ReadFile(Path("d.jsonl")), .is_large = true};
  hub_.files["README.md"] = {.bytes = "# made up"};
  const ProcessResult result = Extract(GoldenModel("qwen2"), "hf://datasets/owner/name", "run");
  ASSERT_EQ(result.exit_status, 0) << result.Describe();
  ExpectAsFromLocalFiles("run");
  EXPECT_THAT(hub_.DataRequests(), Not(IsEmpty()));
}

TEST_F(HubRunTest, WithoutATokenForAGatedModelItSaysWhatToDo) {
  ServeModel();
  hub_.needs_token = "secret";
  const ProcessResult result = Extract("hf://owner/name", Path("d.jsonl"), "run");
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("owner/name"));
  EXPECT_THAT(result.err, HasSubstr("HF_TOKEN"));
  EXPECT_THAT(FilesBelow(Path("run")), IsEmpty());
}

TEST_F(HubRunTest, AFileWithTheWrongBytesIsNeverUsed) {
  ServeModel();
  hub_.on_data = [&](const ReceivedRequest&, int) {
    std::string bytes = hub_.files["model.safetensors"].bytes;
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    return Answer("200 OK", bytes);
  };
  const ProcessResult result = Extract("hf://owner/name", Path("d.jsonl"), "run");
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("model.safetensors"));
  EXPECT_THAT(result.err, HasSubstr("do not have the hash"));
  EXPECT_THAT(FilesBelow(Path("run")), IsEmpty());
}

TEST_F(HubRunTest, ARevisionThatIsNotThere) {
  ServeModel();
  const ProcessResult result = Extract("hf://owner/name@v9", Path("d.jsonl"), "run");
  EXPECT_EQ(result.exit_status, 1) << result.Describe();
  EXPECT_THAT(result.err, HasSubstr("v9"));
}

}  // namespace
}  // namespace thresher
