// SPDX-License-Identifier: Apache-2.0
//
// Names of the resources that we read and write.
#pragma once

#include <string>
#include <string_view>

namespace longshore::kube {

struct Resource {
  std::string_view group, version, plural, kind;
  bool namespaced = true;
};

inline constexpr Resource kPods{"", "v1", "pods", "Pod"};
inline constexpr Resource kNodes{"", "v1", "nodes", "Node", false};
inline constexpr Resource kNamespaces{"", "v1", "namespaces", "Namespace", false};
inline constexpr Resource kSecrets{"", "v1", "secrets", "Secret"};
inline constexpr Resource kConfigMaps{"", "v1", "configmaps", "ConfigMap"};
inline constexpr Resource kServices{"", "v1", "services", "Service"};
inline constexpr Resource kServiceAccounts{"", "v1", "serviceaccounts", "ServiceAccount"};
inline constexpr Resource kPersistentVolumeClaims{"", "v1", "persistentvolumeclaims",
                                                  "PersistentVolumeClaim"};
inline constexpr Resource kPersistentVolumes{"", "v1", "persistentvolumes", "PersistentVolume",
                                             false};
inline constexpr Resource kVolumeAttachments{"storage.k8s.io", "v1", "volumeattachments",
                                             "VolumeAttachment", false};
inline constexpr Resource kStorageClasses{"storage.k8s.io", "v1", "storageclasses", "StorageClass",
                                          false};
inline constexpr Resource kDeployments{"apps", "v1", "deployments", "Deployment"};
inline constexpr Resource kStatefulSets{"apps", "v1", "statefulsets", "StatefulSet"};
inline constexpr Resource kDaemonSets{"apps", "v1", "daemonsets", "DaemonSet"};
inline constexpr Resource kPodDisruptionBudgets{"policy", "v1", "poddisruptionbudgets",
                                                "PodDisruptionBudget"};
inline constexpr Resource kEndpointSlices{"discovery.k8s.io", "v1", "endpointslices",
                                          "EndpointSlice"};
inline constexpr Resource kEvents{"events.k8s.io", "v1", "events", "Event"};
inline constexpr Resource kLeases{"coordination.k8s.io", "v1", "leases", "Lease"};
inline constexpr Resource kTokenReviews{"authentication.k8s.io", "v1", "tokenreviews",
                                        "TokenReview", false};
inline constexpr Resource kSubjectAccessReviews{
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false};
inline constexpr Resource kBackupSources{"longshore.dev", "v1alpha1", "backupsources",
                                         "BackupSource"};
inline constexpr Resource kSourceImages{"longshore.dev", "v1alpha1", "sourceimages", "SourceImage",
                                        false};
inline constexpr Resource kPodPolicies{"longshore.dev", "v1alpha1", "podpolicies", "PodPolicy"};
inline constexpr Resource kBackupRepositories{"longshore.dev", "v1alpha1", "backuprepositories",
                                              "BackupRepository"};
inline constexpr Resource kComputeRequests{"longshore.dev", "v1alpha1", "computerequests",
                                           "ComputeRequest"};
inline constexpr Resource kBackupPods{"longshore.dev", "v1alpha1", "backuppods", "BackupPod"};
inline constexpr Resource kOperations{"longshore.dev", "v1alpha1", "operations", "Operation"};

// "/api/v1/namespaces/NS/pods[/NAME[/SUBRESOURCE]]" or the /apis form; an empty namespace lists
// all.
std::string ResourcePath(const Resource& resource, std::string_view ns, std::string_view name = "",
                         std::string_view subresource = "");

}  // namespace longshore::kube
