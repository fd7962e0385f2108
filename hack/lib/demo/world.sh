# shellcheck shell=bash
# shellcheck disable=SC2034  # used by the other files of the demo
# SPDX-License-Identifier: Apache-2.0
# The demo's world: secrets, a repository outside the cluster, a PostgreSQL with data and load on
# node-2, an empty one on node-3, and the objects that connect them.

demo=$LONGSHORE_STATE/demo
databases=(shop ledger events media)
database_mib=${LONGSHORE_DEMO_DATABASE_MIB:-300}

# new_secret_file FILE: 32 random characters, kept between runs.
new_secret_file() {
  [ -s "$1" ] || (umask 077 && head -c 24 /dev/urandom | base64 | tr -d '\n/+=' >"$1")
}

# certificate NAME SAN: signed by the demo's own CA (PostgreSQL and rest-server are not Longshore's).
certificate() {
  [ -s "$demo/pki/$1.crt" ] && return
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
    -keyout "$demo/pki/$1.key" -out "$demo/pki/$1.csr" 2>/dev/null
  openssl x509 -req -in "$demo/pki/$1.csr" -CA "$demo/pki/ca.crt" -CAkey "$demo/pki/ca.key" \
    -CAcreateserial -days 365 -out "$demo/pki/$1.crt" 2>/dev/null \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$2")
}

make_secrets() {
  mkdir -p "$demo"/{pki,secrets,escrow,tokens}
  chmod 700 "$demo/secrets" "$demo/escrow" "$demo/tokens"
  if [ ! -s "$demo/pki/ca.crt" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
      -subj /CN=demo-ca -keyout "$demo/pki/ca.key" -out "$demo/pki/ca.crt" 2>/dev/null
  fi
  local host='.db.svc.cluster.local'
  certificate postgresql "DNS:orders$host,DNS:orders-restored$host,DNS:localhost"
  certificate repository "IP:10.250.0.1,DNS:localhost,IP:127.0.0.1"
  local name
  for name in superuser app backup restore repository-login repository-key; do
    new_secret_file "$demo/secrets/$name"
  done
  cp "$demo/secrets/repository-key" "$demo/escrow/repository-key"
  printf '*:*:*:app:%s\n' "$(cat "$demo/secrets/app")" >"$demo/secrets/app.pgpass"
  printf orders >"$demo/secrets/repository-user"
}

# put NAMESPACE KIND NAME ARGS...: creates or replaces; secrets come from files, never from argv.
put() {
  local ns=$1
  shift
  kubectl -n "$ns" create "$@" --dry-run=client -o yaml | kubectl apply --server-side -f - >/dev/null
}

put_secrets() {
  local s=$demo/secrets user
  kubectl apply -f "$LONGSHORE_ROOT/manifests/overlays/demo/namespaces.yaml" >/dev/null
  put db secret tls orders-tls --cert="$demo/pki/postgresql.crt" --key="$demo/pki/postgresql.key"
  put db configmap orders-ca --from-file=ca.crt="$demo/pki/ca.crt"
  put db secret generic superuser --from-file=password="$s/superuser"
  put db secret generic app --from-file=pgpass="$s/app.pgpass"
  put longshore-backup configmap orders-ca --from-file=ca.crt="$demo/pki/ca.crt"
  put longshore-backup configmap repository-ca --from-file=ca.crt="$demo/pki/ca.crt"
  for user in backup restore; do
    put longshore-backup secret generic "orders-$user" \
      --from-literal=username="longshore_$user" --from-file=password="$s/$user"
  done
  put longshore-backup secret generic repository-append \
    --from-file=username="$s/repository-user" --from-file=password="$s/repository-login"
  put longshore-backup secret generic repository-key --from-file=password="$s/repository-key"
}

# start_repository: rest-server outside the cluster, append-only, TLS, one login.
start_repository() {
  if repository_answers; then return; fi
  mkdir -p "$demo/repository"
  printf 'orders:{SHA}%s\n' \
    "$(openssl dgst -sha1 -binary "$demo/secrets/repository-login" | base64)" >"$demo/secrets/htpasswd"
  setsid "$ROOTFS_OUTSIDE/usr/bin/restic-rest-server" --path "$demo/repository" --listen :8000 \
    --append-only --private-repos --htpasswd-file "$demo/secrets/htpasswd" \
    --tls --tls-cert "$demo/pki/repository.crt" --tls-key "$demo/pki/repository.key" \
    >>"$demo/rest-server.log" 2>&1 </dev/null &
  echo $! >"$demo/rest-server.pid"
  within 10 "rest-server answers" repository_answers
}

repository_answers() { curl -s --cacert "$demo/pki/ca.crt" https://127.0.0.1:8000/ -o /dev/null; }

# write_repository_url: for stock restic outside, with the login in the file rather than in argv.
write_repository_url() {
  (umask 077 && printf 'rest:https://orders:%s@127.0.0.1:8000/orders/' \
    "$(cat "$demo/secrets/repository-login")" >"$demo/secrets/repository-url")
}

# apply_world: the demo's objects, with digests and paths of this machine.
apply_world() {
  local overlay=$LONGSHORE_STATE/deploy-demo images=$LONGSHORE_STATE/images.json name reference
  rm -rf "$overlay"
  mkdir -p "$overlay" "$demo/orders" "$demo/orders-restored"
  chown 999:999 "$demo/orders" "$demo/orders-restored"
  cp -r "$LONGSHORE_ROOT/manifests" "$overlay/manifests"
  sed -i "s#/DEMO_STATE#$demo#" "$overlay/manifests/overlays/demo/db/volumes.yaml"
  for name in postgresql filesystem; do
    reference=$(jq -er --arg n "$name" '.[$n]' "$images")
    sed -i "s#longshore.local/$name@sha256:0*\$#$reference#" \
      "$overlay/manifests/overlays/demo/backup/source-images.yaml"
  done
  reference=$(jq -er '."postgresql-server"' "$images")
  cat >"$overlay/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [manifests/overlays/demo]
images: [{name: longshore/postgresql-server, newName: "${reference%@*}", digest: "${reference#*@}"}]
END
  kubectl apply -k "$overlay" >/dev/null
  kubectl -n db rollout status statefulset/orders --timeout=120s >/dev/null || fail "orders did not start"
  kubectl -n db rollout status statefulset/orders-restored --timeout=120s >/dev/null ||
    fail "orders-restored did not start"
}

# sql SERVER DATABASE [PSQL-ARGUMENT...]: as superuser through the server's own socket; statements on stdin.
sql() {
  local server=$1 database=$2
  shift 2
  kubectl -n db exec -i "$server-0" -- /usr/lib/postgresql/17/bin/psql -X -q -v ON_ERROR_STOP=1 \
    -h /run/postgresql -U postgres -d "$database" -tA "$@"
}

# role NAME FILE ATTRIBUTES: made or updated; the password reaches the server through stdin only.
role_sql() {
  printf "DO \$\$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname='%s') THEN CREATE ROLE %s; END IF; END\$\$;\n" "$1" "$1"
  printf "ALTER ROLE %s LOGIN %s PASSWORD '%s';\n" "$1" "$3" "$(cat "$2")"
}

fill_databases() {
  { role_sql app "$demo/secrets/app" ''
    role_sql longshore_backup "$demo/secrets/backup" ''
    echo 'GRANT pg_read_all_data TO longshore_backup;'; } | sql orders postgres
  role_sql longshore_restore "$demo/secrets/restore" CREATEDB | sql orders-restored postgres
  local database
  for database in "${databases[@]}"; do
    [ "$(sql orders postgres -c "SELECT count(*) FROM pg_database WHERE datname='$database'")" = 1 ] ||
      echo "CREATE DATABASE $database OWNER app;" | sql orders postgres
    if [ "$(sql orders "$database" -c "SELECT to_regclass('filled')")" != filled ]; then
      tell "filling $database with $database_mib MiB"
      fill_sql | sql orders "$database" >/dev/null
    fi
  done
}

# Random text in rows of about 1 KiB (base64 of random bytes: nothing compresses it away), with
# types whose text form depends on settings, a sequence, an index, an empty table and odd names.
fill_sql() {
  cat <<END
SET ROLE app;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE TABLE item (id bigserial PRIMARY KEY, payload text NOT NULL);
ALTER TABLE item ALTER payload SET STORAGE EXTERNAL;
INSERT INTO item (payload) SELECT encode(gen_random_bytes(750), 'base64') FROM generate_series(1, $database_mib * 1000);
CREATE TABLE measure (at timestamptz, value double precision, span interval, raw bytea, note text);
INSERT INTO measure SELECT '2026-01-01Z'::timestamptz + g * interval '1 s', random(), g * interval '1 min',
  gen_random_bytes(16), CASE WHEN g % 3 > 0 THEN 'n' || g END FROM generate_series(1, 20000) g;
CREATE INDEX ON measure (at);
CREATE TABLE nothing (id int);
CREATE SCHEMA "Odd Name";
CREATE TABLE "Odd Name"."a ""quoted"" table" (id int, t text);
INSERT INTO "Odd Name"."a ""quoted"" table" VALUES (1, E'tab\tnewline\n''quote''"'), (2, NULL), (2, NULL);
CREATE TABLE filled (at timestamptz);
INSERT INTO filled VALUES (now());
END
}

start_load() {
  if [ "$(sql orders shop -c "SELECT to_regclass('pgbench_accounts')")" != pgbench_accounts ]; then
    kubectl -n db exec orders-0 -- /usr/lib/postgresql/17/bin/pgbench -i -q -s 10 \
      -h /run/postgresql -U app shop >/dev/null 2>&1 || fail "pgbench could not initialise"
  fi
  kubectl -n db scale deployment/load --replicas=1 >/dev/null
  kubectl -n db rollout status deployment/load --timeout=60s >/dev/null || fail "the load did not start"
}

# transactions: how many the load has committed so far, by the server's own count.
transactions() { sql orders postgres -c "SELECT xact_commit FROM pg_stat_database WHERE datname='shop'"; }

# connect_storage_manager: a token of its own for the CLI, which plays the storage manager.
connect_storage_manager() {
  (umask 077 && kubectl -n longshore-backup create token storage-manager --duration=4h \
    --audience longshore-controller >"$demo/tokens/storage-manager")
  kubectl -n longshore-system get configmap longshore-ca -o jsonpath='{.data.ca\.crt}' >"$demo/longshore-ca.crt"
  export LONGSHORE_SERVER=https://10.250.0.11:30443 LONGSHORE_CA_FILE=$demo/longshore-ca.crt
  export LONGSHORE_TOKEN_FILE=$demo/tokens/storage-manager LONGSHORE_NAMESPACE=longshore-backup
  within 30 "the storage manager API answers" longshore pods
}
