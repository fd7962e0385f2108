// SPDX-License-Identifier: Apache-2.0
//
// What a cgroup's name says: whose pod it belongs to, and where a kubelet keeps its pods. Pure
// functions on text, for the systemd and cgroupfs drivers, containerd and CRI-O, any QoS class,
// static pods, and kubelets that live below a prefix (nested ones). Called by cgroup_layout.cc and
// cgroup_tree.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace longshore::nodeagent {

// True for the directory below which a kubelet puts pods: "kubepods", "kubepods.slice", or with a
// prefix ("kubelet-kubepods.slice").
bool IsKubepods(std::string_view component);

// The UID that the name of a pod's own cgroup carries: "pod<uid>" (cgroupfs) or
// "[prefix-]kubepods[-qos]-pod<uid>.slice" (systemd, which writes "_" for "-"). A static pod's is
// the hash of its manifest, not the UID that the API server shows.
std::optional<std::string> PodUidOfName(std::string_view component);

// The container's id, 64 hex digits, that the name of its cgroup carries: alone,
// "<runtime>-<id>.scope" (cri-containerd, crio, docker), "crio-<id>", or after the last ":"
// ("…:cri-containerd:<id>"). Nothing for CRI-O's conmon, which isn't the container.
std::optional<std::string> ContainerIdOfName(std::string_view component);

// "/node-1/kubepods/burstable/podX/c" → "/node-1/kubepods". The last one counts: it is the
// innermost kubelet's. Nothing when the path is not below such a directory.
std::optional<std::string> KubepodsOfPath(std::string_view path);

}  // namespace longshore::nodeagent
