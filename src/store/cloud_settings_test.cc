#include "store/cloud_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "base/temporary_folder_for_test.h"

namespace thresher {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using Variables = std::map<std::string, std::string>;

Result<json> Settings(std::string_view url, const StoreOptions& options = {},
                      const Variables& variables = {}) {
  return CloudSettings(*ParseCloudUrl(url), options, [&](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? "" : found->second;
  });
}

// The settings of the service alone, without what holds for all.
json Of(std::string_view url, const StoreOptions& options = {}, const Variables& variables = {}) {
  const Result<json> settings = Settings(url, options, variables);
  return settings.ok() ? settings->at("settings") : json(settings.status().message());
}

TEST(CloudSettingsTest, NumbersOfTheOptions) {
  StoreOptions options;
  options.part_bytes = 7;
  options.upload_bytes_per_second = 9;
  const Result<json> settings = Settings("gs://b/run", options);
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->at("service"), "gcs");
  EXPECT_EQ(settings->at("part_bytes"), 7);
  EXPECT_EQ(settings->at("upload_bytes_per_second"), 9);
  EXPECT_EQ(settings->at("request_timeout_ms"), options.request_timeout_ms);
}

TEST(CloudSettingsTest, Gcs) {
  EXPECT_EQ(Of("gs://b/run"), (json{{"bucket", "b"}}));
  const json anonymous = {{"bucket", "b"},
                          {"endpoint", "http://127.0.0.1:4443"},
                          {"skip_signature", "true"},
                          {"disable_config_load", "true"},
                          {"disable_vm_metadata", "true"}};
  EXPECT_EQ(Of("gs://b", {.endpoint = "http://127.0.0.1:4443", .anonymous = true}), anonymous);
  const Variables emulator = {{"STORAGE_EMULATOR_HOST", "127.0.0.1:4443"}};
  EXPECT_EQ(Of("gs://b", {}, emulator), anonymous);
  EXPECT_EQ(Of("gs://b", {.endpoint = "https://other"}, emulator),
            (json{{"bucket", "b"}, {"endpoint", "https://other"}}));
}

TEST(CloudSettingsTest, S3EndpointAndRegion) {
  const auto place = [](const StoreOptions& options, const Variables& variables) {
    const json settings = Of("s3://b/run", options, variables);
    return settings.value("endpoint", "") + " " + settings.value("region", "asked for");
  };
  const std::string aws = "https://s3.amazonaws.com";
  EXPECT_EQ(place({}, {}), aws + " asked for");
  EXPECT_EQ(place({}, {{"AWS_DEFAULT_REGION", "eu-1"}}), aws + " eu-1");
  EXPECT_EQ(place({}, {{"AWS_REGION", "eu-2"}, {"AWS_DEFAULT_REGION", "eu-1"}}), aws + " eu-2");
  EXPECT_EQ(place({}, {{"AWS_REGION", "cn-north-1"}}),
            "https://s3.cn-north-1.amazonaws.com.cn cn-north-1");
  EXPECT_EQ(place({}, {{"AWS_ENDPOINT_URL", "http://one"}}), "http://one us-east-1");
  const Variables two = {{"AWS_ENDPOINT_URL", "http://one"}, {"AWS_ENDPOINT_URL_S3", "http://two"}};
  EXPECT_EQ(place({}, two), "http://two us-east-1");
  EXPECT_EQ(place({.endpoint = "three:9000"}, two), "http://three:9000 us-east-1");
  EXPECT_EQ(place({.endpoint = "https://s3.eu-3.amazonaws.com"}, {{"AWS_REGION", "eu-2"}}),
            "https://s3.eu-3.amazonaws.com eu-3");
}

TEST(CloudSettingsTest, S3RegionOfTheProfile) {
  const TemporaryFolder folder;
  std::ofstream(folder.PathOf("config"))
      << "[profile other]\nregion=eu-9\n[default]\n output = json\n"
         " region = eu-1 \n[profile mine]\nregion=eu-2\n";
  Variables variables = {{"AWS_CONFIG_FILE", folder.PathOf("config")}};
  EXPECT_EQ(Of("s3://b", {}, variables)["region"], "eu-1");
  variables["AWS_PROFILE"] = "mine";
  EXPECT_EQ(Of("s3://b", {}, variables)["region"], "eu-2");
  variables["AWS_PROFILE"] = "none";
  EXPECT_FALSE(Of("s3://b", {}, variables).contains("region"));
}

TEST(CloudSettingsTest, S3AlwaysSendsChecksumsAndAnonymouslyNoKeys) {
  EXPECT_EQ(Of("s3://b")["checksum_algorithm"], "crc32c");
  EXPECT_FALSE(Of("s3://b").contains("skip_signature"));
  EXPECT_EQ(Of("s3://b", {.anonymous = true})["skip_signature"], "true");
}

TEST(CloudSettingsTest, Azure) {
  EXPECT_THAT(Settings("az://c").status().message(), HasSubstr("AZURE_STORAGE_ACCOUNT"));
  EXPECT_EQ(Settings("az://c").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Of("az://c", {}, {{"AZURE_STORAGE_ACCOUNT", "me"}, {"AZURE_STORAGE_KEY", "k"}}),
            (json{{"container", "c"},
                  {"endpoint", "https://me.blob.core.windows.net"},
                  {"account_name", "me"},
                  {"account_key", "k"}}));
  EXPECT_EQ(Of("az://c", {.anonymous = true}, {{"AZURE_STORAGE_ACCOUNT", "me"}}),
            (json{{"container", "c"},
                  {"endpoint", "https://me.blob.core.windows.net"},
                  {"skip_signature", "true"}}));
  EXPECT_EQ(Of("az://c", {.endpoint = "https://me.blob.core.windows.net/"},
               {{"AZURE_STORAGE_ACCOUNT", "me"}})["endpoint"],
            "https://me.blob.core.windows.net/");
}

TEST(CloudSettingsTest, AzureEmulatorsHaveTheAccountInThePath) {
  const std::string connection = "AccountName=dev;AccountKey=k;BlobEndpoint=http://h:1/dev;";
  const Variables variables = {{"AZURE_STORAGE_CONNECTION_STRING", connection}};
  const Result<json> own = Settings("az://c", {}, variables);
  ASSERT_TRUE(own.ok());
  EXPECT_EQ(own->at("connection_string"), connection);
  EXPECT_EQ(own->at("settings"), (json{{"container", "c"}}));
  EXPECT_EQ(Of("az://c", {.endpoint = "http://h:2"}, variables)["endpoint"], "http://h:2/dev");
  EXPECT_EQ(Of("az://c", {.endpoint = "http://h:2/"}, variables)["endpoint"], "http://h:2/dev");
  EXPECT_EQ(Of("az://c", {.endpoint = "http://h:2/x"}, variables)["endpoint"], "http://h:2/x");
}

TEST(CloudSettingsTest, EndpointsWithSecretsAreRefusedAndNotRepeated) {
  for (const char* endpoint :
       {"http://user:SECRET@h:9000", "user:SECRET@h:9000", "h:9000?SECRET"}) {
    const std::pair<const char*, const char*> variables[] = {
        {"gs://b", "STORAGE_EMULATOR_HOST"},
        {"s3://b", "AWS_ENDPOINT_URL"},
        {"az://b", "AZURE_STORAGE_BLOB_ENDPOINT"}};
    for (const auto& [url, variable] : variables) {
      for (const Status& status :
           {Settings(url, {.endpoint = endpoint}).status(),
            Settings(url, {}, {{variable, endpoint}, {"AZURE_STORAGE_ACCOUNT", "dev"}}).status()}) {
        EXPECT_EQ(status.code(), Code::kInvalidArgument) << url << " " << endpoint;
        EXPECT_THAT(status.message(), HasSubstr("endpoint"));
        EXPECT_THAT(status.message(), Not(HasSubstr("SECRET")));
      }
    }
  }
}

}  // namespace
}  // namespace thresher
