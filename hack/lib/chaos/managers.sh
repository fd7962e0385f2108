# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154  # jq expands; hack/chaos and the demo's files define the rest
# SPDX-License-Identifier: Apache-2.0
# The storage managers of hack/chaos: two that ask for pods and have databases backed up, one that only
# listens and lists when it is told that it has missed something. What they see goes to $out.

note() { jq -nc "$@" >>"$out/managers.jsonl"; }   # lines are short: appending is atomic

# manage NAME: rounds of request, backups, end, until the time is over.
manage() {
  local round=0
  while ((SECONDS < until_time)); do
    round=$((round + 1))
    manage_round "chaos-$seed-$$-$1-$round" || note --arg k "$1-$round" '{round: $k, failed: true}'
  done
  : >"$out/done-$1"
}

manage_round() {
  local key=$1 request operation part
  request=$(longshore request orders --policy standard --pods 2 --max 3 --min 0 --up cpu=60% --down cpu=15% \
    --window 2 --idle 10 --idempotency-key "$key" -o name 2>>"$out/managers.err") || return 1
  request=${request##*/}
  note --arg k "$key" --arg r "$request" '{accepted: $r, key: $k, max: 3}'
  for part in "${databases[RANDOM % ${#databases[@]}]}" "${databases[RANDOM % ${#databases[@]}]}"; do
    operation=$(longshore backup orders --request "$request" --part "$part" --idempotency-key "$key-$RANDOM" \
      -o name 2>>"$out/managers.err") || return 1
    note --arg r "$request" --arg o "${operation##*/}" '{operation: $o, request: $r}'
  done
  ended "$request" || return 0   # the verdict finds it without an end
  longshore request delete "$request" >/dev/null 2>>"$out/managers.err" || return 1
  note --arg r "$request" '{ended: $r}'
}

# ended REQUEST: all its operations have, within ten minutes.
ended() {
  local from=$SECONDS open
  while ((SECONDS - from < 600)); do
    open=$(longshore operations --request "$1" -o json 2>>"$out/managers.err" |
      jq '[.items[] | select(.status.state as $s | ["Succeeded", "Failed", "Cancelled"] | index($s) | not)] | length') || open=1
    [ "${open:-1}" = 0 ] && return 0
    sleep 2
  done
  return 1
}

# listen: the announcements, each log from its beginning; whenever one begins, what there is is listed first.
listen() {
  local at
  while :; do
    at=$EPOCHREALTIME
    if longshore operations -o json >"$out/list.operations" 2>/dev/null && longshore pods -o json >"$out/list.pods" 2>/dev/null; then
      jq -nc --arg at "$at" --slurpfile o "$out/list.operations" --slurpfile p "$out/list.pods" \
        '{at: ($at | tonumber), listed: {operations: [$o[0].items[] | {name, state: .status.state}], pods: [$p[0].items[] | {name, state}]}}' >>"$out/told.jsonl"
      command longshore events --follow -o json >>"$out/told.jsonl" 2>>"$out/listen.err" || true
    fi
    sleep 0.3
  done
}

# watch_objects NAME KIND JQ-OBJECT: every change of ours, from the API server itself, to $out/NAME.jsonl.
watch_objects() {
  while :; do
    echo '{"again":true}' >>"$out/$1.jsonl"
    kubectl -n "$ns" get "$2" -w --output-watch-events -o json 2>/dev/null |
      jq -c --unbuffered "select(.object.kind != \"Status\") | {type, name: .object.metadata.name} + (.object | $3)" >>"$out/$1.jsonl" || true
    sleep 0.3
  done
}
watch_pods() {
  watch_objects pods pods 'select(.metadata.labels["longshore.dev/request"]) | {uid: .metadata.uid, phase: .status.phase,
    deletion: .metadata.deletionTimestamp, grace: (.metadata.deletionGracePeriodSeconds // 0),
    slot: .metadata.labels["longshore.dev/slot"], request: .metadata.labels["longshore.dev/request"]}'
}
watch_rows() {
  watch_objects rows backuppods '{state: (.status.state // "Planned"), reason: .status.reason, moved: .status.lastTransitionTime}'
}
watch_operations() {
  watch_objects operations operations '{state: (.status.state // "Queued"), attempt: (.status.attempt // 0), pod: .status.pod,
    started: .status.startTime, completed: .status.completionTime,
    reason: ((first(.status.conditions[]? | select(.type == "Succeeded")) | .reason) // "")}'
}

wait_for_managers() {
  local from=$SECONDS
  until [ -e "$out/done-one" ] && [ -e "$out/done-two" ]; do
    ((SECONDS - from < 900)) || { tell "the managers did not end"; return 0; }
    sleep 2
  done
}

# observe_end: what the objects say when all is over.
observe_end() {
  within 60 "the API server answers" kb get operations
  kb get operations,computerequests,backuppods,pods -o json >"$out/objects.json"
  kubectl -n longshore-system get lease longshore-controller -o json >"$out/lease.json"
}

# Each is the leader of a process group (hack/chaos), which ends with all that it has begun.
end_children() {
  local child
  for child in $(jobs -p); do
    kill -- "-$child" 2>/dev/null || true
  done
  wait 2>/dev/null || true
}
