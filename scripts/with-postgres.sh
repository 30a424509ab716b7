#!/usr/bin/env bash
# Runs a command beside a throw-away PostgreSQL:
#
#   scripts/with-postgres.sh go test ./internal/store/...
#
# The command finds the server in DORMER_TEST_POSTGRES (a postgres:// URL of a
# superuser; the server listens on a Unix socket only). Server and data are
# gone afterwards. If DORMER_TEST_POSTGRES is set already, that server is used.
#
# DORMER_TEST_POSTGRES_FSYNC=on keeps commits durable, for tests that kill the
# server; otherwise speed matters more.
set -euo pipefail

[[ $# -gt 0 ]] || {
  echo "usage: $0 COMMAND [ARGUMENT...]" >&2
  exit 2
}
[[ -z ${DORMER_TEST_POSTGRES:-} ]] || exec "$@"

bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1) || true
[[ -x $bin/initdb ]] || {
  echo 'with-postgres: PostgreSQL is not installed; run scripts/setup.sh' >&2
  exit 1
}

# Not below TMPDIR: a socket's path may have no more than 107 bytes.
dir=$(mktemp -d /tmp/dormer-postgres.XXXXXX)
as=()
if [[ $(id -u) -eq 0 ]]; then # initdb refuses root
  as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
  chown nobody:nogroup "$dir"
fi

command=
# shellcheck disable=SC2317 # called by the traps
stop() {
  [[ -z $command ]] || kill "$command" 2>/dev/null || true
  if [[ -f $dir/data/postmaster.pid ]]; then
    (cd / && "${as[@]}" "$bin/pg_ctl" stop -s -m immediate -D "$dir/data") || true
  fi
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fsync=${DORMER_TEST_POSTGRES_FSYNC:-off}
(
  cd /
  "${as[@]}" "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir.log" 2>&1 &&
    "${as[@]}" "$bin/pg_ctl" start -s -w -t 60 -D "$dir/data" -l "$dir/server.log" -o "-k $dir -c listen_addresses='' \
      -c fsync=$fsync -c full_page_writes=$fsync -c synchronous_commit=$fsync -c max_connections=200" >>"$dir.log" 2>&1
) || {
  cat "$dir.log" "$dir/server.log" >&2 2>/dev/null || true
  rm -f "$dir.log"
  echo 'with-postgres: the server did not start' >&2
  exit 1
}
rm -f "$dir.log"

DORMER_TEST_POSTGRES="postgres://postgres@/postgres?host=$dir" "$@" &
command=$!
status=0
wait "$command" || status=$?
command=
exit "$status"
