#include "base/scrub.h"

#include <gtest/gtest.h>

#include <string>

namespace thresher {
namespace {

TEST(ScrubTest, SecretsAreHiddenHoweverTheyAreWritten) {
  for (const char* text : {
           "GET https://b.s3.amazonaws.com/k?X-Amz-Signature=s3cr3t&X-Amz-Date=1 failed",
           "https://a.blob.core.windows.net/c/b?sv=2020&sig=s3cr3t%3D",
           "http://user:s3cr3t@proxy:3128/",
           "Authorization: Bearer s3cr3t",
           "\"authorization\": \"Bearer s3cr3t\"",
           "{\"access_token\":\"s3cr3t\",\"expires_in\":3599}",
           "Authorization: AWS4-HMAC-SHA256 Credential=s3cr3t/2026/us-east-1, SignedHeaders=host, "
           "Signature=s3cr3t",
           "x-amz-security-token: s3cr3t",
           "AccountName=a;AccountKey=s3cr3t==;EndpointSuffix=core.windows.net",
           "SharedAccessSignature=sv=1&sig=s3cr3t",
           "Authorization: SharedKey account:s3cr3t",
           "secret_access_key = 's3cr3t'",
           "<Signature>s3cr3t</Signature>",
           "password: s3cr3t",
           "\"private_key\": \"s3cr3t\"",
           "client-secret=s3cr3t",
           "Bearer: s3cr3t token=s3cr3t",
       }) {
    EXPECT_EQ(ScrubSecrets(text).find("s3cr3t"), std::string::npos) << ScrubSecrets(text);
  }
}

TEST(ScrubTest, TheRestStays) {
  for (const char* text : {
           "HTTP 403: AccessDenied: Access Denied.",
           "InvalidAccessKeyId: The Access Key Id you provided does not exist in our records.",
           "error sending request: tcp connect error: Connection refused (os error 111)",
           "no such bucket (HTTP 404: NoSuchBucket: The specified bucket does not exist)",
           "https://storage.googleapis.com/storage/v1/b/bucket/o/key: 5 bytes",
           "The provided token has expired.",
           "grid: 3, a=b; (x)",
           "",
       }) {
    EXPECT_EQ(ScrubSecrets(text), text);
  }
  EXPECT_EQ(ScrubSecrets("GET http://h/k?a=b: lost"), "GET http://h/k?*** lost");
  EXPECT_EQ(ScrubSecrets("token: abc, next"), "token: ***, next");
}

TEST(ScrubTest, AddressesKeepWhatIsNoSecret) {
  const struct {
    const char* address;
    const char* shown;
    bool may_hold_secret;
  } cases[] = {
      {"s3://key:s3cr3t@bucket/run", "s3://***@bucket/run", true},
      {"user:s3/cr3t@h:9000", "***@h:9000", true},
      {"user:s3cr3t@h:9000", "***@h:9000", true},
      {"http://user:s3cr3t@h:9000/x?s3cr3t", "http://***@h:9000/x?***", true},
      {"az://c/x?sv=2020&sig=s3cr3t@s3cr3t/x", "az://***", true},
      {"http://user:s3cr3t?s3cr3t@h", "http://***", true},
      {"az://c/x?sv=2020&sig=s3cr3t", "az://c/x?***", true},
      {"gs://bucket/run 1", "gs://bucket/run 1", false},
      {"127.0.0.1:9000", "127.0.0.1:9000", false},
  };
  for (const auto& [address, shown, may_hold_secret] : cases) {
    EXPECT_EQ(ScrubAddress(address), shown);
    EXPECT_EQ(MayHoldSecret(address), may_hold_secret) << address;
  }
  EXPECT_FALSE(MayHoldSecret("gs://bucket/me@work"));
}

TEST(ScrubTest, OneLineOfBoundedLength) {
  EXPECT_EQ(ScrubSecrets("a\nb\r\nc"), "a b  c");
  EXPECT_LT(ScrubSecrets(std::string(1 << 20, 'x')).size(), 1100u);
}

}  // namespace
}  // namespace thresher
