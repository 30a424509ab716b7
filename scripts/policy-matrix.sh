#!/usr/bin/env bash
# Prints, for each field of the workspace document, how the tests exercised it and
# whether they passed; see internal/policymatrix. Fails when a field is left out.
#
#   policy-matrix.sh                runs the tests that exercise fields, then prints
#   policy-matrix.sh --from FILE    prints what a former run has recorded
#                                   (make test: build/policy-matrix.jsonl)
set -euo pipefail
cd "$(dirname "$0")/.."
file=build/policy-matrix.jsonl
failed=0
if [[ ${1:-} == --from ]]; then
  file=${2:?"--from needs the file of a former run"}
else
  export DORMER_TEST_ALL=1
  DORMER_TEST_GUEST=$(scripts/testguest.sh | tail -n 1)
  export DORMER_TEST_GUEST
  mkdir -p build
  # A name of its own for each run: results from Go's cache would record nothing.
  export DORMER_POLICY_MATRIX=$PWD/build/policy-matrix.$$.jsonl
  trap 'rm -f "$DORMER_POLICY_MATRIX"' EXIT
  : >"$DORMER_POLICY_MATRIX"
  mapfile -t packages < <(go list -f '{{range .TestImports}}{{$.ImportPath}} {{.}}{{"\n"}}{{end}}{{range .XTestImports}}{{$.ImportPath}} {{.}}{{"\n"}}{{end}}' ./... |
    awk '$2 ~ /\/internal\/policymatrix$/ { print $1 }' | sort -u)
  as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    as_root=(-exec "sudo -E env PATH=$PATH")
  fi
  # One package at a time: an emulated machine keeps a processor busy.
  scripts/with-postgres.sh go test -count=1 -p 1 -timeout 60m "${as_root[@]}" "${packages[@]}" || failed=1
  mv "$DORMER_POLICY_MATRIX" "$file"
fi
go run ./internal/policymatrix/matrix "$file" || failed=1
exit "$failed"
