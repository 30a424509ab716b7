#!/usr/bin/env bash
# Measures what images cost on the wire: the first delivery of the test guest, and
# that of its second version. One line a figure: name, value, unit.
set -euo pipefail
cd "$(dirname "$0")/.."
guest=$(scripts/testguest.sh | tail -n 1)
exec go run ./internal/imagebench --v1 "$guest/v1" --v2 "$guest/v2" "$@"
