# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The cluster's certificate authority, the certificates it issues, and a kubeconfig for each of its
# clients. Made once; a node added later gets its own then.

# make_certificates NODES
make_certificates() {
  local i names
  umask 077
  make_authority
  names="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  names+=",DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$CLUSTER_HOST,IP:10.96.0.1"
  certificate apiserver /CN=kube-apiserver "$names"
  certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate front-proxy /CN=front-proxy-client
  client admin /O=system:masters/CN=admin
  client controller-manager /CN=system:kube-controller-manager
  client scheduler /CN=system:kube-scheduler
  client kube-proxy /CN=system:kube-proxy
  client dns /CN=system:coredns
  for i in $(seq "$1"); do
    client "node-$i" "/O=system:nodes/CN=system:node:node-$i" "DNS:node-$i,IP:127.0.0.1,IP:$(node_ip "$i")"
  done
  cp "$LONGSHORE_CLUSTER/etc/admin.kubeconfig" "$LONGSHORE_KUBECONFIG"
  umask 022
}

make_authority() {
  local pki=$LONGSHORE_CLUSTER/pki
  [ ! -s "$pki/ca.crt" ] || return 0
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/ca.key"
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/service-accounts.key"
  openssl ec -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub" 2>/dev/null
  openssl req -x509 -new -key "$pki/ca.key" -days 3650 -subj /CN=kubernetes-ca -out "$pki/ca.crt" \
    -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign,cRLSign
}

# certificate NAME SUBJECT [ALTERNATIVE-NAMES]
certificate() {
  local name=$1 subject=$2 alternatives=${3:-DNS:$1} pki=$LONGSHORE_CLUSTER/pki
  [ ! -s "$pki/$name.crt" ] || return 0
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/$name.key"
  openssl req -new -key "$pki/$name.key" -subj "$subject" |
    openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 \
      -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$alternatives") \
      -out "$pki/$name.crt.new" 2>/dev/null
  mv "$pki/$name.crt.new" "$pki/$name.crt"
}

# client NAME SUBJECT [ALTERNATIVE-NAMES]: a certificate and a kubeconfig that uses it.
client() {
  local pki=$LONGSHORE_CLUSTER/pki
  certificate "$@"
  write_config "$LONGSHORE_CLUSTER/etc/$1.kubeconfig" <<EOF
apiVersion: v1
kind: Config
current-context: longshore
contexts: [{name: longshore, context: {cluster: longshore, user: $1}}]
clusters:
- name: longshore
  cluster:
    server: $CLUSTER_API
    certificate-authority-data: $(base64 -w0 <"$pki/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 <"$pki/$1.crt")
    client-key-data: $(base64 -w0 <"$pki/$1.key")
EOF
}
