#!/usr/bin/env bash
# Builds the console and the programs that hold it into bin/ (or the folder given):
# static, reproducible, with the version that git knows.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-bin}
version=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Go refuses to build where git does not answer, as in somebody else's checkout.
stamp=auto
git rev-parse HEAD >/dev/null 2>&1 || stamp=false
scripts/console.sh
mkdir -p "$out"
for folder in cmd/*/; do
  program=$(basename "$folder")
  echo "build: $out/$program $version" >&2
  CGO_ENABLED=0 go build -trimpath -buildvcs="$stamp" -ldflags="-s -w -X main.version=$version" -o "$out/$program" "./cmd/$program"
done
