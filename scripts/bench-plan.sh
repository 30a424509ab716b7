#!/usr/bin/env bash
# Measures the planner on an organization of 200 sites and 300,000 people, and what it
# takes from Dormer itself, on a real dormerd with 5,000 clients: memory, bytes of the state database, processor time of a poll, and round
# trips of a commit on PostgreSQL. internal/plan/sizing has these figures as
# constants. One line a figure: name, value, unit; some two minutes.
#
#   scripts/bench-plan.sh
#   scripts/bench-plan.sh --clients 20000
#   scripts/bench-plan.sh --dormerd ''         # the planner alone; some seconds
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

CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$dir/" ./cmd/dormer ./cmd/dormerd ./internal/planbench
"$dir/planbench" --dormer "$dir/dormer" --dormerd "$dir/dormerd" --work "$dir" --document examples/workspaces/office.yaml "$@" &
bench=$!
wait "$bench"
