#include "model/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fingerprint.h"
#include "model/model_folder_for_test.h"

namespace thresher {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr char kSingle[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";

TensorEntry Tensor(const std::string& name, std::vector<int64_t> shape, DType dtype = DType::kF32) {
  return {.name = name, .dtype = dtype, .shape = std::move(shape)};
}

void ExpectRefused(const ModelFolder& folder, const std::vector<std::string>& message_parts) {
  const Result<Weights> weights = Weights::Open(folder.path());
  ASSERT_FALSE(weights.ok());
  for (const std::string& part : message_parts) {
    EXPECT_THAT(weights.status().message(), HasSubstr(part));
  }
}

TEST(WeightsTest, FindsTensors) {
  const ModelFolder folder;
  folder.WriteTensors(kSingle, {Tensor("a", {2, 3}, DType::kBf16), Tensor("b", {4})}, 7);
  const Result<Weights> weights = Weights::Open(folder.path());
  ASSERT_TRUE(weights.ok()) << weights.status().message();
  EXPECT_EQ(weights->total_bytes(), 12 + 16);
  const Result<WeightView> a = weights->Find("a");
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(a->dtype, DType::kBf16);
  EXPECT_EQ(a->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(a->file, folder.PathOf(kSingle));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(std::to_integer<int>(a->data[i]), 7);

  EXPECT_TRUE(weights->Find("a", {2, 3}).ok());
  EXPECT_EQ(weights->Find("a", {3, 2}).status().message(),
            folder.PathOf(kSingle) + ": tensor 'a': expected shape [3, 2], found [2, 3]");
  EXPECT_EQ(weights->Find("c").status().code(), Code::kNotFound);
  EXPECT_EQ(weights->Find("c").status().message(),
            "tensor 'c' is missing; searched " + folder.PathOf(kSingle));
}

// The definition in words: names in order, each with dtype, shape and the hash of its bytes.
std::string SlowFingerprint(const Weights& weights, const std::vector<std::string>& names) {
  Fingerprinter fingerprinter;
  for (const std::string& name : names) {
    const WeightView view = *weights.Find(name);
    int64_t bytes = DTypeBytes(view.dtype);
    std::string shape;
    for (const int64_t extent : view.shape) {
      bytes *= extent;
      shape += (shape.empty() ? "" : ",") + std::to_string(extent);
    }
    fingerprinter.AddField(name);
    fingerprinter.AddField(SafetensorsName(view.dtype));
    fingerprinter.AddField(shape);
    fingerprinter.AddField(FingerprintOf({view.data, static_cast<size_t>(bytes)}));
  }
  return fingerprinter.Finish();
}

TEST(WeightsTest, FingerprintIsTheSameForEverySplit) {
  const ModelFolder one;
  one.WriteTensors(kSingle, {Tensor("b", {4}), Tensor("c", {3, 2}), Tensor("a", {0})}, 7);
  const ModelFolder two;
  two.WriteTensors("x.safetensors", {Tensor("c", {3, 2})}, 7);
  two.WriteTensors("y.safetensors", {Tensor("a", {0}), Tensor("b", {4})}, 7);
  two.Write(kIndex, R"({"metadata":{},"weight_map":{"a":"y.safetensors","b":"y.safetensors",
                        "c":"x.safetensors"}})");
  const Result<Weights> single = Weights::Open(one.path());
  const Result<Weights> split = Weights::Open(two.path());
  ASSERT_TRUE(single.ok() && split.ok()) << split.status().message();
  EXPECT_EQ(single->Fingerprint(), split->Fingerprint());
  EXPECT_EQ(single->Fingerprint(), SlowFingerprint(*single, {"a", "b", "c"}));
}

TEST(WeightsTest, FingerprintSeesEveryChange) {
  std::set<std::string> seen;
  const auto add = [&](std::vector<TensorEntry> tensors, char fill) {
    const ModelFolder folder;
    folder.WriteTensors(kSingle, std::move(tensors), fill);
    const Result<Weights> weights = Weights::Open(folder.path());
    ASSERT_TRUE(weights.ok());
    EXPECT_TRUE(seen.insert(weights->Fingerprint()).second);
  };
  add({Tensor("a", {4})}, 0);
  add({Tensor("a", {4})}, 1);
  add({Tensor("b", {4})}, 0);
  add({Tensor("a", {2, 2})}, 0);
  add({Tensor("a", {4}, DType::kI32)}, 0);
  add({Tensor("a", {8}, DType::kF16)}, 0);
  add({Tensor("a", {4}), Tensor("b", {0})}, 0);
  add({}, 0);
}

TEST(WeightsTest, OtherDtypesMayBeThereButNotBeUsed) {
  const ModelFolder folder;
  const std::string header = R"({"m":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]},)"
                             R"("i":{"dtype":"I32","shape":[1],"data_offsets":[4,8]}})";
  folder.Write(kSingle, std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') +
                            header + std::string(8, 'x'));
  const Result<Weights> weights = Weights::Open(folder.path());
  ASSERT_TRUE(weights.ok()) << weights.status().message();
  EXPECT_EQ(weights->total_bytes(), 8);
  EXPECT_THAT(weights->Find("m").status().message(),
              HasSubstr("tensor 'm': expected dtype F32, F16 or BF16, found 'BOOL'"));
  EXPECT_THAT(weights->Find("i").status().message(), HasSubstr("found 'I32'"));
}

TEST(WeightsTest, NamesWhatIsMissing) {
  const ModelFolder folder;
  ExpectRefused(folder, {folder.path(), "expected model.safetensors or"});
  folder.Write("pytorch_model.bin", "");
  ExpectRefused(folder, {"pytorch_model.bin is a pickle"});
  folder.Write(kIndex, R"({"weight_map":{"a":"gone.safetensors"}})");
  ExpectRefused(folder, {"gone.safetensors", kIndex, "No such file"});
}

TEST(WeightsTest, RefusesDamagedFiles) {
  const ModelFolder folder;
  folder.WriteTensors(kSingle, {Tensor("a", {100})}, 1);
  const std::string whole = folder.Read(kSingle);
  for (const size_t size :
       {size_t{0}, size_t{5}, size_t{8}, size_t{60}, whole.size() - 400, whole.size() - 1}) {
    folder.Write(kSingle, whole.substr(0, size));
    ExpectRefused(folder, {folder.PathOf(kSingle)});
  }
  folder.Write(kSingle, whole.substr(0, whole.size() - 1));
  ExpectRefused(folder, {"tensor 'a'", "byte 399", "found byte 400", "cut short"});
  folder.Write(kSingle, whole + "x");
  ExpectRefused(folder, {"take 400 bytes, but the file has 401"});
  folder.Write(kSingle, "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 5\n");
  ExpectRefused(folder, {"not a safetensors file"});
}

TEST(WeightsTest, RefusesBadIndexFiles) {
  const ModelFolder folder;
  folder.WriteTensors("x.safetensors", {Tensor("a", {4})}, 1);
  const auto refused = [&](const std::string& index, const std::vector<std::string>& parts) {
    folder.Write(kIndex, index);
    ExpectRefused(folder, {folder.PathOf(kIndex)});
    ExpectRefused(folder, parts);
  };
  refused("{\n\"weight_map\": {", {"not valid JSON at line 2"});
  refused("", {"not valid JSON"});
  refused("[]", {"expected a JSON object, found an array"});
  refused("{}", {"field 'weight_map'", "found nothing"});
  refused(R"({"weight_map":[]})", {"field 'weight_map'", "found an array"});
  refused(R"({"weight_map":{}})", {"field 'weight_map'"});
  refused(R"({"weight_map":{"a":7}})", {"tensor 'a'", "the name of a file", "found 7"});
  refused(R"({"weight_map":{"a":"x.safetensors","a":"x.safetensors"}})",
          {"the key 'a' occurs twice"});
  refused(R"({"weight_map":{"a":"x.safetensors","b":"x.safetensors"}})",
          {"tensor 'b': expected it in 'x.safetensors', found it in none of the files"});
  for (const char* name :
       {"../x.safetensors", "/etc/passwd", "a/b", "..", ".", "", "a\\\\b", "a\\u0000b"}) {
    refused(R"({"weight_map":{"a":")" + std::string(name) + R"("}})",
            {"tensor 'a': expected the name of a file in the same folder"});
  }
}

TEST(WeightsTest, RefusesTensorsInTwoFilesOrInTheWrongOne) {
  const ModelFolder folder;
  folder.WriteTensors("x.safetensors", {Tensor("a", {4})}, 1);
  folder.WriteTensors("y.safetensors", {Tensor("b", {4})}, 1);
  folder.Write(kIndex, R"({"weight_map":{"a":"y.safetensors","b":"x.safetensors"}})");
  ExpectRefused(folder, {"tensor 'a': expected it in 'y.safetensors', found it in " +
                         folder.PathOf("x.safetensors")});
  folder.WriteTensors("y.safetensors", {Tensor("b", {4}), Tensor("a", {4})}, 1);
  folder.Write(kIndex, R"({"weight_map":{"a":"x.safetensors","b":"y.safetensors"}})");
  ExpectRefused(folder, {"tensor 'a' is in two files", folder.PathOf("x.safetensors"),
                         folder.PathOf("y.safetensors")});
}

}  // namespace
}  // namespace thresher
