#!/usr/bin/env bash
# Runs something in the console beside its journeys, on a stage of its own:
#
#   scripts/console-run.sh pictures   each page in light and dark, into build/pictures; those that the
#                                     documents show, into docs/pictures/console too
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
  npx --no-install playwright test --reporter=list
  cd ..
  grep -oh 'pictures/console/[a-z0-9-]*\.png' README.md docs/*.md | sort -u | while read -r shown; do
    cp "build/${shown/console\//}" "docs/$shown"
  done
  exit
fi
# The rows alone: what the run itself says is of interest only if it fails.
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
export DORMER_BENCH_ROWS=$kept/rows
touch "$DORMER_BENCH_ROWS"
failed=0
npx --no-install playwright test --reporter=line >"$kept/said" 2>&1 || failed=$?
cat "$DORMER_BENCH_ROWS"
[[ $failed == 0 ]] || cat "$kept/said" >&2
exit "$failed"
