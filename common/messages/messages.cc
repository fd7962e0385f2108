// SPDX-License-Identifier: Apache-2.0
// The library is made of generated code; this file proves that its headers agree with the runtime.
#include "common/messages/agent.pb.h"
#include "common/messages/worker.pb.h"

static_assert(GOOGLE_PROTOBUF_VERSION >= 3021000, "Protobuf 3.21 or newer");
