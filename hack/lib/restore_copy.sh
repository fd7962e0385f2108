#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs where there is nothing of Longshore (hack/restore-outside): restores a copy and compares it.
#
# usage: restore_copy.sh FOLDER COPY [RECORD]
#
# FOLDER holds repository, password, ca.crt; RECORD is the snapshot of the copy's record, needed
# where the repository has several that differ.
set -euo pipefail
folder=$1 copy=$2 chosen=${3:-}
stock_restic() {
  restic --repository-file "$folder/repository" --password-file "$folder/password" \
    --cacert "$folder/ca.crt" --no-cache --no-lock --quiet "$@"
}

# --- the record: what the copy must contain ---------------------------------------------------
# Whoever may write to the repository can write one under any copy's id: none is chosen.
if [ -z "$chosen" ]; then
  chosen=$(stock_restic snapshots --json --tag "longshore,record,copy=$copy" | jq -er '.[].id') ||
    { echo "no record of copy $copy in the repository"; exit 1; }
fi
rm -f "$folder/record.json"
for snapshot in $chosen; do
  stock_restic dump -- "$snapshot" /record.json >"$folder/found.json"
  [ -e "$folder/record.json" ] || cp "$folder/found.json" "$folder/record.json"
  cmp -s "$folder/found.json" "$folder/record.json" ||
    { echo "records of copy $copy that differ; say which one it is: ${chosen//$'\n'/ }"; exit 1; }
done
record() { jq -er "$@" "$folder/record.json"; }
[ "$(record .copyID)" = "$copy" ] || { echo "the record is that of copy $(record .copyID)"; exit 1; }
[ "$(jq -cSj .manifest "$folder/record.json" | sha256sum | cut -d' ' -f1)" = "$(record .manifestDigest)" ] ||
  { echo "the record's manifest does not agree with its digest"; exit 1; }
[[ $(record .dataSnapshot) =~ ^[0-9a-f]{64}$ && $(record .dataPath) == /* ]] ||
  { echo "the record names no data"; exit 1; }
echo "copy $copy: database $(record .part) of $(record .source), $(record .sourceVersion), taken $(record .time)"

# --- a server of its own, on a socket only -----------------------------------------------------
data=$folder/data
install -d -o postgres -g postgres -m 700 "$data"
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
as_postgres initdb -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
as_postgres pg_ctl -D "$data" -s -w -l "$data/log" -o "-c listen_addresses='' -c unix_socket_directories='$data' -c fsync=off" start
trap 'as_postgres pg_ctl -D "$data" -s -m immediate stop || true' EXIT
sql() { psql -X -q -v ON_ERROR_STOP=1 -h "$data" -U postgres -tA "$@"; }

# --- restore -----------------------------------------------------------------------------------
record '.manifest.database | [.owner] + (.roles // []) | unique | .[]' | while read -r role; do
  [ "$role" = postgres ] || sql -v role="$role" <<<'CREATE ROLE :"role";'
done
sql -v owner="$(record .manifest.database.owner)" -v encoding="$(record .manifest.database.encoding)" \
  <<<'CREATE DATABASE restored OWNER :"owner" TEMPLATE template0 ENCODING :'"'encoding'"';'
stock_restic dump -- "$(record .dataSnapshot)" "$(record .dataPath)" |
  pg_restore --exit-on-error -h "$data" -U postgres -d restored
echo "restored $(sql -d restored -c 'SELECT pg_size_pretty(pg_database_size(current_database()))')"

# --- compare -----------------------------------------------------------------------------------
# The row's text under fixed settings, hashed with two seeds; each hash summed over all rows.
settings="SET search_path = ''; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';
SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET xmlbinary = 'base64';"
tables=0 rows=0
while read -r table; do
  name=$(jq -r .name <<<"$table")
  found=$(sql -d restored <<<"$settings
    SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t, 0)), 0)
      || ' ' || coalesce(sum(hashtextextended(t, 1)), 0)
    FROM (SELECT (r.*)::text AS t FROM ONLY $name AS r OFFSET 0) AS rows;")
  wanted=$(jq -r '"\(.rows) \(.lane1) \(.lane2)"' <<<"$table")
  [ "$found" = "$wanted" ] || { echo "$name differs: recorded $wanted, found $found"; exit 1; }
  tables=$((tables + 1)) rows=$((rows + ${found%% *}))
done < <(record -c '.manifest.tables[]')
((tables > 0)) || { echo "the manifest names no table"; exit 1; }
echo "equal to the manifest: $tables tables, $rows rows, every content hash"
