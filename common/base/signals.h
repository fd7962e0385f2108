// SPDX-License-Identifier: Apache-2.0
//
// Graceful shutdown for daemons: SIGTERM and SIGINT are blocked in every thread and waited for in
// main. Call BlockStopSignals() before the first thread is made.
#pragma once

namespace longshore {

// Blocks SIGTERM and SIGINT for this thread and all made later, and ignores SIGPIPE.
void BlockStopSignals();

// Waits until one of them arrives; returns its number. A second one afterwards ends the process.
int WaitForStopSignal();

}  // namespace longshore
