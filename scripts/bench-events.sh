#!/usr/bin/env bash
# Measures events on SQLite and PostgreSQL, with a real dormerd beside the clients
# that load it: taking them, draining backlogs, and reports, exports and clearing
# with 30 million stored. One line a figure: name, value, unit.
#
#   scripts/bench-events.sh                        everything: some 40 minutes, 25 GB of disk
#   scripts/bench-events.sh --events 1000000       with fewer events stored
#   scripts/bench-events.sh --parts durable,drain  without stored events
#   scripts/bench-events.sh --profile FOLDER       with profiles of the server (go tool pprof)
#
# Databases that take long to fill are kept in the cache; DORMER_BENCH_KEEP=0 keeps
# none. PostgreSQL runs as nobody where this is root.
set -euo pipefail
cd "$(dirname "$0")/.."

# Not below TMPDIR: a socket's path may have no more than 107 bytes.
dir=$(mktemp -d /tmp/dormer-bench.XXXXXX)
bench=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  if [[ -n $bench ]] && kill "$bench" 2>/dev/null; then
    wait "$bench" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
chmod 755 "$dir"

go build -trimpath -ldflags "-s -w" -o "$dir/" ./cmd/dormerd ./internal/eventbench
options=()
if [[ ${DORMER_BENCH_KEEP:-1} != 0 ]]; then
  # Filled again when what fills them has changed.
  options=(--cache "$(scripts/cache.sh events internal/store/migrations/events/* internal/eventbench/fill.go internal/eventbench/load/client.go)")
fi
"$dir/eventbench" --dormerd "$dir/dormerd" --work "$dir" "${options[@]}" "$@" &
bench=$!
wait "$bench"
