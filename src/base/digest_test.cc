#include "base/digest.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace thresher {
namespace {

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string HexOf(Digest::Kind kind, std::string_view text) {
  Digest digest(kind);
  digest.Update(Bytes(text));
  return digest.FinishHex();
}

// The examples of NIST's "SHA1.pdf" and "SHA256.pdf", and of nothing.
constexpr std::string_view kTwoBlocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

TEST(DigestTest, Sha1GivesTheExamplesOfTheStandard) {
  EXPECT_EQ(HexOf(Digest::Kind::kSha1, ""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(HexOf(Digest::Kind::kSha1, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(HexOf(Digest::Kind::kSha1, kTwoBlocks), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

TEST(DigestTest, Sha256GivesTheExamplesOfTheStandard) {
  EXPECT_EQ(HexOf(Digest::Kind::kSha256, ""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HexOf(Digest::Kind::kSha256, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexOf(Digest::Kind::kSha256, kTwoBlocks),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(DigestTest, AMillionLettersInUnevenParts) {
  const std::string letters(1000000, 'a');
  for (const auto& [kind, expected] :
       {std::pair(Digest::Kind::kSha1, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        std::pair(Digest::Kind::kSha256,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")}) {
    Digest digest(kind);
    for (size_t begin = 0, length = 0; begin < letters.size(); begin += length++) {
      digest.Update(Bytes(std::string_view(letters).substr(begin, length)));
    }
    EXPECT_EQ(digest.FinishHex(), expected);
  }
}

// The id of the empty blob and of one line, as git itself gives them.
TEST(DigestTest, GitBlobIds) {
  using std::literals::operator""sv;
  EXPECT_EQ(HexOf(Digest::Kind::kSha1, "blob 0\0"sv), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  EXPECT_EQ(HexOf(Digest::Kind::kSha1, "blob 6\0hello\n"sv),
            "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(DigestTest, BeginsAnewAfterFinish) {
  Digest digest(Digest::Kind::kSha256);
  digest.Update(Bytes("something else"));
  digest.FinishHex();
  digest.Update(Bytes("abc"));
  EXPECT_EQ(digest.FinishHex(), HexOf(Digest::Kind::kSha256, "abc"));
}

}  // namespace
}  // namespace thresher
