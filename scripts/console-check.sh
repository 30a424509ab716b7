#!/usr/bin/env bash
# Holds web/ against its rules: types, lint, format, unit tests, that the types of
# the APIs are those of the documents in api/, and how large the first page is.
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

# Types are generated aside and compared: each file of api/ has one in src/api/.
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT
for types in src/api/*.d.ts; do
  document=$(basename "$types" .d.ts)
  [[ $document != schema ]] || document=openapi
  rm -f "$aside/types.d.ts"
  npx --no-install openapi-typescript "../api/$document.json" --output "$aside/types.d.ts" --alphabetize --default-non-nullable false >"$aside/said" 2>&1 || cat "$aside/said"
  step "web/$types is out of date: cd web && npm run api" diff -q "$aside/types.d.ts" "$types"
done

cd ..
scripts/console.sh
go test -count=1 -v -run TestFirstPage ./internal/consoletest | sed -n 's/^.*first_page/first_page/p; /^--- FAIL/p; /FAIL/q1'
exit "$failed"
