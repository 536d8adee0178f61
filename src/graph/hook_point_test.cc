#include "graph/hook_point.h"

#include <gtest/gtest.h>

namespace thresher {
namespace {

std::vector<std::string> Names(const std::vector<HookPoint>& hooks) {
  std::vector<std::string> names;
  for (const HookPoint& hook : hooks) names.push_back(HookName(hook));
  return names;
}

TEST(HookPointTest, SelectsInOrderOfComputation) {
  const auto hooks = SelectHooks("final_norm,resid_post, q,embed", "0,2-3", 4);
  ASSERT_TRUE(hooks.ok()) << hooks.status().message();
  EXPECT_EQ(Names(*hooks),
            (std::vector<std::string>{"hook_embed", "blocks.0.attn.hook_q",
                                      "blocks.0.hook_resid_post", "blocks.2.attn.hook_q",
                                      "blocks.2.hook_resid_post", "blocks.3.attn.hook_q",
                                      "blocks.3.hook_resid_post", "ln_final.hook_normalized"}));
}

TEST(HookPointTest, AllMeansEveryHookOfEveryLayerOnce) {
  const auto hooks = SelectHooks("all,q", "all", 3);
  ASSERT_TRUE(hooks.ok());
  EXPECT_EQ(hooks->size(), 2u + 3 * 10);
}

TEST(HookPointTest, NamesParseBack) {
  const auto hooks = SelectHooks("all", "all", 12);
  ASSERT_TRUE(hooks.ok());
  for (const HookPoint& hook : *hooks) {
    const auto parsed = ParseHookName(HookName(hook), 12);
    ASSERT_TRUE(parsed.ok()) << HookName(hook);
    EXPECT_EQ(*parsed, hook);
  }
}

TEST(HookPointTest, RejectsNamesThatAreNoHookPoints) {
  for (const char* name : {"", "blocks", "blocks.", "blocks.1", "blocks.12.hook_resid_post",
                           "blocks.-1.hook_resid_post", "blocks.x.hook_resid_post",
                           "blocks.1.hook_embed", "hook_resid_post", "blocks.1.hook_nothing"}) {
    EXPECT_FALSE(ParseHookName(name, 12).ok()) << name;
  }
}

TEST(HookPointTest, MessagesNameTheFaultAndTheChoice) {
  const auto hint_for = [](std::string_view hooks) {
    const std::string message = SelectHooks(hooks, "all", 4).status().message();
    const std::string list_end = ", and all; ";
    return message.substr(message.find(list_end) + list_end.size());
  };
  EXPECT_EQ(hint_for("resid_pst"), "did you mean 'resid_post'?");
  EXPECT_EQ(hint_for("blocks.3.attn.hook_q"), "write --hooks q --layers 3");
  EXPECT_EQ(hint_for("hook_embed"), "write --hooks embed");
  EXPECT_NE(SelectHooks("resid", "all", 2).status().message().find("resid_mid"), std::string::npos);
  EXPECT_NE(SelectHooks("q", "0-2", 2).status().message().find("layers 0 to 1"), std::string::npos);
  for (const char* layers : {"", "1-0", "a", "1-", "-1", "0,,1", "0 1", "99999999999"}) {
    EXPECT_FALSE(SelectHooks("q", layers, 4).ok()) << layers;
  }
}

}  // namespace
}  // namespace thresher
