# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# hack/cluster status: each process and each node, as a table or as JSON; fails unless all of them
# are well.

status() {
  local json
  json=$(_status_json)
  case $1 in
    json) printf '%s\n' "$json" ;;
    table) _status_table "$json" ;;
    *) die "-o $1: json or table" ;;
  esac
  jq -e .healthy >/dev/null <<<"$json"
}

_status_json() {
  local file name pid rss nodes='{"items":[]}' api=false
  if [ -s "$LONGSHORE_KUBECONFIG" ] && api_is_ready; then
    api=true
    nodes=$(kube get nodes -o json)
  fi
  for file in "$LONGSHORE_CLUSTER"/pid/*; do
    [ -e "$file" ] || continue
    name=${file##*/}
    pid=$(daemon_pid "$name") || pid=0
    rss=0
    if ((pid > 0)); then rss=$(awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$pid/status"); fi
    printf '%s %s %s\n' "$name" "$pid" "$rss"
  done | jq -R -s --argjson nodes "$nodes" --argjson api "$api" --argjson wanted "$(node_count)" \
    --arg kubeconfig "$LONGSHORE_KUBECONFIG" '
    [split("\n")[] | select(. != "") | split(" ")
     | {name: .[0], pid: (.[1] | tonumber), alive: (.[1] != "0"), rssBytes: (.[2] | tonumber)}] as $processes
    | [$nodes.items[] | {name: .metadata.name, zone: .metadata.labels["topology.kubernetes.io/zone"],
        rack: .metadata.labels["topology.longshore.dev/rack"],
        ip: ([.status.addresses[] | select(.type == "InternalIP") | .address] | first),
        ready: any(.status.conditions[]; .type == "Ready" and .status == "True")}] as $ready
    | {healthy: ($api and ($processes | length > 0 and all(.alive))
                 and ([$ready[] | select(.ready)] | length == $wanted)),
       apiReady: $api, kubeconfig: $kubeconfig, nodes: $ready, processes: $processes}'
}

_status_table() {
  if [ "$(jq '.processes | length' <<<"$1")" = 0 ]; then
    echo "no cluster: hack/cluster up makes one"
    return
  fi
  jq -r '
    (["PROCESS", "PID", "MEMORY"], (.processes[] | [.name, if .alive then .pid else "dead" end,
      "\(.rssBytes / 1048576 | floor) MiB"])) | @tsv' <<<"$1" | column -t -s $'\t'
  echo
  jq -r '(["NODE", "ADDRESS", "ZONE", "RACK", "READY"], (.nodes[] | [.name, .ip, .zone, .rack, .ready])) | @tsv' \
    <<<"$1" | column -t -s $'\t'
  echo
  jq -r '"healthy: \(.healthy)   KUBECONFIG=\(.kubeconfig)"' <<<"$1"
}
