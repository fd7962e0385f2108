// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/kernel_files.h"

#include <gtest/gtest.h>

namespace longshore::nodeagent {
namespace {

TEST(IoTotalsTest, SumOverDevices) {
  const Counters v2 = ParseIoStat(
      "254:0 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=99 dios=1\n8:0 rbytes=1 wbytes=2 rios=1 "
      "wios=1\n7:0 \n");
  EXPECT_EQ(v2.read_bytes, 11u);
  EXPECT_EQ(v2.write_bytes, 22u);
  EXPECT_EQ(v2.read_ops, 4u);
  EXPECT_EQ(v2.write_ops, 5u);
  uint64_t read = 0, write = 0;
  ParseBlkio(
      "254:0 Read 10\n254:0 Write 20\n254:0 Sync 30\n254:0 Total 30\n8:0 Write 1\nTotal 31\n", read,
      write);
  EXPECT_EQ(read, 10u);
  EXPECT_EQ(write, 21u);
}

}  // namespace
}  // namespace longshore::nodeagent
