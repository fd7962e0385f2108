// SPDX-License-Identifier: Apache-2.0
//
// What one call looked at of the cluster: how it is taken down, and how it answers again. Used by
// recording.cc and replay.cc.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/placement/location.h"

namespace longshore::extender {

// What was looked at of the cluster: the offered nodes, those that the data's place was found on,
// and the answers to the questions on the way there.
struct SeenCluster {
  struct Failure {
    std::string error;  // the name of a Code
    std::string message;
  };
  struct Volume {
    std::string error;  // as in Failure; empty: it has nodes
    std::string message;
    std::vector<std::string> nodes;
    std::string how;
    bool exists = true;
  };
  std::vector<placement::NodeInfo> nodes;
  bool all_nodes = false;
  // By question: "pods in db with role=leader", "endpoints of db/pg", "users of claim db/data"
  std::map<std::string, std::vector<placement::View::PodPlace>> places;
  std::map<std::string, Volume> volumes;  // by "NS/CLAIM"
  // By "NS/CLAIM": the nodes that its volume is attached to, and the one that is the only choice.
  std::map<std::string, std::vector<std::string>> attached_nodes;
  std::map<std::string, std::string> attached_to;
  std::map<std::string, Failure> unlisted;                     // by placement::KindName
  std::map<std::string, std::vector<std::string>> with_image;  // nodes, by the pod's image
};

// Answers as the view does, and keeps what was asked and answered. Not for many threads.
class WitnessView final : public placement::View {
 public:
  explicit WitnessView(const placement::View& view) : view_(view) {}

  std::optional<Error> Unlisted(placement::Kind kind) const override;
  const placement::NodeInfo* Node(std::string_view name) const override;
  std::vector<const placement::NodeInfo*> Nodes() const override;
  const placement::NodeTable& Table() const override { return view_.Table(); }
  std::vector<PodPlace> PodsByLabels(
      const std::string& ns, const std::map<std::string, std::string>& labels) const override;
  std::vector<PodPlace> PodsByOwner(const std::string& ns,
                                    const api::LocationOwner& owner) const override;
  std::vector<PodPlace> ServiceEndpoints(const std::string& ns,
                                         const std::string& service) const override;
  std::vector<PodPlace> PodsByClaim(const std::string& ns, const std::string& claim) const override;
  std::vector<std::string> AttachedNodes(const std::string& ns,
                                         const std::string& claim) const override;
  std::string AttachedTo(const std::string& ns, const std::string& claim) const override;
  Result<placement::VolumePlace> VolumeNodes(const std::string& ns,
                                             const std::string& claim) const override;
  SeenCluster Take();

 private:
  const placement::View& view_;
  mutable std::map<std::string, const placement::NodeInfo*> nodes_;
  mutable SeenCluster seen_;
};

// A View of what was seen. Questions that were not asked then have no answer.
class SeenView final : public placement::View {
 public:
  explicit SeenView(SeenCluster seen);
  SeenView(const SeenView&) = delete;  // the table points into it
  SeenView& operator=(const SeenView&) = delete;

  std::optional<Error> Unlisted(placement::Kind kind) const override;
  const placement::NodeInfo* Node(std::string_view name) const override;
  std::vector<const placement::NodeInfo*> Nodes() const override;
  const placement::NodeTable& Table() const override { return table_; }
  std::vector<PodPlace> PodsByLabels(
      const std::string& ns, const std::map<std::string, std::string>& labels) const override;
  std::vector<PodPlace> PodsByOwner(const std::string& ns,
                                    const api::LocationOwner& owner) const override;
  std::vector<PodPlace> ServiceEndpoints(const std::string& ns,
                                         const std::string& service) const override;
  std::vector<PodPlace> PodsByClaim(const std::string& ns, const std::string& claim) const override;
  std::vector<std::string> AttachedNodes(const std::string& ns,
                                         const std::string& claim) const override;
  std::string AttachedTo(const std::string& ns, const std::string& claim) const override;
  Result<placement::VolumePlace> VolumeNodes(const std::string& ns,
                                             const std::string& claim) const override;
  // Another version may ask for more than the one that recorded did. Not for many threads.
  const std::vector<std::string>& unanswered() const { return unanswered_; }

 private:
  std::vector<PodPlace> Answer(const std::string& question) const;

  SeenCluster seen_;
  std::map<std::string, const placement::NodeInfo*, std::less<>> nodes_;
  placement::NodeTable table_;
  mutable std::vector<std::string> unanswered_;
};

}  // namespace longshore::extender
