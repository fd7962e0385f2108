// SPDX-License-Identifier: Apache-2.0
#include "common/base/log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/base/clock.h"

namespace longshore {
namespace {

// Whatever is in a field, a line stays one JSON object: logs are read by programs.
TEST(LogTest, EachLineIsOneJsonObject) {
  testing::internal::CaptureStderr();
  LogInfo("quote \" and \\", {{"text", "line\nbreak\ttab \xFF\x01"},
                              {"number", 42},
                              {"share", 0.5},
                              {"unknown", std::nan("")},
                              {"yes", true}});
  const std::string text = testing::internal::GetCapturedStderr();
  ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  const nlohmann::json line = nlohmann::json::parse(text);
  EXPECT_EQ(line["message"], "quote \" and \\");
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["text"], "line\nbreak\ttab \xEF\xBF\xBD\x01");
  EXPECT_EQ(line["number"], 42);
  EXPECT_EQ(line["share"], 0.5);
  EXPECT_EQ(line["unknown"], "nan");
  EXPECT_EQ(line["yes"], true);
  EXPECT_TRUE(ParseTime(line["time"].get<std::string>()).has_value());
}

TEST(LogTest, LevelHidesWhatIsBelow) {
  testing::internal::CaptureStderr();
  SetLogLevel(LogLevel::kWarn);
  LogInfo("hidden");
  LogWarn("shown");
  SetLogLevel(LogLevel::kInfo);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_NE(text.find("shown"), std::string::npos);
}

}  // namespace
}  // namespace longshore
