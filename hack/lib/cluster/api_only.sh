# shellcheck shell=bash disable=SC2034  # CLUSTER_API is used by pki.sh
# SPDX-License-Identifier: Apache-2.0
# An API server with its etcd and nothing else: no nodes, no controllers, nothing that would take thousands of made-up
# nodes for real ones. In a folder of its own, on free ports, beside any other cluster. Source env.sh, log.sh and
# cluster/{layout,processes,pki,control_plane}.sh first.

# api_only_up FOLDER [FLAG...]: sets LONGSHORE_CLUSTER, LONGSHORE_KUBECONFIG and KUBECONFIG to it; the flags are for the
# API server.
api_only_up() {
  export LONGSHORE_CLUSTER=$1 LONGSHORE_KUBECONFIG=$1/admin.kubeconfig KUBECONFIG=$1/admin.kubeconfig
  mkdir -p "$1"/{pki,etc,log,pid}
  read -ra api_only_ports < <(_free_ports 3)
  CLUSTER_API=https://127.0.0.1:${api_only_ports[2]}
  umask 077
  make_authority
  certificate apiserver /CN=kube-apiserver DNS:localhost,IP:127.0.0.1
  client admin /O=system:masters/CN=admin
  cp "$1/etc/admin.kubeconfig" "$LONGSHORE_KUBECONFIG"
  umask 022
  _start_api_only "${api_only_ports[@]}" "${@:2}"
  wait_for "the API server" 60 api_is_ready
}

# api_only_again: after it was stopped, with what etcd still has, and without flags.
api_only_again() {
  _start_api_only "${api_only_ports[@]}"
  wait_for "the API server" 60 api_is_ready
}

api_only_down() {
  kill_all_daemons 2>/dev/null  # the shell's own words about its killed children
  rm -rf "$LONGSHORE_CLUSTER"
}

# _start_api_only ETCD ETCD-PEER API [FLAG...]
_start_api_only() {
  local pki=$LONGSHORE_CLUSTER/pki
  start_etcd "$1" "$2"
  # No controller makes service accounts, and none takes the taints of new nodes away.
  daemon kube-apiserver - "$LONGSHORE_BIN/kube-apiserver" \
    --etcd-servers="http://127.0.0.1:$1" --bind-address=127.0.0.1 --secure-port="$3" \
    --endpoint-reconciler-type=none --authorization-mode=RBAC \
    --disable-admission-plugins=ServiceAccount,TaintNodesByCondition \
    --client-ca-file="$pki/ca.crt" \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --service-cluster-ip-range="$CLUSTER_SERVICES" \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$pki/service-accounts.pub" \
    --service-account-signing-key-file="$pki/service-accounts.key" "${@:4}"
}

# _free_ports N: of this moment; nobody else takes ports of that range by number.
_free_ports() {
  python3 - "$1" <<'EOP'
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))
EOP
}
