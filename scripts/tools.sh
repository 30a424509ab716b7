#!/usr/bin/env bash
# Builds the tools pinned in tools/go.mod into the cache, once, and prints the
# folder they are in: golangci-lint, testrun, notices.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t sources < <(find tools -name '*.go' -o -name 'go.*' | LC_ALL=C sort)
dir=$(scripts/cache.sh tools "${sources[@]}")
if [[ ! -e $dir/complete ]]; then
  # The linter is worth a cache of its own: it takes minutes, ours seconds.
  lint=$(scripts/cache.sh golangci-lint tools/go.sum)
  if [[ ! -x $lint/golangci-lint ]]; then
    echo 'tools: building golangci-lint (a few minutes, once)' >&2
    build=$(mktemp -d "$lint/build.XXXXXX")
    (cd tools && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$build/golangci-lint" github.com/golangci/golangci-lint/v2/cmd/golangci-lint) >&2
    mv "$build/golangci-lint" "$lint/golangci-lint"
    rmdir "$build"
  fi
  ln -sfn "$lint/golangci-lint" "$dir/golangci-lint"
  (cd tools && CGO_ENABLED=0 go build -trimpath -o "$dir/" ./testrun ./notices) >&2
  touch "$dir/complete"
fi
printf '%s\n' "$dir"
