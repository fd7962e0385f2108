// SPDX-License-Identifier: Apache-2.0
#include "common/base/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace longshore {
namespace {

using testing::ElementsAre;

struct QuantityCase {
  const char* text;
  int64_t milli;
};
class QuantityTest : public testing::TestWithParam<QuantityCase> {};

TEST_P(QuantityTest, IsReadInThousandths) {
  const auto value = ParseQuantityMilli(GetParam().text);
  ASSERT_TRUE(value.has_value()) << value.error().ToString();
  EXPECT_EQ(*value, GetParam().milli);
}

// The third from last: as binary floating point, this one comes out one too large.
INSTANTIATE_TEST_SUITE_P(
    Quantities, QuantityTest,
    testing::Values(QuantityCase{"0", 0}, QuantityCase{"250m", 250}, QuantityCase{"1.5", 1500},
                    QuantityCase{".5", 500}, QuantityCase{"5.", 5000}, QuantityCase{"+2", 2000},
                    QuantityCase{"-2", -2000}, QuantityCase{"512Mi", 536870912000},
                    QuantityCase{"1.5Gi", 1610612736000}, QuantityCase{"2G", 2000000000000},
                    QuantityCase{"1e3", 1000000}, QuantityCase{"1E3", 1000000},
                    QuantityCase{"1e-3", 1}, QuantityCase{"1e+3", 1000000}, QuantityCase{"100u", 1},
                    QuantityCase{"1000001n", 2}, QuantityCase{"-1000001n", -2},
                    QuantityCase{"100000000001m", 100000000001},
                    QuantityCase{"8Pi", 9007199254740992000}, QuantityCase{"0.1", 100}));

class RefuseQuantityTest : public testing::TestWithParam<const char*> {};

TEST_P(RefuseQuantityTest, IsAnInvalidArgument) {
  const auto value = ParseQuantityMilli(GetParam());
  ASSERT_FALSE(value.has_value()) << *value;
  EXPECT_EQ(value.error().code, Code::kInvalidArgument);
  EXPECT_THAT(value.error().message, testing::HasSubstr(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Texts, RefuseQuantityTest,
                         testing::Values("", ".", "-", "m", "1 Gi", " 1", "1 ", "1KiB", "1mi",
                                         "inf", "nan", "0x10", "1.2.3", "1e", "1e3Ki", "1e+-3",
                                         "1e999", "--1", "8Ei", "10E", "99999999999999999999"));

TEST(ParseIntTest, TakesWholeNumbersOnly) {
  EXPECT_EQ(*ParseInt("-42"), -42);
  EXPECT_EQ(*ParseInt("9223372036854775807"), INT64_MAX);
  for (const char* text : {"", " 1", "1 ", "1.0", "0x1", "+1", "9223372036854775808"}) {
    EXPECT_FALSE(ParseInt(text).has_value()) << text;
  }
}

TEST(Base64Test, RoundTripsEveryLength) {
  std::string bytes;
  for (int i = 0; i < 260; ++i) {
    const auto decoded = Base64Decode(Base64Encode(bytes));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().ToString();
    EXPECT_EQ(*decoded, bytes);
    bytes += static_cast<char>(i);
  }
}

// RFC 4648 §10.
TEST(Base64Test, AgreesWithTheRfc) {
  EXPECT_EQ(Base64Encode("foob"), "Zm9vYg==");
  EXPECT_EQ(*Base64Decode("Zm9vYmE="), "fooba");
  EXPECT_EQ(*Base64Decode("Zm9vYmE=\n"), "fooba");
  EXPECT_EQ(*Base64Decode(""), "");
}

TEST(Base64Test, RefusesWhatIsNone) {
  for (const char* text :
       {"Zg", "Zg=", "====", "Z===", "Zm=v", "Zm9v=mFy", "Zm9-", "Zm 9", "Zm9\0"}) {
    EXPECT_FALSE(Base64Decode(text).has_value()) << text;
  }
}

TEST(Sha256Test, AgreesWithTheStandard) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, KnowsItsOwnForm) {
  EXPECT_TRUE(IsSha256(Sha256Hex("abc")));
  EXPECT_FALSE(IsSha256(""));
  EXPECT_FALSE(IsSha256(Sha256Hex("abc").substr(1)));
  EXPECT_FALSE(IsSha256(Sha256Hex("abc") + "0"));
  EXPECT_FALSE(IsSha256(std::string(64, 'A')));
  EXPECT_FALSE(IsSha256(std::string(63, '0') + "\n"));
}

TEST(RandomIdTest, HasTheLengthAndIsAName) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string id = RandomId(10);
    EXPECT_THAT(id, testing::MatchesRegex("[a-z0-9]{10}"));
    EXPECT_TRUE(seen.insert(id).second);
  }
  EXPECT_EQ(RandomId(200).size(), 200u);
  EXPECT_EQ(RandomId(0), "");
}

TEST(SplitTest, KeepsEmptyParts) {
  EXPECT_THAT(Split("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_THAT(Split("", ','), ElementsAre(""));
  EXPECT_THAT(Split(",", ','), ElementsAre("", ""));
  EXPECT_EQ(Join({"a", "", "b"}, ", "), "a, , b");
  EXPECT_EQ(Join({"", "a"}, ","), ",a");
  EXPECT_EQ(Join({}, ","), "");
}

TEST(TrimTest, TakesWhiteSpaceOffBothEnds) {
  EXPECT_EQ(Trim(" \t\r\n a b \n"), "a b");
  EXPECT_EQ(Trim(" \n"), "");
}

// Each row of Unicode 15 table 3-7, and its neighbours that are not in it.
TEST(ToValidUtf8Test, ReplacesOnlyWhatIsWrong) {
  const std::string bad = "\xEF\xBF\xBD";
  for (const char* good : {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
                           "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(ToValidUtf8(good), good);
  }
  EXPECT_EQ(ToValidUtf8("a\xFFz"), "a" + bad + "z");
  EXPECT_EQ(ToValidUtf8("\xC3"), bad);
  EXPECT_EQ(ToValidUtf8("\xC0\x80"), bad + bad);            // overlong
  EXPECT_EQ(ToValidUtf8("\xED\xA0\x80"), bad + bad + bad);  // surrogate
  EXPECT_EQ(ToValidUtf8("\xF4\x90\x80\x80"), bad + bad + bad + bad);
}

TEST(FormatBytesTest, IsForPeople) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(300.0 * (1 << 20)), "300 MiB");
}

}  // namespace
}  // namespace longshore
