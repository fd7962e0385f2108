# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154  # eval expands; other files of the demo define the rest
# SPDX-License-Identifier: Apache-2.0
# The faults of faults.sh that end or stop the leading controller, and how hack/chaos finds it and its process.

# The replica of the controller that leads: the name of its Pod, and the process in it.
leader_pod() { kubectl -n longshore-system get pod -l longshore.dev/leader=true -o jsonpath='{.items[*].metadata.name}'; }
process_of() { # POD [COMM]: the process of that name in it, the controller's unless said
  local uid
  uid=$(kubectl -n longshore-system get pod "$1" -o jsonpath='{.metadata.uid}')
  find /sys/fs/cgroup -path "*$uid*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u |
    while read -r pid; do if grep -qx "${2:-longshore-contr}" "/proc/$pid/comm" 2>/dev/null; then echo "$pid"; fi; done
}
lease_holder() { kubectl -n longshore-system get lease longshore-controller -o jsonpath='{.spec.holderIdentity}'; }
pods_of() { kb get backuppods -l longshore.dev/request="$1" -o json | jq -c '[.items[] | {name: .metadata.name, state: .status.state}]'; }
withdrawals() { longshore events -o json | jq '[.events[] | select(.type == "PodsWithdrawn")] | length'; }  # since the leader leads

leader_dies() {
  step "the leading controller is killed: the other leads within seconds, and a running operation goes on"
  local r id leader holder pid from
  half_a_dump 2 events
  leader=$(leader_pod) holder=$(lease_holder) pid=$(process_of "$leader")
  [ -n "$pid" ] || fail "no process of $leader"
  from=$EPOCHREALTIME
  kill -KILL "$pid"
  within 15 "another holds the lease" eval '[ "$(lease_holder)" != '"$holder"' ]'
  local taken
  taken=$(between "$from" "$EPOCHREALTIME")
  figure leader_killed_to_lease_taken "$taken" s
  awk -v taken="$taken" 'BEGIN {exit taken > 5}' || fail "another leads after $taken s, not within 5"
  within 15 "the API answers" longshore pods --request "$r"
  figure leader_killed_to_api_answers "$(between "$from" "$EPOCHREALTIME")" s
  tell "was $leader, is $(leader_pod)"
  within 120 "the operation succeeds" eval '[ "$(operation_state '"$id"')" = Succeeded ]'
  expect "attempt" "$(longshore operations get "$id" -o json | jq -r .status.attempt)" 1
  expect "withdrawals by the new leader" "$(withdrawals)" 0
  expect "pods of the request" "$(kb get pods -l longshore.dev/request="$r" --no-headers | wc -l)" 2
  expect "rows Available" "$(pods_of "$r" | jq '[.[] | select(.state == "Available")] | length')" 2
  end_request "$r"
}

two_leaders() {
  step "a leader that sleeps longer than its lease finds another in its place, and harms nothing"
  local r leader pid holder
  leader=$(leader_pod) holder=$(lease_holder) pid=$(process_of "$leader")
  r=$(new_request orders --pods 2 --max 2)
  kill -STOP "$pid"   # with the request's pods half made
  within 20 "another holds the lease" eval '[ "$(lease_holder)" != '"$holder"' ]'
  within 15 "the other carries the label, alone" eval '[ -n "$(leader_pod)" ] && [ "$(leader_pod)" != '"$leader"' ]'
  await_available "$r" 2
  holder=$(lease_holder)
  kill -CONT "$pid"
  within 15 "the sleeper ends" eval '! kill -0 '"$pid"
  sleep 5
  expect "the lease stays with" "$(lease_holder)" "$holder"
  expect "pods of the request" "$(kb get pods -l longshore.dev/request="$r" --no-headers | wc -l)" 2
  expect "rows Available" "$(pods_of "$r" | jq '[.[] | select(.state == "Available")] | length')" 2
  end_request "$r"
}
