// SPDX-License-Identifier: Apache-2.0
#include "common/kube/watch_decoder.h"

#include <gtest/gtest.h>

#include <vector>

namespace longshore::kube {
namespace {

const std::string kLine = R"({"type":"ADDED","object":{"metadata":{"name":"a\nb"}}})"
                          "\n";

// The network cuts where it likes.
TEST(WatchDecoderTest, PiecesOfAnySizeGiveTheSameEvents) {
  const std::string stream = kLine + "\n\r\n" + kLine + kLine;
  for (size_t size = 1; size <= stream.size(); ++size) {
    WatchDecoder decoder;
    int events = 0;
    for (size_t at = 0; at < stream.size(); at += size) {
      const Status fed =
          decoder.Feed(std::string_view(stream).substr(at, size), [&](WatchEvent event) {
            EXPECT_EQ(event.type, WatchEventType::kAdded);
            EXPECT_EQ(event.object["metadata"]["name"], "a\nb");
            return ++events > 0;
          });
      ASSERT_TRUE(fed.has_value()) << fed.error().ToString();
    }
    EXPECT_EQ(events, 3) << "pieces of " << size;
  }
}

TEST(WatchDecoderTest, ALineOverTheCapIsDataLoss) {
  WatchDecoder decoder(kLine.size() - 1);  // without its newline it just fits
  const auto none = [](WatchEvent) { return true; };
  EXPECT_TRUE(decoder.Feed(kLine, none).has_value());
  const Status fed = decoder.Feed(std::string(kLine.size(), 'x'), none);
  ASSERT_FALSE(fed.has_value());
  EXPECT_EQ(fed.error().code, Code::kDataLoss);
}

TEST(WatchDecoderTest, StopsWhenToldTo) {
  WatchDecoder decoder;
  int events = 0;
  EXPECT_TRUE(decoder
                  .Feed(kLine + kLine,
                        [&](WatchEvent) {
                          ++events;
                          return false;
                        })
                  .has_value());
  EXPECT_EQ(events, 1);
}

TEST(WatchDecoderTest, WhatIsNoEventIsDataLoss) {
  for (const char* line : {"x\n", "7\n", "{}\n", "{\"type\":1,\"object\":{}}\n",
                           "{\"type\":\"ADDED\",\"object\":[]}\n", "{\"type\":\"ADDED\"}\n"}) {
    WatchDecoder decoder;
    const Status fed = decoder.Feed(line, [](WatchEvent) { return true; });
    ASSERT_FALSE(fed.has_value()) << line;
    EXPECT_EQ(fed.error().code, Code::kDataLoss);
  }
}

}  // namespace
}  // namespace longshore::kube
