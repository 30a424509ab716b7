#!/usr/bin/env bash
# Measures what a directory costs against a Samba domain controller with 1,000
# users in nested groups: sign-ins, and a re-read of everybody's groups. One line a
# figure: name, value, unit.
set -euo pipefail
cd "$(dirname "$0")/.."

# Not below TMPDIR: a socket's path may have no more than 107 bytes. Made and
# filled by whoever calls; the rest needs root, for the ports of a domain
# controller.
dir=${DORMER_BENCH_FOLDER:-}
if [[ -z $dir ]]; then
  dir=$(mktemp -d /tmp/dormer-bench.XXXXXX)
  go build -o "$dir/directorybench" ./internal/directorybench || {
    rm -rf "$dir"
    exit 1
  }
  if [[ $(id -u) -ne 0 ]]; then
    exec sudo -E env "PATH=$PATH" DORMER_BENCH_FOLDER="$dir" "$PWD/scripts/bench-directory.sh" "$@"
  fi
fi
dc=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  if [[ -n $dc ]] && kill -KILL "$dc" 2>/dev/null; then
    wait "$dc" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

scripts/samba-dc.sh prepare >/dev/null
scripts/samba-dc.sh run corp "$dir/dc" </dev/null >"$dir/dc.log" 2>&1 &
dc=$!
scripts/samba-dc.sh ready "$dir/dc" >/dev/null
"$dir/directorybench" --domain "$dir/dc" --server "$dc" "$@"
