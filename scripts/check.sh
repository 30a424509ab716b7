#!/usr/bin/env bash
# What is worth a look before every commit and needs no machine: format, lint of
# Go, of shell scripts and of the console, documents, licences. All of it, even if the first finds something.
#
#   scripts/check.sh        report
#   scripts/check.sh --fix  format the files of Go and of the console first
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(scripts/tools.sh)
fix=${1:-}

if [[ $fix == --fix ]]; then
  "$tools/golangci-lint" fmt
  scripts/console-check.sh --fix
fi

failed=0
echo 'check: Go'
"$tools/golangci-lint" run ./... || failed=1
GOOS=windows go vet ./internal/guest ./cmd/dormer-guest || failed=1
(cd tools && "$tools/golangci-lint" run --config ../.golangci.yml ./...) || failed=1

echo 'check: shell scripts'
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
shellcheck -x "${scripts[@]}" || failed=1

echo 'check: console'
scripts/console-check.sh || failed=1

echo 'check: documents'
scripts/docs.sh || failed=1

echo 'check: licences'
scripts/licences.sh || failed=1
exit "$failed"
