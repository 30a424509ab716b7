#!/usr/bin/env bash
# What is worth a look before every commit and needs no machine: format, lint of
# Go and of shell scripts, documents, licences. All of it, even if the first finds something.
#
#   scripts/check.sh        report
#   scripts/check.sh --fix  format the Go files first
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(scripts/tools.sh)
fix=${1:-}

if [[ $fix == --fix ]]; then
  "$tools/golangci-lint" fmt
fi

failed=0
echo 'check: Go'
"$tools/golangci-lint" run ./... || failed=1
GOOS=windows go vet ./internal/guest ./cmd/dormer-guest || failed=1
(cd tools && "$tools/golangci-lint" run --config ../.golangci.yml ./...) || failed=1

echo 'check: shell scripts'
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
shellcheck -x "${scripts[@]}" || failed=1

echo 'check: documents'
scripts/docs.sh || failed=1

echo 'check: licences'
scripts/licences.sh || failed=1
exit "$failed"
