# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a person sees while scripts work: named stages with times, a heartbeat in long ones, the end
# of the log when one fails, and a table at the end of where the time went.
#
#   stages setup build test        the plan, so that each stage can say what is left
#   stage build                    begins a stage (and ends the one before)
#   logged ninja ninja -C build    runs a command with its output in a log file
#   stage_table                    ends the last stage; prints the table (the outermost script only)

LONGSHORE_DEPTH=$((${LONGSHORE_DEPTH:-0} + 1))   # a script in a script indents, and has no table
export LONGSHORE_DEPTH
_stage_plan=() _stage_names=() _stage_seconds=() _stage_name='' _stage_start=0
_log_indent=$(printf '%*s' $(((LONGSHORE_DEPTH - 1) * 4)) '')
_log_started=$SECONDS

# duration SECONDS: 5s, 2m05s, 1h02m
duration() {
  local s=$1
  if ((s >= 3600)); then printf '%dh%02dm' $((s / 3600)) $((s % 3600 / 60))
  elif ((s >= 60)); then printf '%dm%02ds' $((s / 60)) $((s % 60))
  else printf '%ds' "$s"; fi
}

# unneeded MESSAGE: what was found done already; of interest only to who asked for just that.
unneeded() { [ -n "${LONGSHORE_QUIET:-}" ] || say "$*"; }

say() { printf '%s    %s\n' "$_log_indent" "$*"; }

stages() { _stage_plan=("$@"); }

stage() {
  _stage_end
  _stage_name=$1 _stage_start=$SECONDS
  local -a left=()
  local name seen='' number=$((${#_stage_names[@]} + 1))
  for name in "${_stage_plan[@]}"; do
    if [ -n "$seen" ]; then left+=("$name"); fi
    if [ "$name" = "$1" ]; then seen=1; fi
  done
  printf '%s==> [%d/%d] %s  (%s so far%s)\n' "$_log_indent" "$number" \
    "$((number + ${#left[@]}))" "$1" "$(duration $((SECONDS - _log_started)))" \
    "${left[*]:+; left: ${left[*]}}"
}

_stage_end() {
  [ -n "$_stage_name" ] || return 0
  _stage_names+=("$_stage_name") _stage_seconds+=($((SECONDS - _stage_start)))
  _stage_name=''
}

stage_table() {
  _stage_end
  ((LONGSHORE_DEPTH == 1)) || return 0
  local i total=0
  printf '\n%-28s %9s\n' stage time
  for i in "${!_stage_names[@]}"; do
    printf '%-28s %9s\n' "${_stage_names[i]}" "$(duration "${_stage_seconds[i]}")"
    total=$((total + _stage_seconds[i]))
  done
  printf '%-28s %9s\n' total "$(duration $total)"
}

# logged NAME COMMAND...: output goes to $LONGSHORE_LOGS/NAME.log. Every 15 s a line says that it is
# still running, and how long it took the last time; on failure the log's tail is shown. Returns its
# status.
logged() {
  local name=$1 log=$LONGSHORE_LOGS/$1.log took=$LONGSHORE_CACHE/times/$1
  local start=$SECONDS status=0 pid heart=''
  shift
  mkdir -p "${log%/*}" "${took%/*}"
  set -m                                # a process group of its own, so that all of it can be ended
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  set +m
  trap 'kill -TERM -- "-$pid" "$heart" 2>/dev/null; trap - INT TERM; exit 130' INT TERM
  _heartbeat "$pid" "$name" "$took" &
  heart=$!
  wait "$pid" || status=$?
  trap - INT TERM
  kill "$heart" 2>/dev/null || true
  wait "$heart" 2>/dev/null || true
  if ((status == 0)); then
    echo $((SECONDS - start)) >"$took"
    ((SECONDS - start < 2)) || say "$name: done in $(duration $((SECONDS - start)))"
  else
    say "$name: FAILED with status $status after $(duration $((SECONDS - start))); the end of $log:"
    tail -n 25 "$log" | sed "s/^/$_log_indent    | /"
  fi
  return "$status"
}

_heartbeat() {
  local pid=$1 name=$2 took=$3 start=$SECONDS before=''
  trap 'kill "$nap" 2>/dev/null; exit 0' TERM
  if [ -s "$took" ]; then before=" of about $(duration "$(cat "$took")")"; fi
  while kill -0 "$pid" 2>/dev/null; do
    sleep 15 & local nap=$!
    wait "$nap"
    kill -0 "$pid" 2>/dev/null && say "$name: $(duration $((SECONDS - start)))$before ..."
  done
}
