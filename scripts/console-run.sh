#!/usr/bin/env bash
# Runs something in the console beside its journeys, on a stage of its own:
#
#   scripts/console-run.sh pictures   each page in light and dark, into docs/pictures/console
#   scripts/console-run.sh bench      how large it is and how soon it is useful: rows "name value unit"
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/console.sh
export DORMER_CONSOLE_RUN=$1
cd web
if [[ $1 != bench ]]; then
  exec npx --no-install playwright test --reporter=list
fi
# The rows alone: what the run itself says is of interest only if it fails.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
if ! DORMER_BENCH_ROWS=3 npx --no-install playwright test --reporter=line >"$said" 3>&1 2>&1; then
  cat "$said" >&2
  exit 1
fi
