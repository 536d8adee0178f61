#include "store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/temporary_folder_for_test.h"
#include "store/fault_store.h"
#include "store/memory_store.h"

namespace thresher {
namespace {

using testing::HasSubstr;

std::string UrlOf(std::string_view url) {
  const Result<std::unique_ptr<Store>> store = OpenStore(url);
  return store.ok() ? (*store)->url() : store.status().message();
}

TEST(OpenStoreTest, FormsOfLocalAddresses) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(UrlOf("file:///data/run1"), "file:///data/run1");
  EXPECT_EQ(UrlOf("file:///data//x/../run1/"), "file:///data/run1");
  EXPECT_EQ(UrlOf("file:///"), "file:///");
  EXPECT_EQ(UrlOf("/data/run 1"), "file:///data/run 1");
  EXPECT_EQ(UrlOf("out/run1/"), "file://" + here + "/out/run1");
  EXPECT_EQ(UrlOf("./out"), "file://" + here + "/out");
  EXPECT_EQ(UrlOf("a:b"), "file://" + here + "/a:b");
  EXPECT_EQ(UrlOf("./x://y"), "file://" + here + "/x:/y");
  EXPECT_EQ(UrlOf("memory:"), "memory:");
}

TEST(OpenStoreTest, CreatesNothing) {
  const TemporaryFolder folder;
  const Result<std::unique_ptr<Store>> store = OpenStore(folder.path() + "/run");
  ASSERT_TRUE(store.ok());
  EXPECT_FALSE((*store)->Stat("a").ok());
  EXPECT_TRUE((*store)->List("", "", 1).ok());
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/run"));
}

TEST(OpenStoreTest, AFileIsNoFolder) {
  const TemporaryFolder folder;
  folder.Write("notes.txt", "mine");
  const Result<std::unique_ptr<Store>> store = OpenStore(folder.PathOf("notes.txt"));
  EXPECT_EQ(store.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(store.status().message(), HasSubstr("is a file, not a folder"));
}

TEST(OpenStoreTest, OtherSchemesAreRefusedWithWhatThereIs) {
  for (const char* url :
       {"gcs://bucket/run", "s3a://bucket", "abfs://container/x", "https://host/"}) {
    const Result<std::unique_ptr<Store>> store = OpenStore(url);
    ASSERT_FALSE(store.ok()) << url;
    EXPECT_EQ(store.status().code(), Code::kInvalidArgument);
    EXPECT_THAT(store.status().message(), HasSubstr(url));
    EXPECT_THAT(store.status().message(), HasSubstr("file:///"));
    EXPECT_THAT(store.status().message(), HasSubstr("memory:"));
  }
  for (const char* url : {"", "file://", "file://host/run", "file://relative"}) {
    EXPECT_EQ(OpenStore(url).status().code(), Code::kInvalidArgument) << url;
  }
}

TEST(OpenStoreTest, CloudAddresses) {
  EXPECT_EQ(UrlOf("gs://bucket/runs/run1/"), "gs://bucket/runs/run1");
  EXPECT_EQ(UrlOf("gs://bucket"), "gs://bucket");
  EXPECT_THAT(UrlOf("gs:///run"), HasSubstr("names no bucket"));
  const StoreOptions options = {.parallel_parts = 0};
  EXPECT_EQ(OpenStore("gs://bucket", options).status().code(), Code::kInvalidArgument);
}

TEST(CheckKeyTest, MessageNamesTheKeyAndWhatIsWrong) {
  EXPECT_TRUE(CheckKey("commits/unit-000123.json").ok());
  EXPECT_THAT(CheckKey("a/../b").message(), HasSubstr("\"a/../b\""));
  EXPECT_THAT(CheckKey("a//b").message(), HasSubstr("empty part"));
}

TEST(MemoryStoreTest, TellsWhatIsMissing) {
  const Result<std::unique_ptr<Store>> store = OpenStore("memory:");
  ASSERT_TRUE(store.ok());
  const Result<std::string> text = (*store)->GetText("run.json");
  EXPECT_EQ(text.status().code(), Code::kNotFound);
  EXPECT_THAT(text.status().message(), HasSubstr("run.json"));
}

TEST(OpenStoreTest, SecretsInAddressesOfOtherSchemesAreNotRepeated) {
  for (const std::string url :
       {"s3a://AKIAX:SECRETKEY@bucket/run", "https://host/c?sv=1&sig=SECRETKEY"}) {
    const std::string message = OpenStore(url).status().message();
    EXPECT_EQ(message.find("SECRETKEY"), std::string::npos) << message;
  }
}

TEST(OpenStoreTest, ASlashTooFewIsNoLocalFolder) {
  for (const char* url : {"s3:/bucket/run", "gs:/bucket", "file:/data/run"}) {
    EXPECT_EQ(OpenStore(url).status().code(), Code::kInvalidArgument) << url;
  }
  EXPECT_TRUE(OpenStore("./s3:/bucket").ok());
  EXPECT_TRUE(OpenStore("a folder: b/c").ok());
}

// A server that answers every page with the first one.
class StuckLists : public FaultStore {
 public:
  using FaultStore::FaultStore;
  Result<ListPage> List(std::string_view prefix, std::string_view /*start_after*/,
                        int64_t /*limit*/) override {
    return FaultStore::List(prefix, "", 1);
  }
};

TEST(ListAllTest, AServerThatDoesNotMoveOnIsAnErrorAndNoLoop) {
  MemoryStore memory;
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(memory.Put(key, {}).ok());
  StuckLists store(memory, Clock::Real());
  EXPECT_EQ(ListAll(store, "").status().code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace thresher
