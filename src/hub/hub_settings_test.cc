#include "hub/hub_settings.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <string>

#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

// The settings with these variables and no others.
HubSettings With(const std::map<std::string, std::string>& variables) {
  for (const char* name :
       {"HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME",
        "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    unsetenv(name);
  }
  setenv("HOME", "/home/me", 1);
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  return HubSettings::FromEnvironment();
}

TEST(HubSettingsTest, CacheFolder) {
  EXPECT_EQ(With({}).cache_folder, "/home/me/.cache/huggingface/hub");
  EXPECT_EQ(With({{"XDG_CACHE_HOME", "/x"}}).cache_folder, "/x/huggingface/hub");
  EXPECT_EQ(With({{"XDG_CACHE_HOME", "/x"}, {"HF_HOME", "~/h"}}).cache_folder, "/home/me/h/hub");
  EXPECT_EQ(With({{"HF_HOME", "/h"}, {"HUGGINGFACE_HUB_CACHE", "/c"}}).cache_folder, "/c");
  EXPECT_EQ(With({{"HUGGINGFACE_HUB_CACHE", "/c"}, {"HF_HUB_CACHE", "$HOME/d/${HOME}/$NO/${HOME"}})
                .cache_folder,
            "/home/me/d//home/me/$NO/${HOME");
}

TEST(HubSettingsTest, Token) {
  const TemporaryFolder folder;
  folder.Write("token", " file\r\n");
  const std::string path = folder.Write("other", "other\n");
  EXPECT_EQ(With({{"HF_HOME", "/nowhere"}}).token, "");
  EXPECT_EQ(With({{"HF_HOME", folder.path()}}).token, "file");
  EXPECT_EQ(With({{"HF_HOME", folder.path()}, {"HF_TOKEN_PATH", path}}).token, "other");
  EXPECT_EQ(With({{"HF_HOME", folder.path()}, {"HUGGING_FACE_HUB_TOKEN", "old"}}).token, "old");
  EXPECT_EQ(With({{"HUGGING_FACE_HUB_TOKEN", "old"}, {"HF_TOKEN", "new\n"}}).token, "new");
  EXPECT_EQ(With({{"HF_TOKEN", "new"}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}}).token, "");
}

TEST(HubSettingsTest, EndpointAndOffline) {
  EXPECT_EQ(With({}).endpoint, "https://huggingface.co");
  EXPECT_EQ(With({{"HF_ENDPOINT", "http://m/x//"}}).endpoint, "http://m/x");
  EXPECT_FALSE(With({{"HF_HUB_OFFLINE", "0"}}).offline);
  EXPECT_TRUE(With({{"HF_HUB_OFFLINE", "yes"}}).offline);
  EXPECT_TRUE(With({{"TRANSFORMERS_OFFLINE", "1"}}).offline);
}

}  // namespace
}  // namespace thresher
