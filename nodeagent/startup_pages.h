// SPDX-License-Identifier: Apache-2.0
//
// Takes the program text that only start-up ran (relocation, loading of BPF, the first handshake)
// out of the agent's resident memory. Called by daemon.cc.
#pragma once

#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace longshore::nodeagent {

struct AddressRange {
  uintptr_t begin = 0, end = 0;
  bool operator==(const AddressRange&) const = default;
};

// The ranges that files back and that this process never wrote to, in the text of /proc/PID/smaps
// (proc(5)): dropped, they are read again from the page cache. Not among them: anything writable,
// shared, relocated (it has anonymous pages), or not of a file system.
std::vector<AddressRange> UnwrittenFileRanges(std::string_view smaps);

// Drops them; what is still used comes back with a minor fault. Any thread may run meanwhile.
Status ReleaseStartupPages();

}  // namespace longshore::nodeagent
