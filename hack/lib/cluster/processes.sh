# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Daemons of the cluster as plain processes in sessions of their own, so that they outlive the shell
# that started them. A pid file holds the process id, its start time (ids are reused) and a hash of
# what it was started with.

# daemon NAME CONFIG COMMAND...: starts it unless it runs already with the same command line, binary
# and CONFIG (a file, or -); restarts it if those changed.
daemon() {
  local name=$1 config=$2 file=$LONGSHORE_CLUSTER/pid/$1 inputs pid
  shift 2
  inputs=$(_daemon_inputs "$config" "$@")
  if daemon_alive "$name"; then
    if [ "$(sed -n 3p "$file")" = "$inputs" ]; then return; fi
    say "$name: its configuration changed, restarting it"
    stop_daemon "$name"
  fi
  setsid nohup "$@" >>"$LONGSHORE_CLUSTER/log/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  printf '%s\n%s\n%s\n' "$pid" "$(_start_time "$pid")" "$inputs" >"$file"
}

# write_config PATH: its input, unless the file has that content; some daemons end when their file
# is touched.
write_config() {
  local new
  new=$(cat)
  [ "$new" = "$(cat "$1" 2>/dev/null)" ] || printf '%s\n' "$new" >"$1"
}

_daemon_inputs() {
  local config=$1 word
  shift
  {
    printf '%s\n' "$@"
    for word in "$@"; do [[ $word != "$LONGSHORE_BIN"/* ]] || readlink -f "$word"; done
    if [ "$config" != - ]; then cat "$config"; fi
  } | sha256sum | cut -c1-16
}

# When a process started, in clock ticks since boot (the 22nd field; the name in parentheses is cut
# off); nothing if it has ended.
_start_time() {
  local stat
  { read -r stat; } 2>/dev/null <"/proc/$1/stat" || return 0
  read -ra stat <<<"${stat##*) }"
  [ "${stat[0]}" = Z ] || echo "${stat[19]}"
}

# daemon_pid NAME: its process id if it is alive and still that process.
daemon_pid() {
  local pid started
  { read -r pid; read -r started; } 2>/dev/null <"$LONGSHORE_CLUSTER/pid/$1" || return 1
  [ -n "$started" ] && [ "$(_start_time "$pid")" = "$started" ] && echo "$pid"
}

daemon_alive() { daemon_pid "$1" >/dev/null; }

# stop_daemon NAME [SECONDS]: asks, and after that time insists; returns when it is gone. 0 is for
# what leaves nothing that is worth its saving.
stop_daemon() {
  local pid tries=$((${2:-10} * 10))
  if pid=$(daemon_pid "$1"); then
    if ((tries > 0)); then kill "$pid" 2>/dev/null || true; fi
    while ((tries-- > 0)) && daemon_alive "$1"; do sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
    while daemon_alive "$1"; do sleep 0.05; done
  fi
  rm -f "$LONGSHORE_CLUSTER/pid/$1"
}

# kill_all_daemons: when the data goes too, none needs time to put it in order.
kill_all_daemons() {
  local file
  for file in "$LONGSHORE_CLUSTER"/pid/*; do
    if [ -e "$file" ]; then stop_daemon "${file##*/}" 0 & fi
  done
  wait
}

# unmount_below FOLDER: the innermost first.
unmount_below() {
  local mount
  awk -v root="$1/" 'index($5, root) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while read -r mount; do umount -l "$mount" 2>/dev/null || true; done
}

# delete_later FOLDER: puts it out of sight at once, and deletes it (and what an interrupted
# deletion left) in the background: unpacked images are tens of thousands of files, which takes a
# busy disk many seconds.
delete_later() {
  if [ -e "$1" ]; then mv "$1" "$(mktemp -d "$LONGSHORE_STATE/.deleting.XXXXXX")"; fi
  setsid nice -n 10 find "$LONGSHORE_STATE" -maxdepth 1 -name '.deleting.*' -exec rm -rf {} + \
    >/dev/null 2>&1 </dev/null 9>&- &
}
