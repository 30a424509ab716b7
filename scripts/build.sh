#!/usr/bin/env bash
# Builds the programs into bin/ (or the folder given): static, reproducible,
# with the version that git knows.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-bin}
version=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Each program declares the version where it uses it; the linker passes over
# names that are not there.
ldflags="-s -w -X main.version=$version"
for package in agent cli guest server; do
  ldflags+=" -X github.com/dormer-project/dormer/internal/$package.Version=$version"
done
mkdir -p "$out"
for folder in cmd/*/; do
  program=$(basename "$folder")
  echo "build: $out/$program $version" >&2
  CGO_ENABLED=0 go build -trimpath -ldflags="$ldflags" -o "$out/$program" "./cmd/$program"
done
