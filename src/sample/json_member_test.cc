#include "sample/json_member.h"

#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "base/random.h"

namespace thresher {
namespace {

TEST(JsonMemberTest, GivesTheTextAsWritten) {
  const std::string_view object =
      R"( { "a\"}": [1, "x,}"], "n": {"z":1, "a": [2]} , "t" :true,"last": "\\" } )";
  EXPECT_EQ(JsonMemberText(object, "a\"}"), R"([1, "x,}"])");
  EXPECT_EQ(JsonMemberText(object, "n"), R"({"z":1, "a": [2]} )");
  EXPECT_EQ(JsonMemberText(object, "t"), "true");
  EXPECT_EQ(JsonMemberText(object, "last"), R"("\\" )");
  EXPECT_EQ(JsonMemberText(R"({"\u006dessages": []})", "messages"), "[]");
}

TEST(JsonMemberTest, ElementsAreGivenAsWritten) {
  EXPECT_EQ(
      JsonElementTexts(R"( [1 ,"a,]\"]", {"b": [2, 3]},[ ],null ] )"),
      (std::vector<std::string_view>{"1 ", R"("a,]\"]")", R"({"b": [2, 3]})", "[ ]", "null "}));
  EXPECT_TRUE(JsonElementTexts("[ ]").empty());
}

nlohmann::json RandomValue(Random& random, int depth) {
  const std::string texts[] = {"", "a", "{", "}", "[", "]", ",", ":", "\"", "\\", "é\n"};
  switch (random.Below(depth > 3 ? 3 : 5)) {
    case 0:
      return random.Below(1000);
    case 1:
      return texts[random.Below(11)];
    case 2:
      return nullptr;
    case 3: {
      nlohmann::json list = nlohmann::json::array();
      for (uint64_t n = random.Below(4); n > 0; --n) list.push_back(RandomValue(random, depth + 1));
      return list;
    }
    default: {
      nlohmann::json object = nlohmann::json::object();
      for (uint64_t n = random.Below(4); n > 0; --n) {
        object[texts[random.Below(11)]] = RandomValue(random, depth + 1);
      }
      return object;
    }
  }
}

TEST(JsonMemberTest, AgreesWithTheParser) {
  Random random(3);
  for (int round = 0; round < 2000; ++round) {
    nlohmann::json object = nlohmann::json::object();
    while (object.size() < 5) object[RandomValue(random, 9).dump()] = RandomValue(random, 0);
    const bool ascii = random.Below(2) == 0;
    const std::string text = object.dump(random.Below(2) == 0 ? -1 : 2, ' ', ascii);
    for (const auto& [name, value] : object.items()) {
      const Result<nlohmann::json> member = ParseJson(JsonMemberText(text, name));
      ASSERT_TRUE(member.ok()) << text;
      ASSERT_EQ(*member, value) << text;
      if (!value.is_array()) continue;
      const std::vector<std::string_view> elements = JsonElementTexts(JsonMemberText(text, name));
      ASSERT_EQ(elements.size(), value.size()) << text;
      for (size_t i = 0; i < elements.size(); ++i) {
        ASSERT_EQ(*ParseJson(elements[i]), value[i]) << text;
      }
    }
  }
}

}  // namespace
}  // namespace thresher
