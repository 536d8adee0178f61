// Token ids and chat renderings against those that Hugging Face's own libraries gave
// (tokenizer_golden.json: 27 hard texts).

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/temporary_folder_for_test.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/tokenizer_data_for_test.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

std::vector<int32_t> Encoded(const Tokenizer& tokenizer, const std::string& text, bool special) {
  Result<std::vector<int32_t>> ids = tokenizer.Encode(text, special);
  EXPECT_TRUE(ids.ok()) << ids.status().message();
  return ids.ok() ? *ids : std::vector<int32_t>{-1};
}

void CheckTokenizer(const std::string& directory, const Json& golden, const std::string& name) {
  SCOPED_TRACE(name);
  const Result<Tokenizer> tokenizer = Tokenizer::Load(directory);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const Json& texts = golden["texts"];
  const Json& ids = golden["ids"][name];
  ASSERT_EQ(texts.size(), ids.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(Encoded(*tokenizer, texts[i], false), ids[i].get<std::vector<int32_t>>())
        << "text " << i << ": " << texts[i];
  }
  // These are of texts 3, 4 and 5.
  const Json& with_special = golden["ids_with_special"][name];
  for (size_t i = 0; i < with_special.size(); ++i) {
    EXPECT_EQ(Encoded(*tokenizer, texts[3 + i], true), with_special[i].get<std::vector<int32_t>>());
  }

  const Json& chats = golden["chat"][name];
  if (chats.is_null()) return;
  const Result<ChatTemplate> chat_template = ChatTemplate::Load(directory);
  ASSERT_TRUE(chat_template.ok()) << chat_template.status().message();
  for (const Json& chat : chats) {
    const Result<std::string> text = chat_template->Render(chat[0].dump(), true);
    ASSERT_TRUE(text.ok()) << text.status().message();
    EXPECT_EQ(*text, chat[1].get<std::string>());
  }
}

TEST(TokenizerGoldenTest, Tiny512) {
  const Json golden = Json::parse(ReadFileForTest(TokenizerDataPath("tokenizer_golden.json")));
  ASSERT_EQ(golden["texts"].size(), 27u);
  CheckTokenizer(TokenizerDataPath("tiny512"), golden, "tiny512");
}

// THRESHER_TOKENIZER_DIR names a folder with one folder for each of the large tokenizers at hand
// (those of tokenizer_golden.json): scripts/fetch_tokenizers.sh.
TEST(TokenizerGoldenTest, LargeTokenizers) {
  const char* folder = std::getenv("THRESHER_TOKENIZER_DIR");
  if (folder == nullptr) {
    GTEST_SKIP() << "run scripts/fetch_tokenizers.sh and set THRESHER_TOKENIZER_DIR to "
                    ".cache/tokenizers to check published tokenizers";
  }
  const std::string root(folder);
  const Json golden = Json::parse(ReadFileForTest(TokenizerDataPath("tokenizer_golden.json")));
  for (const auto& [name, ids] : golden["ids"].items()) {
    if (name != "tiny512") CheckTokenizer(root + "/" + name, golden, name);
  }
}

}  // namespace
}  // namespace thresher
