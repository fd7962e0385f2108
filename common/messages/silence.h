// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace longshore::messages {

// Protobuf writes a line of its own to stderr for each string that is not UTF-8: a peer could cause
// as many as it likes. Who parses says what is to be said. Idempotent, for the whole program.
void SilenceProtobuf();

}  // namespace longshore::messages
