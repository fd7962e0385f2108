// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/terminal.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace longshore::nodeagent::top {
namespace {

// The other screen, without a cursor; and back.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";

void Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;  // nobody looks: the signal or the key ends it
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

bool Terminal::Usable() { return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1; }

Result<std::unique_ptr<Terminal>> Terminal::Open(Events events) {
  auto terminal = std::unique_ptr<Terminal>(new Terminal(std::move(events)));
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  terminal->signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC));
  terminal->stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!terminal->signals_.valid() || !terminal->stop_.valid()) return ErrnoError(errno, "signals");
  if (::tcgetattr(STDIN_FILENO, &terminal->before_) != 0) return ErrnoError(errno, "terminal");
  termios raw = terminal->before_;
  // ^C stays a signal; ^Z is off, since a stopped program cannot give the terminal back.
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VSUSP] = _POSIX_VDISABLE;
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0) return ErrnoError(errno, "terminal");
  Write(kEnter);
  terminal->thread_ = std::jthread([raw_pointer = terminal.get()] { raw_pointer->Listen(); });
  return terminal;
}

Terminal::~Terminal() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  thread_.join();
  Write(kLeave);
  (void)::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

void Terminal::Listen() {
  while (!ended_) {
    pollfd fds[] = {
        {stop_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (::poll(fds, 3, -1) < 0 && errno != EINTR) break;
    if (fds[0].revents != 0) return;
    if (fds[1].revents != 0) OnSignal();
    if (fds[2].revents != 0) OnKeys();
  }
}

void Terminal::OnSignal() {
  signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof info) != sizeof info) return;
  if (info.ssi_signo == SIGWINCH) {
    events_.resize();
  } else {
    events_.stop();
    ended_ = true;
  }
}

void Terminal::OnKeys() {
  char bytes[256];
  const ssize_t got = ::read(STDIN_FILENO, bytes, sizeof bytes);
  if (got <= 0) {
    events_.stop();
    ended_ = true;
    return;
  }
  for (const Press& press : DecodeKeys({bytes, static_cast<size_t>(got)})) events_.press(press);
}

Size Terminal::size() const {
  winsize window{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0) return {};
  return {window.ws_col, window.ws_row};
}

void Terminal::Draw(const std::vector<std::string>& lines) {
  std::string out = "\x1b[H";
  for (size_t i = 0; i < lines.size(); ++i) {
    out += (i == 0 ? "" : "\r\n") + lines[i] + "\x1b[K";
  }
  Write(out + "\x1b[J");
}

}  // namespace longshore::nodeagent::top
