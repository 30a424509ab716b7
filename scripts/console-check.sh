#!/usr/bin/env bash
# Holds web/ against its rules: types (those of the APIs come from the documents in
# api/, so what has drifted from them is found), lint, format, unit tests, and how
# large the first page is.
#
#   scripts/console-check.sh        report
#   scripts/console-check.sh --fix  format only
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/console.sh --modules
cd web

if [[ ${1:-} == --fix ]]; then
  npm run --silent format
  exit
fi

failed=0
# step NAME COMMAND...
step() {
  local name=$1
  shift
  if ! "$@"; then
    echo "console: $name"
    failed=1
  fi
}

step 'types' npm run --silent types
step 'lint and format (scripts/check.sh --fix formats)' npm run --silent lint
step 'unit tests' npx --no-install vitest run --reporter=dot --silent

cd ..
scripts/console.sh
go test -count=1 -v -run TestFirstPage ./internal/consoletest | sed -n 's/^.*first_page/first_page/p; /^--- FAIL/p; /FAIL/q1'
exit "$failed"
