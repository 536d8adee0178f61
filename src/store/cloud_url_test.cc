#include "store/cloud_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace thresher {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(CloudUrlTest, PartsAndCanonicalForm) {
  const Result<CloudUrl> url = ParseCloudUrl("s3://my.bucket-1/runs/run 1/");
  ASSERT_TRUE(url.ok()) << url.status().message();
  EXPECT_EQ(url->cloud, Cloud::kS3);
  EXPECT_EQ(url->bucket, "my.bucket-1");
  EXPECT_EQ(url->folder, "runs/run 1");
  EXPECT_EQ(url->Text(), "s3://my.bucket-1/runs/run 1");
  EXPECT_EQ(ParseCloudUrl("gs://bucket")->Text(), "gs://bucket");
  EXPECT_EQ(ParseCloudUrl("gs://bucket/")->Text(), "gs://bucket");
  EXPECT_EQ(ParseCloudUrl("az://$web/a%20b+c#d@e")->folder, "a%20b+c#d@e");
}

TEST(CloudUrlTest, WhatNamesNoFolderIsRefused) {
  for (const char* url : {"gs://", "gs:///a", "s3://b u", "gs://b/a//c", "gs://b/../c",
                          "gs://b/.tmp-x", "gs://b/./c"}) {
    const Status status = ParseCloudUrl(url).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << url;
    EXPECT_THAT(status.message(), HasSubstr(url));
  }
}

TEST(CloudUrlTest, SecretsAreRefusedAndNotRepeated) {
  for (const char* url : {"s3://AKIAX:SECRET@bucket/run", "s3://AKIAX:SEC/SECRET@bucket/run",
                          "gs://SECRET@bucket", "az://c/x?sv=2020&sig=SECRET", "az://c?SECRET/d",
                          "gs://b/a?SECRET@d//c", "s3://AKIAX:SECRET?SECRET@bucket/run"}) {
    const Status status = ParseCloudUrl(url).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << url;
    EXPECT_THAT(status.message(), Not(HasSubstr("SECRET")));
    EXPECT_THAT(status.message(), HasSubstr("environment")) << url;
  }
}

TEST(CloudUrlTest, OnlyThreeSchemesAreClouds) {
  for (const char* url : {"gs://b", "s3://b/c", "az://"}) EXPECT_TRUE(IsCloudUrl(url)) << url;
  for (const char* url : {"gcs://b", "s3a://b", "abfs://b", "S3://b", "gs:/b", "file:///b", "b"}) {
    EXPECT_FALSE(IsCloudUrl(url)) << url;
  }
}

}  // namespace
}  // namespace thresher
