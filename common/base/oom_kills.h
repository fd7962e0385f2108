// SPDX-License-Identifier: Apache-2.0
//
// How often the kernel has killed a task of a cgroup for memory. Pure; used by the node agent for
// every pod and by the worker for its own.
#pragma once

#include <cstdint>
#include <string_view>

namespace longshore {

// "oom_kill N" of memory.events (v2, cgroups below included) or memory.oom_control (v1, without);
// 0 when the text does not say.
uint64_t ParseOomKills(std::string_view text);

}  // namespace longshore
