#!/usr/bin/env bash
# Builds Pebble, the ACME server that is tested with, at the version of
# tools/pebble into the cache, once, and prints its path as the last line.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(scripts/cache.sh pebble tools/pebble/go.mod tools/pebble/go.sum scripts/pebble.sh)
exec 9>"$dir/lock"
flock 9
if [[ ! -x $dir/pebble ]]; then
  echo 'pebble: building (once)' >&2
  (cd tools/pebble && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$dir/building" github.com/letsencrypt/pebble/v2/cmd/pebble) >&2 9>&-
  mv "$dir/building" "$dir/pebble"
fi
printf '%s\n' "$dir/pebble"
