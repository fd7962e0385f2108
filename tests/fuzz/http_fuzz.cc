// SPDX-License-Identifier: Apache-2.0
//
// Everything between a stranger's bytes and our handlers: the request parser and the router. The
// bytes are read twice, at once and cut in pieces; both readings must agree on every request, or
// two parties could be made to disagree about where one ends.
#include <cstdint>
#include <string>
#include <vector>

#include "common/http/request_parser.h"
#include "common/http/router.h"

namespace {

using longshore::http::Request;
using longshore::http::RequestParser;
using longshore::http::Response;
using longshore::http::Router;

constexpr size_t kMaxBody = 256;

const Router& TestRouter() {
  static const Router router = [] {
    Router made;
    for (const char* pattern :
         {"/v1/pods", "/v1/pods:acquire", "/v1/pods/{namespace}/{name}",
          "/v1/pods/{namespace}/{name}:release", "/v1/x/pre-{a}-post/{b}", "/"}) {
      made.Add("GET", pattern, [](const Request&) { return Response(); });
    }
    return made;
  }();
  return router;
}

std::vector<Request> Read(std::string_view bytes, size_t step) {
  std::vector<Request> requests;
  RequestParser parser(kMaxBody);
  std::string input;
  while (!bytes.empty() || !input.empty()) {
    input += bytes.substr(0, step);
    bytes.remove_prefix(std::min(step, bytes.size()));
    const size_t used = parser.Feed(input);
    LS_CHECK(used <= input.size());
    input.erase(0, used);
    parser.TakeExpectation();
    if (parser.rejection()) break;
    if (parser.done()) {
      Request request = parser.TakeRequest();
      if (parser.rejection()) break;
      LS_CHECK(request.body.size() <= kMaxBody);
      const Router::Match match = TestRouter().Find(request.method, parser.target());
      LS_CHECK(match.handler == nullptr || match.known_path);
      for (const auto& [name, value] : match.params) LS_CHECK(!value.empty());
      requests.push_back(std::move(request));
      parser.Reset();
    } else if (bytes.empty()) {
      break;  // unfinished
    }
  }
  return requests;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const size_t step = data[0] % 16 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::vector<Request> whole = Read(bytes, bytes.size() + 1);
  const std::vector<Request> pieces = Read(bytes, step);
  LS_CHECK(whole.size() == pieces.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    LS_CHECK(whole[i].method == pieces[i].method && whole[i].path == pieces[i].path);
    LS_CHECK(whole[i].headers == pieces[i].headers && whole[i].body == pieces[i].body);
  }
  return 0;
}
