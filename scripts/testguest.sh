#!/usr/bin/env bash
# Builds the test guest and its second version, unless the cache has them, and
# prints the folder they are in as its last line. Progress goes to the error output.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(scripts/cache.sh)/testguest
if [[ $(id -u) -eq 0 ]]; then
  exec testguest/build.sh "$out"
fi
# Making the files of a system needs root. Go's caches stay the caller's: the
# modules are fetched here, and what root compiles goes elsewhere.
go mod download
gocache=$(mktemp -d)
trap 'sudo rm -rf "$gocache"' EXIT
sudo env "PATH=$PATH" "GOMODCACHE=$(go env GOMODCACHE)" "GOCACHE=$gocache" GOFLAGS=-buildvcs=false \
  DORMER_DEBIAN_MIRROR="${DORMER_DEBIAN_MIRROR:-}" testguest/build.sh "$out"
