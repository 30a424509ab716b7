#!/usr/bin/env bash
# Runs something in the console beside its journeys, on a stage of its own:
#
#   scripts/console-run.sh pictures   each page in light and dark, into docs/pictures/console
#   scripts/console-run.sh bench      how large it is and how soon it is useful: rows "name value unit"
#   scripts/console-run.sh size       how soon pages are useful of what scripts/bench-console-size.sh has filled
set -euo pipefail
cd "$(dirname "$0")/.."
export DORMER_CONSOLE_RUN=$1
if [[ $1 == size ]]; then
  scripts/console.sh --modules
  export DORMER_STAGE='' # the server is there, with its console
else
  scripts/console.sh
fi
cd web
if [[ $1 == pictures ]]; then
  exec npx --no-install playwright test --reporter=list
fi
# The rows alone: what the run itself says is of interest only if it fails.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
if ! DORMER_BENCH_ROWS=3 npx --no-install playwright test --reporter=line >"$said" 3>&1 2>&1; then
  cat "$said" >&2
  exit 1
fi
