// SPDX-License-Identifier: Apache-2.0
//
// The backup pods that the controller would make of a cluster that hack/bench scheduling makes up:
// the same steering and the same template, without reconcilers between. Standard input is one JSON
// object {nodes, sources, image, policy, podsPerSource}: whole objects, the specs of a SourceImage
// and a PodPolicy. Standard output is the array of Pods, source by source, steered as a burst is:
// all are planned before the first is bound.
#include <chrono>
#include <iostream>
#include <iterator>

#include "common/base/log.h"
#include "common/placement/snapshot.h"
#include "controller/pod_template.h"
#include "controller/steering.h"

namespace longshore::controller {
namespace {

using api::Json;

constexpr char kController[] = "longshore-controller-streams.longshore-system.svc:9443";

template <class T>
T Read(const Json& json) {
  auto value = api::ReadJson<T>(json);
  if (!value) std::cerr << "planned_pods: " << value.error().message << '\n';
  LS_CHECK(value.has_value());
  return *std::move(value);
}

std::shared_ptr<const placement::View> ViewOf(const Json& nodes) {
  placement::SnapshotBuilder builder;
  for (const Json& node : nodes) builder.Node(nullptr, &node);
  return builder.Build(placement::Listed::Everything());
}

api::ComputeRequest RequestFor(const api::BackupSource& source) {
  api::ComputeRequest request;
  request.metadata.name = "backup-" + source.metadata.name;
  request.metadata.ns = source.metadata.ns;
  request.metadata.uid = "request-of-" + source.metadata.name;
  request.spec.source_ref.name = source.metadata.name;
  return request;
}

void Plan(const References& refs, const placement::View& view, int count, Json& pods) {
  const api::ComputeRequest request = RequestFor(refs.source);
  Expected expected;
  for (int slot = 0; slot < count; ++slot) {
    const Steer steer = SteerPod({refs, request, view, {}}, expected, 0, false);
    api::BackupPod row = MakeRow(request, slot, /*attempt=*/0, refs.image.spec.image,
                                 steer.candidates, api::kCauseRequested);
    row.metadata.uid = "row-" + row.metadata.name;
    pods.push_back(
        RenderPod({row, request, refs.policy.spec, refs.image.spec, refs.source, kController}));
    if (!steer.candidates.empty()) ++expected[steer.candidates.front()];
  }
}

void Main() {
  const Json input = Json::parse(std::cin);
  const auto view = ViewOf(input.at("nodes"));
  const int count = input.at("podsPerSource").get<int>();
  References refs;
  refs.image.spec = Read<api::SourceImageSpec>(input.at("image"));
  refs.policy.spec = Read<api::PodPolicySpec>(input.at("policy"));
  Json pods = Json::array();
  const auto begun = std::chrono::steady_clock::now();
  for (const Json& source : input.at("sources")) {
    refs.source = Read<api::BackupSource>(source);
    Plan(refs, *view, count, pods);
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
  std::cerr << "controller: " << took.count() / static_cast<double>(pods.size())
            << " ms to steer and render a pod\n";
  std::cout << pods << '\n';
}

}  // namespace
}  // namespace longshore::controller

int main() {
  longshore::controller::Main();
  return 0;
}
