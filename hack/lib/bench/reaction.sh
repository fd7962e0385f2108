# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154  # jq expands; hack/bench and the demo's files define the rest
# SPDX-License-Identifier: Apache-2.0
# How long it takes from a step of a pod's load to one more pod: of ours on the demo's cluster, and of a Deployment
# under a HorizontalPodAutoscaler with the same image, resources and load on the same cluster, once as both come (metrics
# every 15 s, a look every 15 s, the kubelet's own rhythm) and once as fast as their flags allow. The load steps from nothing
# to all of the pod's request, where 60 % is allowed: much more than the request would be noticed in a third of an
# averaging window. Used by `hack/bench controller`; results are lines of JSON in $out.

# stamp_pods: when each pod was seen Ready for the first time, on this machine's clock.
stamp_pods() {
  kubectl get pods -A -w --output-watch-events -o json 2>/dev/null |
    jq -c --unbuffered 'select(any(.object.status.conditions[]?; .type == "Ready" and .status == "True"))
      | {at: now, name: .object.metadata.name, app: .object.metadata.labels.app}' >"$out/ready.jsonl"
}

# What a pod requests and may have of CPU, for both.
pod_cpu=200m

# burn NAMESPACE POD SECONDS FILE: a load of all the CPU that the pod may have; FILE gets the time at which it began.
burn() {
  kubectl -n "$1" exec "$2" -- sh -c "date +%s.%N; timeout $3 sh -c 'while :; do :; done'" >"$4" 2>/dev/null || true
}

random_phase() { sleep "$(awk -v most="$1" -v r="$RANDOM" 'BEGIN {printf "%.2f", most * r / 32768}')"; }

# ready_at JQ-CONDITION: the first time such a pod was seen Ready; waits for it.
ready_at() {
  local limit=$((SECONDS + $2)) at
  while ((SECONDS < limit)); do
    at=$(jq -nr "first(inputs | select($1) | .at)" "$out/ready.jsonl" 2>/dev/null || true)
    if [ -n "$at" ]; then echo "$at"; return; fi
    sleep 0.1
  done
  return 1
}

# ---- ours ------------------------------------------------------------------------------------------

# our_trial N: a crew of one whose window is one sample.
our_trial() {
  local request pod event decided
  request=$(longshore request orders --policy bench --pods 1 --max 2 --min 0 --up cpu=60% --down cpu=5% --window 1 \
    --idle 600 -o name) || return 1
  request=${request##*/}
  within 60 "one pod Available" eval '[ "$(longshore pods --request "$request" --state Available -o json | jq ".items | length")" = 1 ]'
  pod=$(longshore pods --request "$request" -o json | jq -r '.items[0].name')
  sleep 6   # what a container does in its first seconds is not looked at
  random_phase 1
  burn longshore-backup "$pod" 8 "$out/step" & local burner=$!
  within 30 "an additional pod is announced" about "$request" PodsAvailable
  event=$(about "$request" PodsAvailable)
  decided=$(about "$request" ScalingDecided)
  jq -nc --arg step "$(head -n 1 "$out/step")" --argjson e "$event" --argjson d "$decided" \
    --arg ready "$(ready_at ".name == $(jq '.data.pods[0]' <<<"$event")" 10)" \
    --arg crossing "$(epoch "$(jq -r .data.crossingTime <<<"$decided")")" \
    --arg decision "$(epoch "$(jq -r .time <<<"$decided")")" --arg announced "$(epoch "$(jq -r .time <<<"$event")")" \
    '{arm: "ours", step: ($step | tonumber), crossing: ($crossing | tonumber), decision: ($decision | tonumber),
      ready: ($ready | tonumber), announced: ($announced | tonumber)}' | tee -a "$out/trials.jsonl" | jq -c . >&2
  longshore request delete "$request" >/dev/null
  wait "$burner" 2>/dev/null || true
  within 60 "its pods have gone" eval '[ "$(kb get pods -l longshore.dev/request="$request" --no-headers 2>/dev/null | wc -l)" = 0 ]'
}

about() { # REQUEST TYPE: the announcement that a threshold was exceeded
  jq -nce --arg r "$1" --arg t "$2" \
    'first(inputs | select(.request == $r and .type == $t and .data.cause == "ThresholdExceeded"))' "$out/events.jsonl" 2>/dev/null
}

# our_warm_trial: with a warm pod, work that comes is begun at once.
our_warm_trials() {
  local request i id asked
  request=$(longshore request orders --policy bench --pods 1 --max 3 --min 0 --follow-demand --warm 1 --idle 600 -o name)
  request=${request##*/}
  within 60 "a warm pod" eval '[ "$(longshore pods --request "$request" --state Available -o json | jq ".items | length")" -ge 1 ]'
  for ((i = 0; i < $1; i++)); do
    random_phase 1
    asked=$EPOCHREALTIME
    id=$(longshore backup orders --request "$request" --part shop -o name)
    id=${id##*/}
    within 30 "it has begun" eval 'started_at "$id" >/dev/null'
    jq -nc --arg a "$asked" --arg s "$(epoch "$(started_at "$id")")" \
      '{arm: "warm", asked: ($a | tonumber), started: ($s | tonumber)}' | tee -a "$out/trials.jsonl" | jq -c . >&2
    longshore operations cancel "$id" >/dev/null
    within 60 "a warm pod again" eval '[ "$(longshore pods --request "$request" --state Available -o json | jq ".items | length")" -ge 1 ]'
  done
  longshore request delete "$request" >/dev/null
}
started_at() {
  jq -nre --arg o "$1" 'first(inputs | select(.type == "OperationStarted" and (.data.operation // .operation) == $o)) | .time' \
    "$out/events.jsonl" 2>/dev/null
}

# ---- HorizontalPodAutoscaler --------------------------------------------------------------------------

# autoscaler_up RESOLUTION [FLAG...]: metrics-server at that resolution, and a controller manager with those flags.
autoscaler_up() {
  local resolution=$1 etc=$LONGSHORE_CLUSTER/etc pki=$LONGSHORE_CLUSTER/pki
  shift
  certificate metrics-server DNS:metrics-server.kube-system.svc   # of the demo's own CA
  stop_daemon metrics-server 1
  daemon metrics-server - "$metrics_server" --secure-port=4443 --metric-resolution="$resolution" \
    --kubelet-request-timeout=5s --kubeconfig="$etc/admin.kubeconfig" --authentication-kubeconfig="$etc/admin.kubeconfig" \
    --authorization-kubeconfig="$etc/admin.kubeconfig" --kubelet-preferred-address-types=InternalIP \
    --kubelet-certificate-authority="$pki/ca.crt" --requestheader-client-ca-file="$pki/ca.crt" \
    --tls-cert-file="$demo/pki/metrics-server.crt" --tls-private-key-file="$demo/pki/metrics-server.key"
  start_controllers "$@" >&2
  kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {ports: [{name: https, port: 443, targetPort: 4443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-server, namespace: kube-system, labels: {kubernetes.io/service-name: metrics-server}}
addressType: IPv4
endpoints: [{addresses: [$CLUSTER_HOST], conditions: {ready: true}}]
ports: [{name: https, port: 4443, protocol: TCP}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  service: {name: metrics-server, namespace: kube-system}
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  caBundle: $(base64 -w0 <"$demo/pki/ca.crt")
END
  within 90 "metrics-server has figures" eval '[ "$(kubectl get --raw /apis/metrics.k8s.io/v1beta1/nodes | jq ".items | length")" -gt 0 ]'
}

autoscaler_down() {
  kubectl delete namespace bench --ignore-not-found --wait=false >/dev/null
  kubectl delete apiservice v1beta1.metrics.k8s.io --ignore-not-found >/dev/null
  kubectl -n kube-system delete service,endpointslice metrics-server --ignore-not-found >/dev/null
  stop_daemon metrics-server 1
  start_controllers >&2
}

# autoscaled APP SCALE-UP: a Deployment of one pod and its autoscaler, of the image and resources of our pods.
autoscaled() {
  kubectl apply -f - >/dev/null <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1, namespace: bench}
spec:
  replicas: 1
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: $(kubectl get sourceimage postgresql-17 -o jsonpath='{.spec.image}')
          command: [sleep, infinity]
          resources: {requests: {cpu: $pod_cpu}, limits: {cpu: $pod_cpu}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: $1, namespace: bench}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: $1}
  minReplicas: 1
  maxReplicas: 2
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
$2
END
}

# autoscaler_trials ARM TRIALS SCALE-UP: three at a time. An autoscaler looks every 15 s from its making on, so each is made at
# a phase of its own to the metrics, and its load steps at another.
autoscaler_trials() {
  local arm=$1 left=$2 batch i app round=0
  kubectl create namespace bench --dry-run=client -o yaml | kubectl apply -f - >/dev/null
  while ((left > 0)); do
    batch=$((left < 3 ? left : 3)) left=$((left - 3)) round=$((round + 1))
    for ((i = 0; i < batch; i++)); do random_phase 15 && autoscaled "$arm-$round-$i" "$3"; done
    local -a running=()
    for ((i = 0; i < batch; i++)); do
      app=$arm-$round-$i
      within 180 "the autoscaler knows the load of $app" eval \
        '[ -n "$(kubectl -n bench get hpa '"$app"' -o jsonpath="{.status.currentMetrics[0].resource.current.averageUtilization}")" ]'
      autoscaler_trial "$arm" "$app" & running+=($!)
    done
    wait "${running[@]}" || return 1
    kubectl -n bench delete hpa,deployment --all --wait=true >/dev/null
  done
}

autoscaler_trial() {
  local arm=$1 app=$2 pod ready burner
  random_phase 15
  pod=$(kubectl -n bench get pods -l app="$app" -o jsonpath='{.items[0].metadata.name}')
  burn bench "$pod" 150 "$out/step-$app" & burner=$!
  ready=$(ready_at ".app == \"$app\" and .name != \"$pod\"" 140) || { tell "$app: no second pod in 140 s" >&2; return 1; }
  jq -nc --arg arm "$arm" --arg step "$(head -n 1 "$out/step-$app")" --arg ready "$ready" \
    '{arm: "hpa_\($arm)", step: ($step | tonumber), ready: ($ready | tonumber)}' | tee -a "$out/trials.jsonl" | jq -c . >&2
  kubectl -n bench delete pod "$pod" --grace-period=0 --force >/dev/null 2>&1
  wait "$burner" 2>/dev/null || true
}

# ---- all of it ------------------------------------------------------------------------------------------

# restore: the demo's world as it was before.
restore() {
  kubectl -n db scale deployment/load --replicas=1 >/dev/null
  kb delete podpolicy bench --ignore-not-found >/dev/null
}

# reaction TRIALS AUTOSCALER-TRIALS
reaction() {
  out=$(mktemp -d) && : >"$out/events.jsonl" && : >"$out/trials.jsonl" && : >"$out/ready.jsonl"
  local i
  stamp_pods & local stamper=$!
  { while :; do command longshore events --follow -o json >>"$out/events.jsonl" 2>/dev/null || sleep 0.3; done; } & local listener=$!
  # shellcheck disable=SC2064  # as they are now
  trap "{ pkill -P $stamper; pkill -P $listener; kill $stamper $listener; restore; autoscaler_down; } 2>/dev/null || true; rm -rf '$out'" EXIT
  kb get podpolicy standard -o json |
    jq --arg cpu "$pod_cpu" '{apiVersion, kind, metadata: {name: "bench"}, spec} | .spec.resources = {requests: {$cpu}, limits: {$cpu}}' |
    kb apply -f - >/dev/null
  kubectl -n db scale deployment/load --replicas=0 >/dev/null   # idle neighbours
  for ((i = 0; i < $1; i++)); do our_trial; done
  our_warm_trials "$1"
  if (($2 > 0)); then
    autoscaler_up 15s
    autoscaler_trials default "$2" ''
    autoscaler_up 10s --horizontal-pod-autoscaler-sync-period=1s --horizontal-pod-autoscaler-initial-readiness-delay=0s \
      --horizontal-pod-autoscaler-cpu-initialization-period=0s --horizontal-pod-autoscaler-tolerance=0.01
    autoscaler_trials tuned "$2" '  behavior: {scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 900, periodSeconds: 1}]}}'
  fi
  python3 hack/lib/bench/reaction.py "$out/trials.jsonl"
}
