// SPDX-License-Identifier: Apache-2.0
//
// longshore: the operator's and the storage manager's tool.
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "cli/session.h"

namespace {

volatile std::sig_atomic_t interrupted = 0;

// Ctrl-C ends a wait with a hint how to look again; a second one ends the program at once.
void OnInterrupt(int) {
  if (interrupted != 0) _exit(longshore::cli::kExitInterrupted);
  interrupted = 1;
}

bool Sleep(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (interrupted == 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return interrupted == 0;
}

std::pair<size_t, size_t> TerminalSize() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {80, 24};
  return {size.ws_col, size.ws_row};
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGINT, OnInterrupt);
  std::signal(SIGPIPE, SIG_IGN);
  return longshore::cli::Run({argv + 1, argv + argc},
                             {.out = std::cout,
                              .err = std::cerr,
                              .err_is_terminal = isatty(STDERR_FILENO) == 1,
                              .out_is_terminal = isatty(STDOUT_FILENO) == 1,
                              .terminal_size = TerminalSize,
                              .environment = Environment,
                              .sleep = Sleep});
}
