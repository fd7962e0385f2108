#!/bin/bash
# Starts PostgreSQL with TLS, making the data directory at the first start.
set -euo pipefail
bin=/usr/lib/postgresql/17/bin
data=/var/lib/postgresql/data/pgdata
if [ ! -s "$data/PG_VERSION" ]; then
  rm -rf "$data"
  "$bin/initdb" -D "$data" -U postgres --pwfile=/superuser/password -E UTF8 --locale=C.UTF-8
fi
exec "$bin/postgres" -D "$data" \
  -c hba_file=/scripts/pg_hba.conf -c listen_addresses='*' -c unix_socket_directories=/run/postgresql \
  -c ssl=on -c ssl_cert_file=/tls/tls.crt -c ssl_key_file=/tls/tls.key \
  -c shared_buffers=128MB -c max_wal_size=4GB -c checkpoint_timeout=15min
