// SPDX-License-Identifier: Apache-2.0
//
// The terminal: keys come one by one and unprinted, drawing is on the other screen, and all of it
// is put back when this goes, so also on ^C. Used by top.cc.
#pragma once

#include <termios.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/files.h"
#include "nodeagent/top/screen.h"

namespace longshore::nodeagent::top {

class Terminal {
 public:
  struct Events {
    std::function<void(const Press&)> press;
    std::function<void()> resize;
    std::function<void()> stop;  // SIGINT, SIGTERM, SIGHUP, or the terminal is gone
  };

  // Both ends are a terminal: keys can be read and lines be drawn over.
  static bool Usable();

  // Takes the terminal over. The events are called on a thread of its own, until this goes. Make it
  // before other threads are made: they must not take the signals. Errors: kInternal.
  static Result<std::unique_ptr<Terminal>> Open(Events events);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  Size size() const;
  void Draw(const std::vector<std::string>& lines);

 private:
  explicit Terminal(Events events) : events_(std::move(events)) {}
  void Listen();
  void OnSignal();
  void OnKeys();

  const Events events_;
  termios before_{};
  UniqueFd signals_, stop_;
  bool ended_ = false;  // of the thread
  std::jthread thread_;
};

}  // namespace longshore::nodeagent::top
