// SPDX-License-Identifier: Apache-2.0
//
// What a backup pod looks like: the row and everything that decides about it, made into the Pod
// that is sent to the API server. Pure; used by the pod reconciler, and for its resource figures by
// steering and scaling.
#pragma once

#include "common/api/request.h"
#include "common/api/source.h"
#include "common/placement/ranking.h"

namespace longshore::controller {

// The readiness gate and condition of our pods.
inline constexpr char kAvailableCondition[] = "longshore.dev/Available";
// ConfigMap with the CA that signs the controller's certificate, in each namespace with requests.
inline constexpr char kCaConfigMap[] = "longshore-ca";
inline constexpr char kCaKey[] = "ca.crt";
// Audience of the workers' projected tokens.
inline constexpr char kAudience[] = "longshore-controller";
inline constexpr char kWorkerServiceAccount[] = "longshore-worker";
// Of a Pod: PolicyHash of what it was made by.
inline constexpr char kLabelPolicyHash[] = "longshore.dev/policy-hash";
// Cluster Autoscaler keeps nodes with pods of a controller that it does not know, or with
// emptyDirs, unless they say this: idle pods may go with their node.
inline constexpr char kAnnotationSafeToEvict[] = "cluster-autoscaler.kubernetes.io/safe-to-evict";

struct PodTemplateInput {
  const api::BackupPod& row;
  const api::ComputeRequest& request;
  const api::PodPolicySpec& policy;
  const api::SourceImageSpec& image;
  const api::BackupSource& source;
  std::string controller_endpoint;  // "longshore-controller-streams.longshore-system.svc:9443"
};

// Whether the pods of such a request have the source's own volume.
bool MountsClaim(const api::BackupSource& source, const api::ComputeRequest& request);

api::Json RenderPod(const PodTemplateInput& input);

// Of all that a policy says of its pods. What says no more than the default does not count, so that
// a controller that knows more fields has the same of the same policy.
std::string PolicyHash(const api::PodPolicySpec& policy);

// The image's resources with the policy's over them, name by name.
api::ResourceRequirements EffectiveResources(const api::SourceImageSpec& image,
                                             const api::PodPolicySpec& policy);
// Whether its CPU and memory are quantities. Errors: kInvalidArgument naming the one that is not.
Status CheckRequests(const api::ResourceRequirements& resources);
// As the Pod that has them is read (RequestedMilli).
placement::PodDemand DemandOf(const api::ResourceRequirements& resources);

// The row itself: Planned, owned by its request.
api::BackupPod MakeRow(const api::ComputeRequest& request, int slot, int attempt,
                       const std::string& image, std::vector<std::string> candidate_nodes,
                       const std::string& cause);

}  // namespace longshore::controller
