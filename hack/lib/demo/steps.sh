# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154  # eval expands; other files of the demo define and use the rest
# SPDX-License-Identifier: Apache-2.0
# The steps of the demo, in order. Each asserts what it tells. The CLI `longshore` plays the storage
# manager: what it is told comes from the API's event stream only.

story=(
  pods_on_request beside_the_data told_and_explained operations_assigned grows_under_load
  progress_is_shown copies_are_listed shrinks_when_idle restore_elsewhere restore_outside
)
ns=longshore-backup
kb() { kubectl -n "$ns" "$@"; }

# forget_earlier_runs: requests of an earlier run end; copies stay in the repository.
forget_earlier_runs() {
  kb delete computerequests --all --wait=true --timeout=120s >/dev/null
  kb delete operations --all --wait=true --timeout=60s >/dev/null
  local database
  for database in "${databases[@]}"; do
    echo "DROP DATABASE IF EXISTS $database WITH (FORCE);" | sql orders-restored postgres
  done
}

# longshore ARGS...: as a storage manager calls it, again while the API is away (exit status 5). Calls that
# make something carry a key, so that doing them again makes nothing twice.
longshore() {
  local status try
  for try in {1..60}; do
    status=0
    command longshore "$@" || status=$?
    [ "$status" = 5 ] || return "$status"
    sleep 0.5
  done
  return "$status"
}
run_key=demo-$(date +%s)

request_status() { kb get computerequest "$request" -o json | jq -r "$1"; }
available() { longshore pods --request "$request" --state Available -o json | jq '.items | length'; }
# follow_events: the storage manager listens for as long as the demo runs. When the controller restarts
# it begins a new log, and the manager listens to that from its beginning.
follow_events() {
  : >"$demo/events.jsonl"
  while :; do
    longshore events --follow -o json >>"$demo/events.jsonl" 2>/dev/null || sleep 0.3
  done &
  follower=$!
  trap 'pkill -P "$follower" 2>/dev/null || true; kill "$follower" 2>/dev/null || true' EXIT
}

# announced TYPE [JQ-CONDITION]: the first announcement of that kind about the request.
announced() {
  jq -nce --arg t "$1" --arg r "$request" \
    "first(inputs | select(.type == \$t and .request == \$r and (${2:-true})))" "$demo/events.jsonl" 2>/dev/null
}

# told SECONDS TYPE CONDITION COMMAND: waits for the announcement. Only where the controller is killed
# on purpose may what it announced be lost with it: the manager then lists, which COMMAND stands for.
told() {
  local from=$SECONDS
  until announced "$2" "$3" >/dev/null; do
    if [ -n "$chaos" ] && eval "$4" >/dev/null 2>&1; then
      tell "$2 was lost with a killed controller; the list says it"
      return
    fi
    ((SECONDS - from < $1)) || fail "not announced within $1s: $2 where $3"
    sleep 0.25
  done
  tell "announced: $(announced "$2" "$3" | jq -c '{event: .type} + .data')"
}

pods_on_request() {
  step "the storage manager requests 2 pods, at most 4, for source orders"
  follow_events
  transactions_before=$(transactions)
  local asked=$EPOCHREALTIME
  request=$(longshore request orders --policy standard --pods 2 --max 4 --min 0 --up cpu=60% --down cpu=15% \
    --window 2 --idle 15 --idempotency-key "$run_key" -o name) || fail "the request was refused"
  request=${request##*/}
  within 60 "two pods Available" eval '[ "$(available)" = 2 ]'
  figure request_to_two_pods_available "$(between "$asked" "$EPOCHREALTIME")" s
  longshore pods --request "$request" | show
  expect "image chosen" "$(request_status .status.image.name)" postgresql-17
  tell "because: $(request_status .status.image.reason)"
}

beside_the_data() {
  step "both run on the node that holds the data"
  local where
  where=$(kubectl -n db get pod orders-0 -o jsonpath='{.spec.nodeName}')
  expect "nodes of the pods" \
    "$(longshore pods --request "$request" -o json | jq -r '[.items[].node] | unique | join(",")')" "$where"
  expect "tier reached" \
    "$(longshore pods --request "$request" -o json | jq -r '[.items[].tier] | unique | join(",")')" Node
}

verdict_known() {
  longshore explain "$1" -o json | jq -e '[.verdicts[] | select(.nodes | length > 0)] | length > 0'
}

told_and_explained() {
  step "the storage manager is told, and explain says why there"
  told 10 PodsAvailable '.data.cause == "Requested"' '[ "$(available)" -ge 1 ]'
  local pod
  pod=$(longshore pods --request "$request" -o json | jq -r '.items[0].name')
  # A leader that has just started is told again when the extender has connected to it.
  within 30 "the extender's verdict is on record" verdict_known "$pod"
  longshore explain "$pod" | show
  tell "ok: the extender's verdict is on record"
}

operations_assigned() {
  step "one operation per database is queued, and assigned to the pods"
  started=$EPOCHREALTIME
  longshore backup orders --request "$request" --all-parts --idempotency-key "$run_key" -o json >"$demo/operations.json" ||
    fail "the operations were refused"
  expect "operations" "$(jq '.items | length' "$demo/operations.json")" "${#databases[@]}"
  within 15 "two operations assigned" eval \
    '[ "$(longshore operations --request "$request" -o json | jq "[.items[] | select(.spec.type == \"Backup\" and (.status.pod // \"\") != \"\")] | length")" -ge 2 ]'
  longshore operations --request "$request" | show
}

grows_under_load() {
  step "usage crosses the threshold: more pods are provisioned, announced and given work"
  local more=kb\ get\ backuppods\ -l\ longshore.dev/request="$request"
  more+=' -o json | jq -e "[.items[] | select(.spec.cause == \"ThresholdExceeded\" and (.status.lease.operation // \"\") != \"\")] | length > 0"'
  told 60 ScalingDecided '.data.cause == "ThresholdExceeded"' "$more"
  told 60 PodsAvailable '.data.cause == "ThresholdExceeded"' "$more"
  local event decision pod
  decision=$(announced ScalingDecided '.data.cause == "ThresholdExceeded"') || decision=''
  event=$(announced PodsAvailable '.data.cause == "ThresholdExceeded"') || event=''
  if [ -n "$decision" ] && [ -n "$event" ]; then
    local crossing
    crossing=$(epoch "$(jq -r .data.crossingTime <<<"$decision")")
    figure crossing_to_decision "$(between "$crossing" "$(epoch "$(jq -r .time <<<"$decision")")")" s
    figure crossing_to_additional_pod_announced "$(between "$crossing" "$(epoch "$(jq -r .time <<<"$event")")")" s
    pod=$(jq -r '.data.pods[0]' <<<"$event")
    told 60 OperationStarted ".data.pod == \"$pod\"" "$more"
  fi
  longshore pods --request "$request" | show
}

progress_is_shown() {
  step "progress with rate and ETA until all are done"
  local line ids
  mapfile -t ids < <(jq -r '.items[].name' "$demo/operations.json")
  saw_rate=''
  while :; do
    # The request also carries the source's own Check, which counts for nothing here.
    line=$(longshore operations --request "$request" -o json | jq -c '.items |= map(select(.spec.type == "Backup"))')
    jq -r '.items[] | select(.status.state == "Running") | "\(.spec.part): \(.status.progress.phase) \((.status.progress.bytesDone / 1048576) | floor) MiB of \((.status.progress.bytesTotal / 1048576) | floor), \((.status.progress.bytesPerSecond / 1048576) | floor) MiB/s, \(if .status.progress.etaSeconds < 0 then "time left not known yet" else "\(.status.progress.etaSeconds) s left" end)"' <<<"$line" | show
    if jq -e '[.items[] | select(.status.progress.bytesPerSecond > 0 and .status.progress.etaSeconds >= 0)] | length > 0' <<<"$line" >/dev/null; then saw_rate=1; fi
    [ "$(jq '[.items[] | select(.status.state == "Succeeded" or .status.state == "Failed" or .status.state == "Cancelled")] | length' <<<"$line")" -lt "${#ids[@]}" ] || break
    ((${EPOCHREALTIME%.*} - ${started%.*} < 600)) || fail "the backups are not done after 10 minutes"
    sleep 3
  done
  expect "states" "$(jq -r '[.items[].status.state] | unique | join(",")' <<<"$line")" Succeeded
  expect "a rate and an ETA were seen" "${saw_rate:-0}" 1
  local bytes
  bytes=$(jq '[.items[] | .status.copy.bytes // 0] | add' <<<"$line")
  figure backup_bytes "$((bytes / 1048576))" MiB
  figure backup_wall_time "$(between "$started" "$EPOCHREALTIME")" s
  figure backup_rate "$(awk -v b="$bytes" -v s="$(between "$started" "$EPOCHREALTIME")" 'BEGIN {printf "%.1f", b / s / 1048576}')" MiB/s
}

copies_are_listed() {
  step "the copies are listed"
  longshore copies --source orders | show
  longshore copies --source orders -o json >"$demo/copies.json"
  local database
  for database in "${databases[@]}"; do
    jq -e --arg d "$database" '[.items[] | select(.part == $d)] | length > 0' "$demo/copies.json" >/dev/null ||
      fail "no copy of $database is listed"
  done
  tell "ok: a copy of each of ${databases[*]}"
}

shrinks_when_idle() {
  step "usage stays under the threshold: the pods are deconstructed, with the samples that decided"
  within 90 "all pods deconstructed" eval '[ "$(kb get pods -l longshore.dev/request="$request" --no-headers 2>/dev/null | wc -l)" = 0 ]'
  told 10 PodsWithdrawn true true
  told 10 PodDeconstructed true true
  kb get backuppods -l longshore.dev/request="$request" -o json |
    jq -r '.items[] | "\(.metadata.name) \(.status.state): \(.status.reason): \([.status.decisionInputs[]? | "\(.signal) \(.value) under \(.threshold) in \(.samples) samples"] | join(", "))"' | show
  expect "rows that keep their samples" \
    "$(kb get backuppods -l longshore.dev/request="$request" -o json |
      jq '[.items[] | select(.status.state == "Deconstructed" and (.status.decisionInputs // [] | length) > 0)] | length >= 2')" true
}

restore_elsewhere() {
  step "one database is restored into an empty PostgreSQL on another node, under load throughout"
  local copy from=$EPOCHREALTIME to_request
  copy=$(jq -r '[.items[] | select(.part == "ledger")][0].id' "$demo/copies.json")
  to_request=$(longshore request orders-restored --policy standard --purpose Restore --pods 1 --max 1 \
    --idempotency-key "$run_key-restored" -o name)
  longshore restore "$copy" --to orders-restored --request "${to_request##*/}" --wait \
    --idempotency-key "$run_key-restore" 2>&1 | show
  local operation
  operation=$(longshore operations --request "${to_request##*/}" -o json | jq -c '[.items[] | select(.spec.type == "Restore")][0]')
  expect "restore" "$(jq -r .status.state <<<"$operation")" Succeeded
  tell "compared with the manifest: $(jq -r '.status.copy | "\(.items) tables, \(.rows) rows, manifest \(.manifestDigest)"' <<<"$operation")"
  expect "node of the restoring pod" "$(jq -r .status.node <<<"$operation")" \
    "$(kubectl -n db get pod orders-restored-0 -o jsonpath='{.spec.nodeName}')"
  expect "rows counted by hand" "$(sql orders-restored ledger -c 'SELECT count(*) FROM item')" $((database_mib * 1000))
  figure restore_and_compare "$(between "$from" "$EPOCHREALTIME")" s
  expect "the load went on" "$(($(transactions) > transactions_before))" 1
  longshore request delete "${to_request##*/}" >/dev/null
  longshore request delete "$request" >/dev/null
}

restore_outside() {
  if [ -n "$disaster" ]; then
    step "the cluster is gone; another copy is restored with stock tools alone"
    hack/cluster down >/dev/null
  else
    step "another copy is restored outside the cluster, with stock tools alone"
  fi
  local copy from=$EPOCHREALTIME
  copy=$(jq -r '[.items[] | select(.part == "shop")][0].id' "$demo/copies.json")
  write_repository_url
  env -u KUBECONFIG -u LONGSHORE_SERVER hack/restore-outside --repository-file "$demo/secrets/repository-url" \
    --password-file "$demo/escrow/repository-key" --cacert "$demo/pki/ca.crt" --copy "$copy" 2>&1 | show
  figure restore_outside "$(between "$from" "$EPOCHREALTIME")" s
}
