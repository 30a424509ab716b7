#!/usr/bin/env bash
# Prints the folder that keeps what is costly to build, outside the checkout:
#
#   scripts/cache.sh                 the folder itself
#   scripts/cache.sh tools FILE...   tools/KEY in it, KEY made of the content of
#                                    the files and the version of Go
#
# Everything in it can be deleted at any time.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dormer
if [[ $# -gt 0 ]]; then
  kind=$1
  shift
  key=$({ go env GOVERSION GOARCH && cat "$@"; } | sha256sum | cut -c1-16)
  cache=$cache/$kind/$key
fi
mkdir -p "$cache"
printf '%s\n' "$cache"
