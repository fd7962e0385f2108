# shellcheck shell=bash
# shellcheck disable=SC2034  # used by the other files of the demo
# SPDX-License-Identifier: Apache-2.0
# How the demo tells its story: numbered steps with their times, assertions that say what was expected
# and what was found, and measured figures for the table at the end.

declare -a figures=()
step_number=0
step_count=0
step_title=''
chaos=''
demo_started=$EPOCHREALTIME

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}'; }
between() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", b - a}'; }  # seconds

# step TITLE: begins a numbered step.
step() {
  step_number=$((step_number + 1)) step_title=$1
  printf '\n[%6ss] %d/%d %s\n' "$(seconds_since "$demo_started")" "$step_number" "$step_count" "$1"
  if [ -n "$chaos" ]; then kill_controller & fi
}

# kill_controller: SIGKILL of the leader without notice, in the middle of the step.
kill_controller() {
  sleep 1.5
  kubectl -n longshore-system delete pod -l longshore.dev/leader=true \
    --grace-period=0 --force >/dev/null 2>&1
}

# tell TEXT...: one line of what happened. show: the same for the lines of standard input.
tell() { printf '          %s\n' "$*"; }
show() { sed 's/^/          | /'; }

# fail TEXT...: ends the demo, saying what failed and where to look.
fail() {
  printf '\nDEMO FAILED in step %d (%s): %s\n' "$step_number" "$step_title" "$*" >&2
  keep_evidence "$LONGSHORE_LOGS/failed-step" >&2 || true
  printf 'look: kubectl get longshore -A; kubectl -n longshore-system logs deployment/longshore-controller\n' >&2
  exit 1
}

# keep_evidence FOLDER: what there is and what everybody said, for whoever was not there; on the terminal, what the
# controller warned of last.
keep_evidence() {
  local folder=$1 pod
  rm -rf "$folder"
  mkdir -p "$folder"
  kubectl get longshore -A -o yaml >"$folder/resources.yaml" 2>&1
  kubectl get pods,nodes -A -o wide >"$folder/pods.txt" 2>&1
  kubectl get events -A --sort-by=.lastTimestamp >"$folder/events.txt" 2>&1
  kubectl -n longshore-system get leases -o yaml >"$folder/leases.yaml" 2>&1
  for pod in $(kubectl -n longshore-system get pods -o name); do
    kubectl -n longshore-system logs "$pod" --all-containers --tail=5000 >"$folder/${pod#pod/}.log" 2>&1
  done
  printf 'kept in %s; the last warnings of the controller:\n' "$folder"
  cat "$folder"/longshore-controller-*.log | grep -E '"level":"(warn|error)"' | tail -n 20
}

# expect WHAT FOUND WANTED: asserts equality.
expect() {
  [ "$2" = "$3" ] || fail "$1: expected '$3', found '$2'"
  tell "ok: $1 ($2)"
}

# within SECONDS WHAT COMMAND...: waits until the command succeeds; asks four times a second.
within() {
  local limit=$1 what=$2 start=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS - start < limit)) || fail "not within ${limit}s: $what"
    sleep 0.25
  done
}

# figure NAME VALUE UNIT: kept for the table at the end.
figure() { figures+=("$(printf '%-42s %12s %s' "$1" "$2" "$3")"); }

figures_table() {
  printf '\nmeasured in this run:\n'
  printf '  %s\n' "${figures[@]}"
}

# epoch RFC3339: seconds since 1970 with fraction.
epoch() { date -d "$1" +%s.%N; }
