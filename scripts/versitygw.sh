#!/usr/bin/env bash
# Builds versitygw, the S3 server over a folder that is tested with, at the
# versions of tools/versitygw into the cache, once, and prints its path as the
# last line.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(scripts/cache.sh versitygw tools/versitygw/go.mod tools/versitygw/go.sum scripts/versitygw.sh)
exec 9>"$dir/lock"
flock 9 # tests of two packages may want it at once
if [[ ! -x $dir/versitygw ]]; then
  echo 'versitygw: building (some minutes, once)' >&2
  (cd tools/versitygw && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$dir/building" github.com/versity/versitygw/cmd/versitygw) >&2 9>&-
  mv "$dir/building" "$dir/versitygw"
fi
printf '%s\n' "$dir/versitygw"
