# shellcheck shell=bash disable=SC2034  # many of these names are used where it is sourced
# SPDX-License-Identifier: Apache-2.0
# The cluster's addresses, names and folders; sourced by hack/cluster and hack/images.
#
#   $LONGSHORE_CLUSTER/pki        keys and certificates      .../log, .../pid   one file per process
#   $LONGSHORE_CLUSTER/etc        configuration files        .../etcd           the API's data
#   $LONGSHORE_CLUSTER/node-N     containerd's and kubelet's data
#   /run/longshore/node-N         containerd's socket and mounts

CLUSTER_RUN=/run/longshore
CLUSTER_BRIDGE=longshore0
CLUSTER_HOST=10.250.0.1               # this machine, as seen by nodes and pods
CLUSTER_API=https://$CLUSTER_HOST:6443
CLUSTER_SERVICES=10.96.0.0/16
CLUSTER_PODS=10.244.0.0/16
CLUSTER_DNS=10.96.0.10

node_ip() { echo "10.250.0.$((10 + $1))"; }
node_pods() { echo "10.244.$1.0/24"; }
node_netns() { echo "longshore-node-$1"; }
node_data() { echo "$LONGSHORE_CLUSTER/node-$1"; }
node_run() { echo "$CLUSTER_RUN/node-$1"; }
node_zone() { if (($1 <= 2)); then echo zone-a; else echo zone-b; fi; }

# node_count: how many nodes the cluster was last asked to have; 3 if never asked.
node_count() { cat "$LONGSHORE_CLUSTER/nodes" 2>/dev/null || echo 3; }

# all_node_numbers: of every node that has left a trace, even if `up` was interrupted.
all_node_numbers() {
  {
    find "$LONGSHORE_CLUSTER" "$CLUSTER_RUN" -maxdepth 1 -name 'node-*' 2>/dev/null
    ip netns list | awk '/^longshore-node-/ { print $1 }'
  } | sed 's/.*node-//' | sort -nu
}

# node_ctr N ARGUMENTS...: containerd's client, without its warning on each call that cgroup v1 will
# go.
node_ctr() {
  local i=$1
  shift
  ctr -a "$(node_run "$i")/containerd.sock" -n k8s.io "$@" 2> >(grep -v DEPRECATION >&2)
}

containerd_is_ready() { node_ctr "$1" version >/dev/null 2>&1; }

kube() { kubectl --kubeconfig "$LONGSHORE_KUBECONFIG" "$@"; }

# lock_cluster: one `up` or `down` at a time.
lock_cluster() {
  mkdir -p "$LONGSHORE_STATE"
  exec 9>"$LONGSHORE_STATE/cluster.lock"
  flock -w 300 9 || die "another hack/cluster has been at work for 5 minutes"
}

require_binaries() {
  local binary
  for binary in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl \
    containerd containerd-shim-runc-v2 ctr coredns; do
    [ -x "$LONGSHORE_BIN/$binary" ] || die "$LONGSHORE_BIN/$binary is missing: run hack/setup"
  done
}

# wait_for WHAT SECONDS COMMAND...: until the command succeeds.
wait_for() {
  local what=$1 limit=$2 start=$SECONDS
  shift 2
  until "$@"; do
    ((SECONDS - start < limit)) || die "waited $limit s for $what; logs are in $LONGSHORE_CLUSTER/log"
    sleep 0.2
  done
}
