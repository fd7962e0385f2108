# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154  # eval expands; other files of the demo define and use the rest
# SPDX-License-Identifier: Apache-2.0
# Bad input and faults, each provoked on the running demo world and asserted. Every step cleans up.

faults=(
  invalid_objects_name_the_field unknown_kind missing_secret wrong_password unreachable_repository
  malformed_input wrong_identity extender_down agent_down failing_dump killed_pod
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
end_request() { longshore request delete "$1" >/dev/null; }
operation_state() { longshore operations get "$1" -o json | jq -r .status.state; }
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
  r=$(new_request mainframe --pods 1 --max 1)
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
  r=$(new_request lost-secret --pods 1 --max 1)
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
  within 60 "SourceReady is False" eval \
    '[ "$(kb get backupsource wrong-password -o json | jq -r ".status.conditions[]? | select(.type == \"SourceReady\") | .status")" = False ]'
  kb get backupsource wrong-password -o json | jq -r '.status.conditions[] | "\(.type) \(.status) \(.reason): \(.message)"' | show
  expect "error class" "$(longshore operations --request "$r" -o json | jq -r '.items[0].status.error.class')" Authentication
  within 15 "the pod is Available again" eval '[ "$(longshore pods --request '"$r"' --state Available -o json | jq ".items | length")" = 1 ]'
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
  r=$(policy=nowhere new_request orders --pods 1 --max 1)
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
  kubectl -n longshore-system scale deployment/longshore-extender --replicas=1 >/dev/null
  kubectl -n longshore-system rollout status deployment/longshore-extender --timeout=60s >/dev/null
}

agent_down() {
  step "agents down: nothing shrinks, and a condition says so"
  local r
  r=$(new_request orders --pods 1 --max 2 --min 0 --up cpu=60% --down cpu=15% --idle 10)
  within 60 "one pod Available" eval '[ "$(longshore pods --request '"$r"' --state Available -o json | jq ".items | length")" = 1 ]'
  kubectl -n longshore-system patch daemonset longshore-nodeagent --type merge \
    -p '{"spec":{"template":{"spec":{"nodeSelector":{"longshore.dev/nowhere":"true"}}}}}' >/dev/null
  within 40 "ScalingActive is False" eval '[ "$(condition '"$r"' ScalingActive reason)" = SignalsMissing ]'
  tell "$(condition "$r" ScalingActive message)"
  sleep 15
  expect "pods after longer than the idle time" "$(longshore pods --request "$r" --state Available -o json | jq '.items | length')" 1
  kubectl -n longshore-system patch daemonset longshore-nodeagent --type merge \
    -p '{"spec":{"template":{"spec":{"nodeSelector":{"longshore.dev/nowhere":null}}}}}' >/dev/null
  kubectl -n longshore-system rollout status daemonset/longshore-nodeagent --timeout=60s >/dev/null
  within 60 "it shrinks again once the agents are back" eval '[ "$(longshore pods --request '"$r"' --state Available -o json | jq ".items | length")" = 0 ]'
  tell "ok: deconstructed once the agents were back"
  end_request "$r"
}

failing_dump() {
  step "a dump that fails half-way makes no copy"
  local r before id
  r=$(new_request orders --pods 1 --max 1)
  before=$(snapshots)
  id=$(longshore backup orders --request "$r" --part media -o name | head -1 | sed 's#.*/##')
  # One attempt: a broken connection is worth a retry, which would succeed.
  kb patch operation "$id" --type merge -p '{"spec":{"maxAttempts":1}}' >/dev/null
  within 60 "the dump runs" eval \
    '[ "$(longshore operations get '"$id"' -o json | jq ".status.progress.bytesDone > 20000000")" = true ]'
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
  r=$(new_request orders --pods 2 --max 2)
  within 60 "two pods Available" eval '[ "$(longshore pods --request '"$r"' --state Available -o json | jq ".items | length")" = 2 ]'
  id=$(longshore backup orders --request "$r" --part events -o name | head -1 | sed 's#.*/##')
  within 60 "the dump runs" eval \
    '[ "$(longshore operations get '"$id"' -o json | jq ".status.progress.bytesDone > 20000000")" = true ]'
  pod=$(longshore operations get "$id" -o json | jq -r .status.pod)
  kb delete pod "$pod" --grace-period=0 --force >/dev/null 2>&1
  within 180 "the operation succeeds" eval '[ "$(operation_state '"$id"')" = Succeeded ]'
  expect "attempt" "$(longshore operations get "$id" -o json | jq -r .status.attempt)" 2
  [ "$(longshore operations get "$id" -o json | jq -r .status.pod)" != "$pod" ] || fail "the same pod was used again"
  tell "ok: first $pod, then $(longshore operations get "$id" -o json | jq -r .status.pod)"
  expect "copies of the operation" "$(longshore copies --source orders -o json | jq --arg o "$id" '[.items[] | select(.operation == $o)] | length')" 1
  end_request "$r"
}
