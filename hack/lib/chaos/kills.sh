# shellcheck shell=bash
# shellcheck disable=SC2154  # hack/chaos and the demo's files define the rest
# SPDX-License-Identifier: Apache-2.0
# What hack/chaos kills. Each kill is SIGKILL without notice, and a line of $out/kills.jsonl.

kills=(leader leader leader extender extender agent agent backup_pod backup_pod backup_pod scheduler kubelet apiserver)

# killed KIND TARGET NOTES DEAD-CONDITION...: writes it down once the condition says that it is dead; NOTES: a JSON object.
killed() {
  local kind=$1 target=$2 notes=$3 dead=false i
  shift 3
  for ((i = 0; i < 50; i++)); do
    if "$@" >/dev/null 2>&1; then dead=true; break; fi
    sleep 0.1
  done
  jq -nc --arg k "$kind" --arg t "$target" --argjson d "$dead" --argjson n "$notes" \
    '{time: now, kind: $k, target: $t, dead: $d} + $n' >>"$out/kills.jsonl"
  tell "killed $kind $target $notes"
}
ended_process() { [ -z "$(_start_time "$1")" ]; }   # also while it waits for its parent
ended_pod() {
  local uid
  uid=$(kb get pod "$1" --ignore-not-found -o jsonpath='{.metadata.uid}') && [ "$uid" != "$2" ]
}

# a_pod LABELS NUMBER: the name of one running Pod of ours with them, by the number: a subshell has a RANDOM of its own,
# which the seed does not decide.
a_pod() {
  local -a names
  read -ra names < <(kubectl -n longshore-system get pod -l "$1" --field-selector status.phase=Running \
    -o jsonpath='{.items[*].metadata.name}' 2>/dev/null)
  ((${#names[@]})) && echo "${names[$2 % ${#names[@]}]}"
}

# kill_process KIND LABELS COMM: the daemon's process, in one of the Pods.
kill_process() {
  local pod pid pick=$RANDOM
  pod=$(a_pod "$2" "$pick") && pid=$(process_of "$pod" "$3") && [ -n "$pid" ] || return 0
  kill -KILL "$pid" && killed "$1" "$pod" '{}' ended_process "$pid"
}

# The one that leads now: who has been killed just before leads by its label only, until another does.
kill_leader() {
  local lease pod pid pick=$RANDOM
  lease=$(kubectl -n longshore-system get lease longshore-controller -o json 2>/dev/null |
    jq -c '.spec | select(now - (.renewTime | sub("\\.[0-9]+"; "") | fromdate) < 3)
      | {term: (.leaseTransitions // 0), holder: .holderIdentity}') && [ -n "$lease" ] || return 0
  pod=$(a_pod longshore.dev/leader=true "$pick") && pid=$(process_of "$pod") && [ -n "$pid" ] || return 0
  [[ $(jq -r .holder <<<"$lease") == "${pod}_"* ]] || return 0
  kill -KILL "$pid" && killed leader "$pod" "$(jq -c '{term}' <<<"$lease")" ended_process "$pid"
}
kill_extender() { kill_process extender app.kubernetes.io/name=longshore-extender longshore-exten; }
kill_agent() { kill_process agent app.kubernetes.io/name=longshore-nodeagent longshore-nodea; }
kill_scheduler() { kill_process scheduler app.kubernetes.io/name=longshore-scheduler kube-scheduler; }

kill_backup_pod() {
  local -a rows
  local name uid pick=$RANDOM
  mapfile -t rows < <(kb get backuppods -o json 2>/dev/null |
    jq -r '.items[] | select(.status.state == "Available" or .status.state == "Assigned") | .metadata.name')
  ((${#rows[@]})) || return 0
  name=${rows[pick % ${#rows[@]}]}
  uid=$(kb get pod "$name" -o jsonpath='{.metadata.uid}' 2>/dev/null) || return 0
  kb delete pod "$name" --grace-period=0 --force >/dev/null 2>&1 && killed backup_pod "$name" '{}' ended_pod "$name" "$uid"
}

# A daemon of the cluster is started again, as a supervisor would do it.
kill_daemon() {
  local pid
  pid=$(daemon_pid "$2") || return 0
  kill -KILL "$pid" && killed "$1" "$2" '{}' ended_process "$pid"
  hack/cluster up >"$out/cluster-up.log" 2>&1 || fail "the cluster did not come back: $out/cluster-up.log"
}
kill_kubelet() { kill_daemon kubelet "kubelet-$((RANDOM % 3 + 1))"; }
kill_apiserver() { kill_daemon apiserver kube-apiserver; }

kill_until_time() {
  while ((SECONDS < until_time)); do
    sleep $((RANDOM % 9 + 4))
    "kill_${kills[RANDOM % ${#kills[@]}]}" || true
  done
}
