#!/usr/bin/env bash
# What is worth a look before every commit and needs no machine: format, lint of
# Go and of shell scripts, licences.
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

echo 'check: Go'
"$tools/golangci-lint" run ./...
(cd tools && "$tools/golangci-lint" run --config ../.golangci.yml ./...)

echo 'check: shell scripts'
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
shellcheck -x "${scripts[@]}"

echo 'check: licences'
scripts/licences.sh
