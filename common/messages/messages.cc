// SPDX-License-Identifier: Apache-2.0
// The library is made of generated code; this file proves that its headers agree with the runtime.
#include <google/protobuf/stubs/logging.h>

#include "common/messages/agent.pb.h"
#include "common/messages/silence.h"
#include "common/messages/worker.pb.h"

static_assert(GOOGLE_PROTOBUF_VERSION >= 3021000, "Protobuf 3.21 or newer");

namespace longshore::messages {

void SilenceProtobuf() { google::protobuf::SetLogHandler(nullptr); }

}  // namespace longshore::messages
