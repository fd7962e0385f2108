# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# etcd, API server, controller manager, scheduler and DNS, as processes of this machine.

# start_etcd PORT PEER-PORT
start_etcd() {
  local here=http://127.0.0.1:$1 peers=http://127.0.0.1:$2
  # A cluster for trying things: what a power cut would lose isn't worth a disk flush per write.
  daemon etcd - "$LONGSHORE_BIN/etcd" --data-dir "$LONGSHORE_CLUSTER/etcd" --unsafe-no-fsync \
    --listen-client-urls "$here" --advertise-client-urls "$here" \
    --listen-peer-urls "$peers" --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers" \
    --logger zap --log-level warn
}

start_apiserver() {
  local pki=$LONGSHORE_CLUSTER/pki
  daemon kube-apiserver - "$LONGSHORE_BIN/kube-apiserver" \
    --etcd-servers=http://127.0.0.1:2379 \
    --secure-port=6443 --advertise-address="$CLUSTER_HOST" \
    --service-cluster-ip-range="$CLUSTER_SERVICES" --allow-privileged=true \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --client-ca-file="$pki/ca.crt" \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$pki/apiserver-kubelet.crt" \
    --kubelet-client-key="$pki/apiserver-kubelet.key" \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$pki/service-accounts.pub" \
    --service-account-signing-key-file="$pki/service-accounts.key" \
    --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --enable-aggregator-routing=true \
    --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key"
}

api_is_ready() { kube get --raw /readyz >/dev/null 2>&1; }

# start_controllers [FLAG...]: the flags are the controller manager's.
start_controllers() {
  local pki=$LONGSHORE_CLUSTER/pki etc=$LONGSHORE_CLUSTER/etc
  # A dead node shows after 20 s, not 50 s.
  daemon kube-controller-manager - "$LONGSHORE_BIN/kube-controller-manager" \
    --kubeconfig="$etc/controller-manager.kubeconfig" --leader-elect=false --bind-address=127.0.0.1 \
    --use-service-account-credentials --root-ca-file="$pki/ca.crt" \
    --service-account-private-key-file="$pki/service-accounts.key" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --node-monitor-period=2s --node-monitor-grace-period=20s "$@"
  daemon kube-scheduler - "$LONGSHORE_BIN/kube-scheduler" \
    --kubeconfig="$etc/scheduler.kubeconfig" --leader-elect=false --bind-address=127.0.0.1
}

# start_dns: CoreDNS on this machine, behind the cluster's usual DNS service, so that names still
# resolve when nodes are taken away in tests.
start_dns() {
  local etc=$LONGSHORE_CLUSTER/etc
  write_config "$etc/Corefile" <<EOF
.:53 {
  bind $CLUSTER_HOST
  errors
  health 127.0.0.1:8053
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig $etc/dns.kubeconfig longshore
    ttl 5
    fallthrough in-addr.arpa ip6.arpa
  }
  cache 5
  forward . /etc/resolv.conf
}
EOF
  kube apply -f - >/dev/null <<EOF
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: $CLUSTER_DNS
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: [$CLUSTER_HOST], conditions: {ready: true}}]
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: system:coredns}
rules:
- {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: system:coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns}
subjects: [{kind: User, name: system:coredns}]
EOF
  daemon coredns "$etc/Corefile" "$LONGSHORE_BIN/coredns" -conf "$etc/Corefile"
}

# dns_answers: the API server's own name resolves to its service address.
dns_answers() {
  daemon_alive coredns || return 1
  python3 - "$CLUSTER_HOST" <<'EOF'
import socket, struct, sys
name = b"".join(bytes([len(l)]) + l for l in b"kubernetes.default.svc.cluster.local".split(b".")) + b"\0"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
try:
    s.sendto(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1), (sys.argv[1], 53))
    sys.exit(0 if socket.inet_aton("10.96.0.1") in s.recv(512) else 1)
except OSError:
    sys.exit(1)
EOF
}
