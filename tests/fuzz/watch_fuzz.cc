// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the body of a watch: the same events however the bytes are cut, or an error; what
// they hold goes through the store and the error decoder without a crash.
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/kube/errors.h"
#include "common/kube/store.h"
#include "common/kube/watch_decoder.h"

using longshore::kube::Json;
using longshore::kube::Store;
using longshore::kube::WatchDecoder;
using longshore::kube::WatchEvent;
using longshore::kube::WatchEventType;

namespace {

struct Outcome {
  size_t events = 0;
  bool ok = true;
};

Outcome Decode(std::string_view bytes, size_t piece, Store* store) {
  WatchDecoder decoder(4096);
  Outcome outcome;
  const auto take = [&](WatchEvent event) {
    ++outcome.events;
    if (store == nullptr) return true;
    if (event.type == WatchEventType::kError) {
      (void)longshore::kube::ErrorFromStatus(event.object, "watch");
    } else if (event.type == WatchEventType::kDeleted) {
      store->Remove(longshore::kube::IdentityOf(event.object));
    } else {
      store->Apply(std::make_shared<const Json>(std::move(event.object)));
    }
    return true;
  };
  while (!bytes.empty() && outcome.ok) {
    outcome.ok = decoder.Feed(bytes.substr(0, piece), take).has_value();
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Store store;
  const Outcome whole = Decode(bytes, bytes.size() + 1, &store);
  const Outcome pieces = Decode(bytes, 3, nullptr);
  LS_CHECK(whole.ok == pieces.ok && whole.events == pieces.events);
  (void)longshore::kube::ErrorFromResponse({.status = 500, .body = std::string(bytes)}, "c");
  return 0;
}
