// SPDX-License-Identifier: Apache-2.0
//
// The thread behind an informer: LIST once, then WATCH from there for ever, through everything
// that goes wrong on the way. It keeps nothing but the resourceVersion that it has reached.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/kube/client.h"
#include "common/kube/informer.h"
#include "common/kube/list_pages.h"
#include "common/kube/watch_decoder.h"

namespace longshore::kube {

class Reflector {
 public:
  struct Sink {
    ListSink list;                                              // items as they come
    std::function<void(const std::string& version)> on_listed;  // they replace everything known
    std::function<void(const Error&)> on_list_failed;           // it is tried again
    std::function<void(WatchEvent)> on_event;                   // added, modified, deleted
    std::function<void()> on_alive;                             // the server has said something
  };

  Reflector(const Config& config, std::string user_agent, const Resource& resource,
            InformerOptions options, Sink sink);
  ~Reflector();  // stops

  void Start();
  void Stop();  // idempotent; the sink is not called afterwards

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::kube
