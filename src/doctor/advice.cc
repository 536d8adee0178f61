#include "doctor/advice.h"

namespace thresher {
namespace {

// Roles: https://cloud.google.com/storage/docs/access-control/iam-roles. Replacing an object needs
// the permission to delete it.
std::string_view GooglePermission(Right right) {
  switch (right) {
    case Right::kWrite:
      return "storage.objects.create";
    case Right::kOverwrite:
      return "storage.objects.delete (replacing an object needs it, and heartbeats are replaced)";
    case Right::kRead:
      return "storage.objects.get";
    case Right::kList:
      return "storage.objects.list";
    case Right::kDelete:
      return "storage.objects.delete";
  }
  return "";
}

// Actions: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html.
std::string_view AmazonAction(Right right) {
  switch (right) {
    case Right::kWrite:
    case Right::kOverwrite:
      return "s3:PutObject and s3:AbortMultipartUpload on the bucket's objects (arn:aws:s3:::B/*)";
    case Right::kRead:
      return "s3:GetObject on the bucket's objects (arn:aws:s3:::B/*)";
    case Right::kList:
      return "s3:ListBucket on the bucket itself (arn:aws:s3:::B, without /*)";
    case Right::kDelete:
      return "s3:DeleteObject on the bucket's objects (arn:aws:s3:::B/*)";
  }
  return "";
}

std::string MissingRight(Cloud cloud, Right right) {
  switch (cloud) {
    case Cloud::kGoogle:
      return "give the account the role roles/storage.objectUser on the bucket, or at least " +
             std::string(GooglePermission(right));
    case Cloud::kAmazon:
      return "allow " + std::string(AmazonAction(right));
    case Cloud::kAzure:
      return "give the account the role \"Storage Blob Data Contributor\" on the container; Owner "
             "or Contributor of the subscription is not enough";
    case Cloud::kNone:
      return "give this user the right to read, write and search the folder, and to make folders "
             "in it";
  }
  return "";
}

// Where a cloud's credentials come from.
std::string CredentialSources(Cloud cloud) {
  switch (cloud) {
    case Cloud::kGoogle:
      return "credentials come from GOOGLE_APPLICATION_CREDENTIALS, gcloud auth "
             "application-default login, or the machine's service account";
    case Cloud::kAmazon:
      return "credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, or the "
             "machine's role; the region from AWS_REGION";
    case Cloud::kAzure:
      return "the account comes from AZURE_STORAGE_ACCOUNT_NAME, credentials from "
             "AZURE_STORAGE_ACCOUNT_KEY or the machine's managed identity";
    case Cloud::kNone:
      return "";
  }
  return "";
}

std::string Unreachable(Cloud cloud) {
  if (cloud == Cloud::kNone) return "look at the disk and, for a network file system, at its mount";
  return "look at the name of the bucket or container, at the network from here to the store, and "
         "at --store-endpoint; " +
         CredentialSources(cloud);
}

}  // namespace

Cloud CloudOf(std::string_view url) {
  if (url.starts_with("gs://")) return Cloud::kGoogle;
  if (url.starts_with("s3://")) return Cloud::kAmazon;
  if (url.starts_with("az://")) return Cloud::kAzure;
  return Cloud::kNone;
}

std::string AdviceIfNothingWorks(Cloud cloud, const Status& status) {
  if (status.code() != Code::kPermissionDenied || cloud == Cloud::kNone) {
    return AdviceFor(cloud, Right::kWrite, status);
  }
  return "look at the credentials first: " + CredentialSources(cloud) + "; if they are right, " +
         MissingRight(cloud, Right::kWrite) + ", and so on (docs/operating.md)";
}

std::string AdviceFor(Cloud cloud, Right right, const Status& status) {
  switch (status.code()) {
    case Code::kPermissionDenied:
      return MissingRight(cloud, right);
    case Code::kNotFound:
      return cloud == Cloud::kNone ? "make the folder above it"
                                   : "make the bucket first, or mend its name in the address";
    case Code::kResourceExhausted:
      return cloud == Cloud::kNone ? "free some room, or raise the quota"
                                   : "raise the account's quota or request rate";
    default:
      return Unreachable(cloud);
  }
}

}  // namespace thresher
