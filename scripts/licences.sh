#!/usr/bin/env bash
# Compares THIRD_PARTY_NOTICES.md with the modules that are linked into the
# programs and the packages that are in the console, and refuses licences that the
# project does not accept.
#
#   scripts/licences.sh          compare
#   scripts/licences.sh --write  write the file
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/console.sh --modules
"$(scripts/tools.sh)/notices" "$@" -file THIRD_PARTY_NOTICES.md -web web ./cmd/...
