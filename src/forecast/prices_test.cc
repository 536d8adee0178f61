#include "forecast/prices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace thresher {
namespace {

using testing::HasSubstr;

TEST(PricesTest, BuiltInOnesAreValid) {
  const Result<PriceList> prices = ParsePrices(BuiltInPrices(), "prices.toml");
  ASSERT_TRUE(prices.ok()) << prices.status().message();
  EXPECT_EQ(prices->currency, "USD");
  for (const char* name : {"tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e"}) {
    EXPECT_TRUE(prices->FindMachine(name).ok()) << name;
  }
  EXPECT_FALSE(prices->storage.empty());
  EXPECT_FALSE(prices->egress.empty());
  EXPECT_THAT(prices->FindMachine("tpu-v9").status().message(), HasSubstr("tpu-v5e"));
}

TEST(PricesTest, AnAcceleratorHasItsChipsFigures) {
  const Result<PriceList> prices = ParsePrices(BuiltInPrices(), "prices.toml");
  ASSERT_TRUE(prices.ok());
  const Result<MachinePrice> v5e = prices->FindMachine("tpu-v5e");
  ASSERT_TRUE(v5e.ok() && v5e->chip);
  EXPECT_EQ(v5e->chip->name, "v5e");
  EXPECT_EQ(v5e->peak_tflops, 197);
  const Result<MachinePrice> cpu = prices->FindMachine("gcp-c3-cpu");
  ASSERT_TRUE(cpu.ok());
  EXPECT_FALSE(cpu->chip);
}

std::string ErrorOf(const std::string& text) {
  const Result<PriceList> prices = ParsePrices(text, "p.toml");
  return prices.ok() ? "" : prices.status().message();
}

TEST(PricesTest, MistakesNameLineAndKey) {
  const std::string good =
      "currency = \"USD\"\n[[storage]]\nname = \"a\"\nscheme = \"gs\"\nper_gb_month = 1\n"
      "as_of = \"2025-06\"\nsource = \"s\"\n";
  EXPECT_EQ(ErrorOf(good), "");
  EXPECT_THAT(ErrorOf(good + "per_gb = 2\n"), HasSubstr("p.toml:8:1: [[storage]]: key 'per_gb'"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("key currency: is missing"));
  EXPECT_THAT(ErrorOf("currency = 3\n"), HasSubstr("p.toml:1:12: key currency: expected text"));
  EXPECT_THAT(ErrorOf("currency = \"USD\"\nmachine = 4\n"), HasSubstr("p.toml:2:11: key machine"));
  EXPECT_THAT(ErrorOf("currency = \n"), HasSubstr("p.toml:1:"));
  std::string negative = good;
  negative.replace(negative.find("= 1"), 3, "= -1");
  EXPECT_THAT(ErrorOf(negative), HasSubstr("p.toml:5:16: [[storage]]: key per_gb_month"));
  std::string date = good;
  date.replace(date.find("2025-06"), 7, "June 25");
  EXPECT_THAT(ErrorOf(date), HasSubstr("key as_of: expected a month"));
}

TEST(PricesTest, AMachineHasAChipOrAPeak) {
  const auto error_of = [](const std::string& speed) {
    return ErrorOf("currency = \"USD\"\n[[machine]]\n" + speed +
                   "name = \"a\"\ndescription = \"b\"\nefficiency = 0.4\n"
                   "upload_gb_per_second = 1\non_demand_per_hour = 1\nas_of = \"2025-06\"\n"
                   "source = \"s\"\n");
  };
  EXPECT_EQ(error_of("chip = \"v5e\"\n"), "");
  EXPECT_EQ(error_of("peak_tflops = 3\n"), "");
  EXPECT_THAT(error_of(""), HasSubstr("key peak_tflops: is missing"));
  EXPECT_THAT(error_of("chip = \"v9\"\n"), HasSubstr("p.toml:3:8: [[machine]]: key chip: expected "
                                                     "one of v4, v5e"));
  EXPECT_THAT(error_of("chip = \"v5e\"\npeak_tflops = 3\n"),
              HasSubstr("p.toml:4:15: [[machine]]: key peak_tflops"));
}

TEST(PricesTest, SurvivesChangedBytes) {
  const std::string good(BuiltInPrices());
  Random random(5);
  for (int round = 0; round < 300; ++round) {
    std::string text = good;
    for (uint64_t change = 1 + random.Below(6); change > 0; --change) {
      const size_t at = random.Below(text.size());
      if (random.Below(3) == 0) {
        text.erase(at, random.Below(40));
      } else {
        text[at] = static_cast<char>(random.Below(256));
      }
    }
    const Result<PriceList> prices = ParsePrices(text, "p.toml");
    if (!prices.ok()) {
      EXPECT_TRUE(prices.status().message().starts_with("p.toml:"));
    }
  }
}

}  // namespace
}  // namespace thresher
