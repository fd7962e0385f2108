# shellcheck shell=bash
# shellcheck disable=SC2154  # hack/chaos and the demo's files define the rest
# SPDX-License-Identifier: Apache-2.0
# What hack/chaos kills. Each kill is SIGKILL without notice, and a line of $out/kills.jsonl.

kills=(leader leader leader extender extender agent agent backup_pod backup_pod backup_pod scheduler kubelet apiserver)

# killed KIND TARGET [BUSY]
killed() {
  jq -nc --arg k "$1" --arg t "$2" --argjson b "${3:-false}" '{time: now, kind: $k, target: $t, busy: $b}' >>"$out/kills.jsonl"
  tell "killed $1 $2${3:+ (busy: $3)}"
}

# a_pod LABELS: the name of one running Pod of ours with them.
a_pod() {
  local -a names
  read -ra names < <(kubectl -n longshore-system get pod -l "$1" --field-selector status.phase=Running \
    -o jsonpath='{.items[*].metadata.name}' 2>/dev/null)
  ((${#names[@]})) && echo "${names[RANDOM % ${#names[@]}]}"
}

# kill_process KIND LABELS COMM: the daemon's process, in one of the Pods.
kill_process() {
  local pod pid
  pod=$(a_pod "$2") && pid=$(process_of "$pod" "$3") && [ -n "$pid" ] || return 0
  kill -KILL "$pid" && killed "$1" "$pod"
}

kill_leader() { kill_process leader longshore.dev/leader=true longshore-contr; }
kill_extender() { kill_process extender app.kubernetes.io/name=longshore-extender longshore-exten; }
kill_agent() { kill_process agent app.kubernetes.io/name=longshore-nodeagent longshore-nodea; }
kill_scheduler() { kill_process scheduler app.kubernetes.io/name=longshore-scheduler kube-scheduler; }

# Whether it was busy is known before the kill: only then may an operation of it begin anew.
kill_backup_pod() {
  local -a rows
  local name busy
  mapfile -t rows < <(kb get backuppods -o json 2>/dev/null |
    jq -r '.items[] | select(.status.state == "Available" or .status.state == "Assigned") | .metadata.name')
  ((${#rows[@]})) || return 0
  name=${rows[RANDOM % ${#rows[@]}]}
  busy=$(kb get backuppod "$name" -o json 2>/dev/null | jq '.status.state == "Assigned"') || return 0
  kb delete pod "$name" --grace-period=0 --force >/dev/null 2>&1 && killed backup_pod "$name" "$busy"
}

# A daemon of the cluster is started again, as a supervisor would do it.
kill_daemon() {
  local pid
  pid=$(daemon_pid "$2") || return 0
  kill -KILL "$pid" && killed "$1" "$2"
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
