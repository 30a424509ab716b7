#!/usr/bin/env bash
# Builds the test guest and its second version, unless the cache has them, and
# prints the folder they are in. Progress goes to the error output.
set -euo pipefail
cd "$(dirname "$0")/.."
exec testguest/build.sh "$(scripts/cache.sh)/testguest"
