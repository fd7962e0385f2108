// SPDX-License-Identifier: Apache-2.0
//
// Tells everything that an operation waits for that it shall stop: a flag for loops and a
// descriptor for poll(). A child scope also ends with its parent, so that the halves of a backup
// (dump and manifest) can stop each other without cancelling the operation.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "common/base/files.h"

namespace longshore::worker {

// Thread-safe. The parent must outlive the child.
class Cancellation {
 public:
  explicit Cancellation(const Cancellation* parent = nullptr)
      : parent_(parent), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  void Cancel() {
    cancelled_ = true;
    const uint64_t one = 1;
    if (::write(event_.get(), &one, sizeof one) < 0) return;  // full: it is readable already
  }
  bool cancelled() const { return cancelled_ || (parent_ != nullptr && parent_->cancelled()); }

  // Descriptors of which one is readable once cancelled.
  std::vector<int> fds() const {
    std::vector<int> all;
    for (const Cancellation* scope = this; scope != nullptr; scope = scope->parent_) {
      all.push_back(scope->event_.get());
    }
    return all;
  }

 private:
  const Cancellation* parent_;
  std::atomic<bool> cancelled_{false};
  UniqueFd event_;
};

}  // namespace longshore::worker
