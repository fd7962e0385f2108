# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154  # eval expands; other files of the demo define and use the rest
# SPDX-License-Identifier: Apache-2.0
# Bad input and faults, each provoked on the running demo world and asserted. Every step cleans up.

faults=(
  invalid_objects_name_the_field unknown_kind missing_secret wrong_password unreachable_repository
  malformed_input wrong_identity extender_replica_dies extender_down agent_down agent_nonroot failing_dump killed_pod out_of_memory
  sleeping_repository drained_node deleted_row deleted_request deleted_namespace
  leader_dies two_leaders
)

# variant SOURCE NAME JQ-FILTER: a copy of a BackupSource with something wrong in it.
variant() {
  kb get backupsource "$1" -o json |
    jq --arg n "$2" '{apiVersion, kind, metadata: {name: $n}, spec} | '"$3" | kb apply -f - >/dev/null
}
condition() { # REQUEST TYPE FIELD
  kb get computerequest "$1" -o json |
    jq -r --arg t "$2" --arg f "$3" '.status.conditions[]? | select(.type == $t) | .[$f]'
}
new_request() { longshore request "$@" --policy "${policy:-standard}" -o name | sed 's#.*/##'; }
# One that is refused for now: it is made all the same, and said so with status 1.
refused_request() { new_request "$@" 2>/dev/null || true; }
end_request() { longshore request delete "$1" >/dev/null; }
operation_state() { longshore operations get "$1" -o json | jq -r .status.state; }
available_of() { longshore pods --request "$1" --state Available -o json | jq '.items | length'; }
await_available() { # REQUEST COUNT [SECONDS]
  within "${3:-60}" "$2 pods of $1 Available" eval '[ "$(available_of '"$1"')" = '"$2"' ]'
}
snapshots() {
  RESTIC_PASSWORD_FILE=$demo/escrow/repository-key "$ROOTFS_OUTSIDE/usr/bin/restic" --repository-file "$demo/secrets/repository-url" \
    --cacert "$demo/pki/ca.crt" --no-cache --no-lock snapshots --json | jq length
}

invalid_objects_name_the_field() {
  step "an invalid object is refused with a message naming the field"
  local said
  said=$(longshore request orders --policy standard --pods 2 --max 1 2>&1) && fail "max < initial was accepted"
  tell "$said"
  grep -q 'spec.pods' <<<"$said" || fail "the message does not name the field"
  said=$(kb patch computerequest --type merge -p '{}' nothing 2>&1) || true
  said=$(kb create -f - 2>&1 <<<'{"apiVersion":"longshore.dev/v1alpha1","kind":"BackupSource","metadata":{"name":"bad"},"spec":{"kind":"postgresql"}}') &&
    fail "a postgresql source without spec.postgresql was accepted"
  tell "$said"
  grep -q 'spec.postgresql' <<<"$said" || fail "the message does not name the field"
}

unknown_kind() {
  step "an unknown kind of source ends in a condition that says which images there are"
  kb apply -f - >/dev/null <<<'{"apiVersion":"longshore.dev/v1alpha1","kind":"BackupSource","metadata":{"name":"mainframe"},"spec":{"kind":"mainframe"}}'
  local r
  r=$(refused_request mainframe --pods 1 --max 1)
  within 10 "Accepted is False" eval '[ "$(condition '"$r"' Accepted status)" = False ]'
  expect "reason" "$(condition "$r" Accepted reason)" NoMatchingImage
  tell "$(condition "$r" Accepted message)"
  end_request "$r"
  kb delete backupsource mainframe >/dev/null
}

missing_secret() {
  step "a missing secret is named; the request goes on when it appears"
  variant orders lost-secret '.spec.credentialsRef.name = "not-there"'
  local r
  r=$(refused_request lost-secret --pods 1 --max 1)
  within 10 "Accepted is False" eval '[ "$(condition '"$r"' Accepted reason)" = SecretMissing ]'
  tell "$(condition "$r" Accepted message)"
  condition "$r" Accepted message | grep -q not-there || fail "the message does not name the secret"
  kb get secret orders-backup -o json | jq '{apiVersion, kind, metadata: {name: "not-there"}, data}' |
    kb apply -f - >/dev/null
  within 90 "Accepted once the secret is there" eval '[ "$(condition '"$r"' Accepted status)" = True ]'
  tell "ok: accepted once the secret was there"
  end_request "$r"
  kb delete secret/not-there backupsource/lost-secret >/dev/null
}

wrong_password() {
  step "a wrong password fails the check in seconds, and the pod is returned"
  kb get secret orders-backup -o json |
    jq '{apiVersion, kind, metadata: {name: "wrong"}, data: {username: .data.username, password: ("nonsense" | @base64)}}' |
    kb apply -f - >/dev/null
  variant orders wrong-password '.spec.credentialsRef.name = "wrong"'
  local r
  r=$(new_request wrong-password --pods 1 --max 1)
  # It ends a moment before or after the condition is written.
  within 60 "the check ends with the error class Authentication" eval \
    '[ "$(longshore operations --request '"$r"' -o json | jq -r ".items[0].status.error.class")" = Authentication ]'
  within 60 "SourceReady is False" eval \
    '[ "$(kb get backupsource wrong-password -o json | jq -r ".status.conditions[]? | select(.type == \"SourceReady\") | .status")" = False ]'
  kb get backupsource wrong-password -o json | jq -r '.status.conditions[] | "\(.type) \(.status) \(.reason): \(.message)"' | show
  await_available "$r" 1 15
  end_request "$r"
  kb delete secret/wrong backupsource/wrong-password >/dev/null
}

unreachable_repository() {
  step "an unreachable repository fails the operation in seconds"
  kb get backuprepository outside -o json |
    jq '{apiVersion, kind, metadata: {name: "nowhere"}, spec} | .spec.url = "rest:https://10.250.0.1:9/orders/"' |
    kb apply -f - >/dev/null
  kb get podpolicy standard -o json |
    jq '{apiVersion, kind, metadata: {name: "nowhere"}, spec} | .spec.repositoryRef.name = "nowhere"' |
    kb apply -f - >/dev/null
  local r from=$EPOCHREALTIME
  r=$(policy=nowhere refused_request orders --pods 1 --max 1)
  longshore backup orders --request "$r" --part ledger --wait 2>&1 | show || true
  local status
  status=$(longshore operations --request "$r" -o json | jq -c '[.items[] | select(.spec.type == "Backup")][0].status')
  expect "state" "$(jq -r .state <<<"$status")" Failed
  tell "$(jq -r '"\(.error.class): \(.error.message)"' <<<"$status")"
  figure unreachable_repository_fails_within "$(between "$from" "$EPOCHREALTIME")" s
  end_request "$r"
  kb delete podpolicy/nowhere backuprepository/nowhere >/dev/null
}

api() { curl -s --cacert "$LONGSHORE_CA_FILE" -K <(printf 'header = "Authorization: Bearer %s"\n' "$(cat "$LONGSHORE_TOKEN_FILE")") "$@"; }

malformed_input() {
  step "malformed JSON to every endpoint that takes a body is refused with 400"
  local path method code
  for path in POST:/v1/requests PATCH:/v1/requests/$ns/x POST:/v1/pods:acquire POST:/v1/operations; do
    method=${path%%:*} path=${path#*:}
    code=$(api -o "$demo/reply" -w '%{http_code}' -X "$method" -H 'Idempotency-Key: faults' -H 'Content-Type: application/json' --data '{"spec": {' "$LONGSHORE_SERVER$path")
    expect "$method $path" "$code" 400
  done
  tell "$(cat "$demo/reply")"
}

wrong_identity() {
  step "a wrong token, no token and a wrong certificate are refused"
  expect "wrong token" "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$LONGSHORE_CA_FILE" -H 'Authorization: Bearer nonsense' "$LONGSHORE_SERVER/v1/pods?namespace=$ns")" 401
  expect "no token" "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$LONGSHORE_CA_FILE" "$LONGSHORE_SERVER/v1/pods?namespace=$ns")" 401
  local extender
  extender=$(kubectl -n longshore-system get pod -l app.kubernetes.io/name=longshore-extender -o jsonpath='{.items[0].status.podIP}')
  local extender_name=longshore-extender.longshore-system.svc
  curl -s --cacert "$LONGSHORE_CA_FILE" --resolve "$extender_name:8443:$extender" -o /dev/null \
    --cert "$demo/pki/postgresql.crt" --key "$demo/pki/postgresql.key" -d '{}' "https://$extender_name:8443/filter" &&
    fail "the extender spoke to a client with a certificate of another CA"
  curl -s --cacert "$LONGSHORE_CA_FILE" --resolve "$extender_name:8443:$extender" -o /dev/null -d '{}' "https://$extender_name:8443/filter" &&
    fail "the extender spoke to a client without a certificate"
  tell "ok: the extender speaks to the scheduler's certificate only"
}

extender_replica_dies() {
  step "one of two extenders killed: the next backup pod is vetted by the other"
  local r victim
  victim=$(kubectl -n longshore-system get pod -l app.kubernetes.io/name=longshore-extender -o jsonpath='{.items[0].metadata.name}')
  kubectl -n longshore-system delete pod "$victim" --grace-period=0 --force >/dev/null 2>&1
  r=$(new_request orders --pods 1 --max 1)
  within 60 "the request's pod is vetted" eval '[ "$(condition '"$r"' PlacementVetted reason)" = Vetted ]'
  end_request "$r"
  kubectl -n longshore-system rollout status deployment/longshore-extender --timeout=60s >/dev/null
}

extender_down() {
  step "extender down: production pods notice nothing; backup pods are placed and say so"
  kubectl -n longshore-system scale deployment/longshore-extender --replicas=0 >/dev/null
  within 30 "the extender is gone" eval '[ -z "$(kubectl -n longshore-system get pods -l app.kubernetes.io/name=longshore-extender --no-headers 2>/dev/null)" ]'
  local from=$EPOCHREALTIME r image
  image=$(kubectl -n db get pod orders-0 -o jsonpath='{.spec.containers[0].image}')
  kubectl -n db run production --image="$image" --restart=Never --command -- sleep 60 >/dev/null
  kubectl -n db wait pod/production --for=condition=Ready --timeout=30s >/dev/null || fail "a production pod did not start"
  figure production_pod_ready_without_extender "$(between "$from" "$EPOCHREALTIME")" s
  r=$(new_request orders --pods 1 --max 1)
  within 60 "the request says that it was placed without the extender" eval \
    '[ "$(condition '"$r"' PlacementVetted reason)" = PlacedWithoutExtender ]'
  tell "$(condition "$r" PlacementVetted message)"
  end_request "$r"
  kubectl -n db delete pod production --grace-period=0 --force >/dev/null 2>&1
  kubectl -n longshore-system scale deployment/longshore-extender --replicas=2 >/dev/null
  kubectl -n longshore-system rollout status deployment/longshore-extender --timeout=60s >/dev/null
}

agent_down() {
  step "agents down: nothing shrinks, and a condition says so"
  local r
  r=$(new_request orders --pods 1 --max 2 --min 0 --up cpu=60% --down cpu=15% --idle 10)
  await_available "$r" 1
  kubectl -n longshore-system patch daemonset longshore-nodeagent --type merge \
    -p '{"spec":{"template":{"spec":{"nodeSelector":{"longshore.dev/nowhere":"true"}}}}}' >/dev/null
  within 40 "ScalingActive is False" eval '[ "$(condition '"$r"' ScalingActive reason)" = SignalsMissing ]'
  tell "$(condition "$r" ScalingActive message)"
  sleep 15
  expect "pods after longer than the idle time" "$(available_of "$r")" 1
  kubectl -n longshore-system patch daemonset longshore-nodeagent --type merge \
    -p '{"spec":{"template":{"spec":{"nodeSelector":{"longshore.dev/nowhere":null}}}}}' >/dev/null
  kubectl -n longshore-system rollout status daemonset/longshore-nodeagent --timeout=60s >/dev/null
  await_available "$r" 0
  tell "ok: deconstructed once the agents were back"
  end_request "$r"
}

# slow_policy: pods that have a fraction of a CPU, so that a dump is half done for long enough on any machine.
slow_policy() {
  kb get podpolicy standard -o json |
    jq '{apiVersion, kind, metadata: {name: "slow"}, spec} | .spec.resources = {requests: {cpu: "100m"}, limits: {cpu: "250m"}}' |
    kb apply -f - >/dev/null
}

# half_a_dump PODS PART [POLICY]: a request `r` of so many pods and an operation `id` of it that has read 20 MB, and
# may be attempted $attempts times.
half_a_dump() {
  slow_policy
  r=$(policy=${3:-slow} new_request orders --pods "$1" --max "$1")
  await_available "$r" "$1"
  id=$(longshore backup orders --request "$r" --part "$2" -o name | sed 's#.*/##')
  [ -z "${attempts:-}" ] || kb patch operation "$id" --type merge -p "{\"spec\":{\"maxAttempts\":$attempts}}" >/dev/null
  within 60 "the dump runs" eval \
    '[ "$(longshore operations get '"$id"' -o json | jq ".status.progress.bytesDone > 20000000")" = true ]'
}

agent_nonroot() {
  step "the agent measures as another user, with the two capabilities from its file"
  local folder=$LONGSHORE_STATE/demo/agent-nonroot agent=(kubectl -n longshore-system) pod
  mkdir -p "$folder"
  "${agent[@]}" get daemonset longshore-nodeagent -o json |
    jq '{apiVersion, kind, metadata: (.metadata | {name, namespace, labels}), spec}' >"$folder/daemonset.yaml"
  cat >"$folder/kustomization.yaml" <<EOF
resources: [daemonset.yaml]
components: [$(realpath -m --relative-to "$(realpath "$folder")" "$LONGSHORE_ROOT/manifests/components/nodeagent-nonroot")]
EOF
  "${agent[@]}" apply -k "$folder" >/dev/null 2>"$folder/apply.err" ||
    fail "the component does not apply: $(tail -n 3 "$folder/apply.err")"
  "${agent[@]}" rollout status daemonset/longshore-nodeagent --timeout=90s >/dev/null ||
    fail "the agents are not ready: $("${agent[@]}" logs daemonset/longshore-nodeagent --tail 3)"
  pod=$("${agent[@]}" get pods -l app.kubernetes.io/name=longshore-nodeagent -o jsonpath='{.items[0].metadata.name}')
  expect "user id" "$("${agent[@]}" exec "$pod" -- id -u)" 65534
  # Its status is 1 where a signal is missing on this machine.
  expect "problems that its doctor finds" \
    "$({ "${agent[@]}" exec "$pod" -- /usr/bin/longshore-nodeagent-capable doctor -o json || true; } |
      jq -r '[.checks[] | select(.state == "broken")] | length')" 0
  "${agent[@]}" replace -f "$folder/daemonset.yaml" >/dev/null
  "${agent[@]}" rollout status daemonset/longshore-nodeagent --timeout=60s >/dev/null
}

failing_dump() {
  step "a dump that fails half-way makes no copy"
  local r before id
  before=$(snapshots)
  attempts=1 half_a_dump 1 media   # a broken connection is worth a retry, which would succeed
  sql orders postgres -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'longshore%'" >/dev/null
  within 60 "the operation ends" eval 'case $(operation_state '"$id"') in Failed|Succeeded) ;; *) false ;; esac'
  longshore operations get "$id" -o json | jq -r '"\(.status.state) \(.status.error.class): \(.status.error.message)"' | show
  expect "state" "$(operation_state "$id")" Failed
  expect "snapshots in the repository" "$(snapshots)" "$before"
  end_request "$r"
}

killed_pod() {
  step "a backup pod killed in mid-operation: the operation is retried on another pod"
  local r id pod
  half_a_dump 2 events
  pod=$(longshore operations get "$id" -o json | jq -r .status.pod)
  kb delete pod "$pod" --grace-period=0 --force >/dev/null 2>&1
  within 180 "the operation succeeds" eval '[ "$(operation_state '"$id"')" = Succeeded ]'
  expect "attempt" "$(longshore operations get "$id" -o json | jq -r .status.attempt)" 2
  [ "$(longshore operations get "$id" -o json | jq -r .status.pod)" != "$pod" ] || fail "the same pod was used again"
  tell "ok: first $pod, then $(longshore operations get "$id" -o json | jq -r .status.pod)"
  expect "copies of the operation" "$(longshore copies --source orders -o json | jq --arg o "$id" '[.items[] | select(.operation == $o)] | length')" 1
  end_request "$r"
}

out_of_memory() {
  step "a worker's tools are killed for memory: said so, and more of it when the policy allows"
  kb get podpolicy standard -o json |
    jq '{apiVersion, kind, metadata: {name: "tight"}, spec} | del(.spec.maxMemory) | .spec.resources.limits.memory = "32Mi" | .spec.resources.requests.memory = "32Mi"' |
    kb apply -f - >/dev/null
  local r o from
  r=$(policy=tight new_request orders --pods 1 --max 1)
  await_available "$r" 1
  o=$(longshore backup orders --request "$r" --part shop -o name | sed 's#.*/##')
  within 60 "condition OutOfMemory" eval '[ "$(condition '"$r"' OutOfMemory reason)" = NoMaxMemory ]'
  tell "$(condition "$r" OutOfMemory message)"
  tell "$(longshore operations get "$o" -o json | jq -r '.status.error | "\(.class): \(.message)"')"
  from=$EPOCHREALTIME
  kb patch podpolicy tight --type merge -p '{"spec": {"maxMemory": "1Gi"}}' >/dev/null
  within 120 "the operation succeeds" eval '[ "$(operation_state '"$o"')" = Succeeded ]'
  figure more_memory_to_success "$(between "$from" "$EPOCHREALTIME")" s
  expect "OutOfMemory" "$(condition "$r" OutOfMemory reason)" MemoryRaised
  tell "$(condition "$r" OutOfMemory message)"
  end_request "$r"
  kb delete podpolicy tight >/dev/null
}

sleeping_repository() {
  step "a repository that falls asleep: the operation is ended by its policy, and its database session with it"
  local r id pid
  kb get podpolicy standard -o json |
    jq '{apiVersion, kind, metadata: {name: "impatient"}, spec} | .spec.operationLimits = {noProgressSeconds: 20}
        | .spec.resources = {requests: {cpu: "100m"}, limits: {cpu: "250m"}}' | kb apply -f - >/dev/null
  pid=$(cat "$demo/rest-server.pid")
  attempts=1 half_a_dump 1 media impatient
  kill -STOP "$pid"
  local from=$EPOCHREALTIME
  within 90 "the operation ends" eval 'case $(operation_state '"$id"') in Failed|Succeeded) ;; *) false ;; esac'
  figure sleeping_repository_ends_operation "$(between "$from" "$EPOCHREALTIME")" s
  within 30 "its sessions have ended" eval '[ "$(backup_sessions)" = 0 ]'
  kill -CONT "$pid"
  longshore operations get "$id" -o json | jq -r '"\(.status.state) \(.status.error.class): \(.status.error.message)"' | show
  expect "error class" "$(longshore operations get "$id" -o json | jq -r .status.error.class)" Stalled
  end_request "$r"
  kb delete podpolicy impatient >/dev/null
}
backup_sessions() { sql orders postgres -c "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'longshore/%'" | tr -d ' \n'; }

drained_node() {
  step "its node is drained: an idle backup pod leaves at once, a busy one when its operation has ended"
  local r id node idle
  half_a_dump 2 events
  node=$(longshore operations get "$id" -o json | jq -r .status.node)
  idle=$(longshore pods --request "$r" --state Available -o json | jq -r '.items[0].name')
  kubectl drain "$node" --pod-selector "longshore.dev/request=$r" --force --delete-emptydir-data --timeout=300s >"$demo/drain.log" 2>&1 &
  local drain=$!
  within 60 "the idle pod has gone" eval '! kb get pod '"$idle"
  within 30 "the eviction of the busy one is refused" grep -q "disruption budget" "$demo/drain.log"
  grep -m1 "disruption budget" "$demo/drain.log" | show
  wait "$drain" || { show <"$demo/drain.log"; fail "the node was not drained"; }
  kubectl uncordon "$node" >/dev/null
  within 30 "the operation succeeds" eval '[ "$(operation_state '"$id"')" = Succeeded ]'
  expect "attempt" "$(longshore operations get "$id" -o json | jq -r .status.attempt)" 1
  end_request "$r"
}

deleted_row() {
  step "the row of a pod with work is deleted: the work ends first, then row and Pod go, and another pod comes"
  local r id pod uid
  half_a_dump 1 events
  pod=$(longshore operations get "$id" -o json | jq -r .status.pod)
  uid=$(kb get backuppod "$pod" -o jsonpath='{.metadata.uid}')
  kb delete backuppod "$pod" --wait=false >/dev/null
  within 120 "the operation succeeds" eval '[ "$(operation_state '"$id"')" = Succeeded ]'
  expect "attempt" "$(longshore operations get "$id" -o json | jq -r .status.attempt)" 1
  within 60 "the row has gone" eval '[ "$(kb get backuppod '"$pod"' -o jsonpath="{.metadata.uid}" 2>/dev/null)" != '"$uid"' ]'
  await_available "$r" 1
  end_request "$r"
}

deleted_request() {
  step "a request with work is deleted with all that it owns, in the foreground: SIGTERM leaves the work its time"
  local r id
  half_a_dump 1 events
  kb delete computerequest "$r" --cascade=foreground --wait=false >/dev/null
  within 150 "the operation has ended, or gone" eval 'case $(operation_state '"$id"' 2>/dev/null) in Succeeded|"") ;; *) false ;; esac'
  within 60 "the request has gone" eval '! kb get computerequest '"$r"
  expect "its pods" "$(kb get pods -l longshore.dev/request="$r" --no-headers 2>/dev/null | wc -l)" 0
  within 10 "its sessions have ended" eval '[ "$(backup_sessions)" = 0 ]'
}

# another_namespace NAME: a backup namespace with the same source, policies, repository and secrets.
another_namespace() {
  local overlay=$LONGSHORE_STATE/another-namespace
  mkdir -p "$overlay"
  kubectl create namespace "$1" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
  cat >"$overlay/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: $1
components: [$(realpath --relative-to="$overlay" "$LONGSHORE_ROOT/manifests/components/backup-namespace")]
END
  kubectl apply -k "$overlay" >/dev/null
  kb get secrets,configmaps,backuprepositories,podpolicies,backupsources -o json |
    jq '.items |= [.[] | select(.metadata.name | startswith("kube-root") | not)
      | select(.kind != "BackupSource" or .metadata.name == "orders")
      | {apiVersion, kind, metadata: {name: .metadata.name}} + (if .spec then {spec} else {data, type} | with_entries(select(.value)) end)]' |
    kubectl -n "$1" apply -f - >/dev/null
}

deleted_namespace() {
  step "a backup namespace is deleted with work in it: it goes, no finalizer keeps it, and its sessions end"
  local gone=longshore-gone
  slow_policy
  another_namespace "$gone"
  kubectl -n "$gone" apply -f - >/dev/null <<'END'
{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "longshore.dev/v1alpha1", "kind": "ComputeRequest", "metadata": {"name": "r"},
   "spec": {"sourceRef": {"name": "orders"}, "policyRef": {"name": "slow"}, "purpose": "Backup", "pods": {"initial": 2, "max": 2}}},
  {"apiVersion": "longshore.dev/v1alpha1", "kind": "Operation", "metadata": {"name": "op"},
   "spec": {"type": "Backup", "sourceRef": {"name": "orders"}, "requestRef": {"name": "r"}, "part": "media"}}]}
END
  within 90 "the dump runs" eval '[ "$(kubectl -n '"$gone"' get operation op -o jsonpath="{.status.state}")" = Running ]'
  local from=$EPOCHREALTIME
  kubectl delete namespace "$gone" --wait=false >/dev/null
  within 180 "the namespace has gone" eval '! kubectl get namespace '"$gone"
  figure namespace_with_work_gone_within "$(between "$from" "$EPOCHREALTIME")" s
  within 10 "its sessions have ended" eval '[ "$(backup_sessions)" = 0 ]'
}
