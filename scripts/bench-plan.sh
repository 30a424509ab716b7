#!/usr/bin/env bash
# Measures what the planner takes from Dormer itself, on a real dormerd with 5,000
# clients: memory, bytes of the state database, processor time of a poll, and round
# trips of a commit on PostgreSQL. internal/plan/sizing has these figures as
# constants. One line a figure: name, value, unit; some two minutes.
#
#   scripts/bench-plan.sh
#   scripts/bench-plan.sh --clients 20000
set -euo pipefail
cd "$(dirname "$0")/.."

# Not below TMPDIR: a socket's path may have no more than 107 bytes.
dir=$(mktemp -d /tmp/dormer-plan.XXXXXX)
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

go build -trimpath -ldflags "-s -w" -o "$dir/" ./cmd/dormerd ./internal/planbench
"$dir/planbench" --dormerd "$dir/dormerd" --work "$dir" --document examples/workspaces/office.yaml "$@" &
bench=$!
wait "$bench"
