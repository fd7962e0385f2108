// SPDX-License-Identifier: Apache-2.0
//
// The body of a WATCH as events: one JSON document a line, arriving in pieces of any size.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/api/archive.h"
#include "common/base/result.h"

namespace longshore::kube {

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark, kError };

struct WatchEvent {
  WatchEventType type;
  api::Json object;  // a Status document for kError
};

class WatchDecoder {
 public:
  // etcd refuses objects over 1.5 MiB, so a longer line is no event.
  static constexpr size_t kMaxLineBytes = size_t{8} << 20;
  explicit WatchDecoder(size_t max_line_bytes = kMaxLineBytes) : max_line_bytes_(max_line_bytes) {}

  // Takes the next piece and hands out the events that it completes; false from `on_event` ends
  // it there. Errors: kDataLoss for a line that is too long or is no event; the stream is then
  // of no more use. Event types that we don't know are skipped.
  Status Feed(std::string_view piece, const std::function<bool(WatchEvent)>& on_event);

 private:
  const size_t max_line_bytes_;
  std::string pending_;  // the line that is not complete yet
};

}  // namespace longshore::kube
