#!/usr/bin/env bash
# Builds dex, the OpenID Connect provider that is tested with, at the versions
# of tools/dex into the cache, once, and prints its path as the last line.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(scripts/cache.sh dex tools/dex/go.mod tools/dex/go.sum scripts/dex.sh)
exec 9>"$dir/lock"
flock 9 # tests of two packages may want it at once
if [[ ! -x $dir/dex ]]; then
  echo 'dex: building (some minutes, once)' >&2
  # Its command does not compile without cgo: one of its stores is SQLite in C.
  (cd tools/dex && CGO_ENABLED=1 go build -trimpath -ldflags='-s -w' -o "$dir/building" github.com/dexidp/dex/cmd/dex) >&2 9>&-
  mv "$dir/building" "$dir/dex"
fi
printf '%s\n' "$dir/dex"
