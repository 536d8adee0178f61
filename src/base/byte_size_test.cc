#include "base/byte_size.h"

#include <gtest/gtest.h>

namespace thresher {
namespace {

TEST(ByteSizeTest, SizesInBothSystems) {
  EXPECT_EQ(ParseByteSize("1500").value(), 1500);
  EXPECT_EQ(ParseByteSize("1GB").value(), 1'000'000'000);
  EXPECT_EQ(ParseByteSize("1.5 gb").value(), 1'500'000'000);
  EXPECT_EQ(ParseByteSize("1GiB").value(), int64_t{1} << 30);
  for (const char* text : {"", "0", "-1GB", "1XB", "GB", "1e99", "nan", "inf", "4611686018TB"}) {
    EXPECT_EQ(ParseByteSize(text).status().code(), Code::kInvalidArgument) << text;
  }
}

TEST(ByteSizeTest, SizesForPeople) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(999.6), "1.00 KB");
  EXPECT_EQ(FormatBytes(1234567), "1.23 MB");
  EXPECT_EQ(FormatBytes(17.6e12), "17.6 TB");
  EXPECT_EQ(FormatBytes(123e18), "123000 PB");
}

TEST(ByteSizeTest, Durations) {
  EXPECT_EQ(ParseDurationMs("250ms").value(), 250);
  EXPECT_EQ(ParseDurationMs("30").value(), 30'000);
  EXPECT_EQ(ParseDurationMs("1.5h").value(), 5'400'000);
  EXPECT_EQ(ParseDurationMs("1d").value(), 86'400'000);
  EXPECT_EQ(ParseDurationMs("soon").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(FormatDuration(999), "0s");
  EXPECT_EQ(FormatDuration(59'999), "59s");
  EXPECT_EQ(FormatDuration(61'000), "1m 01s");
  EXPECT_EQ(FormatDuration(3'723'000), "1h 02m 03s");
}

TEST(ByteSizeTest, CountsAndRates) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(-1234), "-1,234");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatRate(0), "0");
  EXPECT_EQ(FormatRate(0.25), "0.2");
  EXPECT_EQ(FormatRate(9.94), "9.9");
  EXPECT_EQ(FormatRate(9.96), "10");
  EXPECT_EQ(FormatRate(45455.4), "45,455");
}

}  // namespace
}  // namespace thresher
