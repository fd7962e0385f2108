# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The configuration files of one node's containerd, kubelet and kube-proxy. Comments say what
# running several nodes on one machine asks for beyond the defaults.

# write_cni_config N: point-to-point links, so that also traffic between pods of a node is routed
# and kube-proxy sees both directions of it; a shared bridge would answer past it.
write_cni_config() {
  local folder
  folder=$(node_data "$1")/cni
  mkdir -p "$folder"
  write_config "$folder/10-longshore.conflist" <<EOF
{"cniVersion": "1.0.0", "name": "longshore", "plugins": [{
  "type": "ptp", "mtu": 1500,
  "ipam": {"type": "host-local", "dataDir": "$(node_data "$1")/ipam",
           "ranges": [[{"subnet": "$(node_pods "$1")"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
EOF
}

# write_containerd_config N
#   restrict_oom_score_adj: not every machine lets root lower a process's score
#   netns_mounts_under_state_dir: each node's pods have their namespaces apart, and go with it
write_containerd_config() {
  write_config "$LONGSHORE_CLUSTER/etc/containerd-$1.toml" <<EOF
version = 3
root = "$(node_data "$1")/containerd"
state = "$(node_run "$1")/containerd"
[grpc]
  address = "$(node_run "$1")/containerd.sock"
[plugins."io.containerd.nri.v1.nri"]
  disable = true  # its socket has one path for the whole machine: two nodes that start together collide
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "longshore.local/pause:dev"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "$(node_data "$1")/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = false
EOF
}

# write_kubelet_config N
#   cgroupRoot: each kubelet owns one subtree, and nothing else of this machine
#   KubeletInUserNamespace: sysctls and scores that a container may refuse are then no error
#   podLogsDir: kubelets that share one delete each other's logs
#   imageGC*: images come from hack/images and can't be pulled again, so none is ever collected
#   crashLoopBackOff: tests kill pods; the default waits up to 5 minutes
write_kubelet_config() {
  local pki=$LONGSHORE_CLUSTER/pki
  write_config "$LONGSHORE_CLUSTER/etc/kubelet-$1.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/node-$1.crt
tlsPrivateKeyFile: $pki/node-$1.key
containerRuntimeEndpoint: unix://$(node_run "$1")/containerd.sock
cgroupRoot: /node-$1
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
featureGates: {KubeletInUserNamespace: true}
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
podLogsDir: $(node_data "$1")/pod-logs
clusterDNS: [$CLUSTER_DNS]
clusterDomain: cluster.local
resolvConf: $LONGSHORE_CLUSTER/etc/resolv.conf
crashLoopBackOff: {maxContainerRestartPeriod: 2s}
containerLogMaxSize: 20Mi
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {}
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 20
EOF
  # Pods on the cluster's network ask the DNS service; what uses the host's network asks this
  # machine's CoreDNS.
  echo "nameserver $CLUSTER_HOST" >"$LONGSHORE_CLUSTER/etc/resolv.conf"
}

# write_kube_proxy_config N
write_kube_proxy_config() {
  write_config "$LONGSHORE_CLUSTER/etc/kube-proxy-$1.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: node-$1
clusterCIDR: $CLUSTER_PODS
clientConnection: {kubeconfig: $LONGSHORE_CLUSTER/etc/kube-proxy.kubeconfig}
conntrack: {maxPerCore: 0}
nftables: {minSyncPeriod: 200ms}
EOF
}
