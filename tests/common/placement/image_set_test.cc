// SPDX-License-Identifier: Apache-2.0
#include "common/placement/image_set.h"

#include <gtest/gtest.h>

#include "common/placement/prune.h"
#include "common/placement/records.h"

namespace longshore::placement {
namespace {

using api::Json;

Json NodeWith(const Json& names) {
  return {{"metadata", {{"name", "n1"}}},
          {"status", {{"images", Json::array({{{"names", names}, {"sizeBytes", 1}}})}}}};
}

// As a kubelet reports what was pulled by tag or by digest, and as Pods name it.
TEST(ImageSetTest, NamesAreComparedAsTheyAreMeant) {
  const ImageSet images = ReadNode(NodeWith({"reg:5000/pg@sha256:ab", "reg:5000/pg:17",
                                             "docker.io/library/busybox:latest"}))
                              .images;
  EXPECT_TRUE(images.Has("reg:5000/pg@sha256:ab"));
  EXPECT_TRUE(images.Has("reg:5000/pg:16@sha256:ab"));  // the digest decides
  EXPECT_TRUE(images.Has("reg:5000/pg:17"));
  EXPECT_TRUE(images.Has("docker.io/library/busybox"));
  EXPECT_FALSE(images.Has("reg:5000/pg"));  // is pg:latest
  EXPECT_FALSE(images.Has("reg:5000/pg@sha256:cd"));
  EXPECT_FALSE(images.Has("other/pg:17"));
  EXPECT_FALSE(ImageSet().Has("reg:5000/pg:17"));
  EXPECT_TRUE(ImageSet().With("a:1").With("b:1").Has("a:1"));
  EXPECT_EQ(ImageKey(""), 0u);
}

// Names are most of a Node, and 5000 of them are kept.
TEST(ImageSetTest, ReadsTheSameFromAPrunedNode) {
  Json names = Json::array();
  for (int i = 0; i < 50; ++i) {
    names.push_back("registry.test/some/longer/path/image@sha256:" + std::string(60, 'a') +
                    std::to_string(i));
  }
  const Json node = NodeWith(names);
  Json pruned = node;
  PruneNode(pruned);
  EXPECT_TRUE(ReadNode(pruned).images == ReadNode(node).images);
  EXPECT_TRUE(ReadNode(pruned).images.Has(names[49].get<std::string>()));
  EXPECT_LT(pruned.dump().size() * 4, node.dump().size());
  PruneNode(pruned);  // again, as a write of ours is observed
  EXPECT_TRUE(ReadNode(pruned).images == ReadNode(node).images);
}

TEST(ImageSetTest, OddReportsAreNoImages) {
  for (const char* images :
       {"null", "7", "{}", "[null, {}, {\"names\": 7}, {\"names\": [null]}]"}) {
    EXPECT_TRUE(ReadImages(*api::ParseJson(images)) == ImageSet()) << images;
  }
}

}  // namespace
}  // namespace longshore::placement
