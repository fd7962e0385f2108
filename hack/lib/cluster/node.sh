# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# One node: its network namespace, its cgroups, its processes, and their removal.

# The mounted cgroup hierarchies, of either version: a node has a subtree in each.
_cgroup_hierarchies() {
  awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts
}

make_bridge() {
  if ! ip link show "$CLUSTER_BRIDGE" >/dev/null 2>&1; then
    ip link add "$CLUSTER_BRIDGE" type bridge
    ip addr add "$CLUSTER_HOST/24" dev "$CLUSTER_BRIDGE"
    ip link set "$CLUSTER_BRIDGE" up
  fi
  # Each kubelet and containerd takes inotify instances, all of the one kernel.
  sysctl -qw net.ipv4.ip_forward=1 fs.inotify.max_user_instances=8192 \
    fs.inotify.max_user_watches=524288
}

# make_node_network N: a namespace on the bridge; this machine routes to its pods. Services are
# reached from here through node 1, whose kube-proxy translates them.
make_node_network() {
  local i=$1 netns ip link=lsveth$1
  netns=$(node_netns "$i") ip=$(node_ip "$i")
  if ! ip -n "$netns" route show default 2>/dev/null | grep -q .; then
    ip netns del "$netns" 2>/dev/null || true
    ip link del "$link" 2>/dev/null || true
    ip netns add "$netns"
    ip link add "$link" type veth peer name eth0 netns "$netns"
    ip link set "$link" master "$CLUSTER_BRIDGE" up
    ip -n "$netns" addr add "$ip/24" dev eth0
    ip -n "$netns" link set lo up
    ip -n "$netns" link set eth0 up
    ip netns exec "$netns" sysctl -qw net.ipv4.ip_forward=1 \
      net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
    ip -n "$netns" route add default via "$CLUSTER_HOST"
  fi
  ip route replace "$(node_pods "$i")" via "$ip"
  if ((i == 1)); then ip route replace "$CLUSTER_SERVICES" via "$ip"; fi
}

# _in_node N: prints the words that run a command in the node's network. Not `ip netns exec`: that
# mounts another /sys, which hides the cgroups.
_in_node() { echo nsenter "--net=/run/netns/$(node_netns "$1")"; }

make_node_cgroups() {
  local hierarchy folder file
  for hierarchy in $(_cgroup_hierarchies); do
    folder=$hierarchy/node-$1
    mkdir -p "$folder"
    for file in cpuset.cpus cpuset.mems; do  # cgroup v1 lets no process in without
      if [ -e "$hierarchy/$file" ] && [ -z "$(cat "$folder/$file")" ]; then
        cat "$hierarchy/$file" >"$folder/$file"
      fi
    done
  done
}

start_containerd() {
  local config=$LONGSHORE_CLUSTER/etc/containerd-$1.toml
  mkdir -p "$(node_data "$1")" "$(node_run "$1")"
  make_node_cgroups "$1"
  write_cni_config "$1"
  write_containerd_config "$1"
  # shellcheck disable=SC2046  # words
  daemon "containerd-$1" "$config" $(_in_node "$1") \
    "$LONGSHORE_BIN/containerd" --config "$config" --log-level warn
}

start_kubelet() {
  local config=$LONGSHORE_CLUSTER/etc/kubelet-$1.yaml labels
  labels=topology.kubernetes.io/region=local,topology.kubernetes.io/zone=$(node_zone "$1")
  labels+=,topology.longshore.dev/rack=rack-$1
  write_kubelet_config "$1"
  # shellcheck disable=SC2046  # words
  daemon "kubelet-$1" "$config" $(_in_node "$1") "$LONGSHORE_BIN/kubelet" --config="$config" \
    --kubeconfig="$LONGSHORE_CLUSTER/etc/node-$1.kubeconfig" --hostname-override="node-$1" \
    --root-dir="$(node_data "$1")/kubelet" --cert-dir="$(node_data "$1")/kubelet-pki" \
    --node-ip="$(node_ip "$1")" --node-labels="$labels"
}

start_kube_proxy() {
  local config=$LONGSHORE_CLUSTER/etc/kube-proxy-$1.yaml
  write_kube_proxy_config "$1"
  # shellcheck disable=SC2046  # words
  daemon "kube-proxy-$1" "$config" $(_in_node "$1") "$LONGSHORE_BIN/kube-proxy" --config="$config"
}

nodes_are_ready() {
  local ready condition='.status.conditions[?(@.type=="Ready")].status'
  ready=$(kube get nodes -o jsonpath="{range .items[*]}{$condition}{'\\n'}{end}" 2>/dev/null |
    grep -c True) || true
  ((ready >= $1))
}

# remove_node N: from a cluster that goes on with fewer.
remove_node() {
  say "node-$1 is no longer wanted"
  kube delete node "node-$1" --ignore-not-found >/dev/null
  stop_node_processes "$1"
  remove_node_leftovers "$1"
}

# stop_node_processes N: the kubelet first, lest it start again what is ended here; then containerd
# and its shims, which outlive it; then whatever is left in the node's cgroups.
stop_node_processes() {
  local i=$1 hierarchy
  stop_daemon "kubelet-$i" 0
  stop_daemon "kube-proxy-$i" 0
  stop_daemon "containerd-$i" 0
  _node_shims "$i" | xargs -r kill -KILL 2>/dev/null || true
  for hierarchy in $(_cgroup_hierarchies); do
    find "$hierarchy/node-$i" -name cgroup.procs -exec cat {} + 2>/dev/null
  done | sort -u | xargs -r kill -KILL 2>/dev/null || true
}

# _node_shims N: the process ids of those that have the node's socket as an argument.
_node_shims() {
  { grep -lzxF -- "$(node_run "$1")/containerd.sock" /proc/[0-9]*/cmdline 2>/dev/null || true; } |
    { xargs -r grep -lzF -- containerd-shim-runc-v2 2>/dev/null || true; } |
    sed 's|^/proc/\([0-9]*\)/.*|\1|'
}

# remove_node_leftovers N: mounts, network, cgroups and data.
remove_node_leftovers() {
  local i=$1 tries=25
  unmount_below "$(node_run "$i")"
  unmount_below "$(node_data "$i")"
  ip route del "$(node_pods "$i")" 2>/dev/null || true
  ip netns del "$(node_netns "$i")" 2>/dev/null || true
  ip link del "lsveth$i" 2>/dev/null || true
  # A killed process leaves its cgroup a moment later.
  until _remove_node_cgroups "$i" || ((tries-- == 0)); do sleep 0.2; done
  delete_later "$(node_data "$i")"
  rm -rf "$(node_run "$i")" "$LONGSHORE_CLUSTER"/{pki,etc}/node-"$i".*
}

_remove_node_cgroups() {
  local hierarchy left=0
  for hierarchy in $(_cgroup_hierarchies); do
    [ -d "$hierarchy/node-$1" ] || continue
    find "$hierarchy/node-$1" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
  done
  return "$left"
}

remove_bridge() {
  ip route del "$CLUSTER_SERVICES" 2>/dev/null || true
  ip link del "$CLUSTER_BRIDGE" 2>/dev/null || true
}
