#!/usr/bin/env bash
# Builds the web application and lays it where the programs embed it,
# internal/console/dist. What it needs from npm is kept in the cache, keyed by the
# lock file, and so is the result, keyed by the sources; nothing is done when it is
# there already.
#
#   scripts/console.sh            build
#   scripts/console.sh --modules  only what editors and checks need: packages from npm, types of the APIs
set -euo pipefail
cd "$(dirname "$0")/.."

# One at a time: several suites may want it at once.
lock=$(scripts/cache.sh)/console.lock
exec 9>"$lock"
flock 9

modules=$(scripts/cache.sh console-modules web/package-lock.json)
if [[ ! -e $modules/complete ]]; then
  echo 'console: fetching packages with npm (once)' >&2
  rm -rf "$modules/node_modules"
  cp web/package.json web/package-lock.json "$modules/"
  # Not npm ci: that refuses a lock file without the packages of other systems,
  # which not every registry has. The versions are those of the lock file all the same.
  npm install --prefix "$modules" --no-audit --no-fund --ignore-scripts --loglevel=error >&2
  touch "$modules/complete"
fi
if [[ ! -e web/node_modules || -L web/node_modules ]]; then
  ln -sfn "$modules/node_modules" web/node_modules
fi
# The types of the APIs are made from their documents, anew when these change: what
# the application asks and the documents do not have is an error of its types.
if [[ ! web/src/api/schema.d.ts -nt api/openapi.json || ! web/src/api/local.d.ts -nt api/local.json ]]; then
  (cd web && npm run --silent api) >&2
fi
[[ ${1:-} != --modules ]] || exit 0

mapfile -t sources < <(git ls-files --cached --others --exclude-standard -- web ':!web/tests' ':!web/playwright.config.ts' ':!web/src/**/*.test.ts*' | LC_ALL=C sort)
built=$(scripts/cache.sh console "${sources[@]}")
if [[ ! -e $built/complete ]]; then
  echo 'console: building' >&2
  (cd web && npx --no-install vite build --outDir "$built/dist" --emptyOutDir --logLevel warn) >&2
  touch "$built/complete"
fi
into=internal/console/dist
if ! diff -qr --exclude=placeholder.html "$built/dist" "$into" >/dev/null; then
  find "$into" -mindepth 1 ! -name placeholder.html -delete
  cp -r "$built/dist/." "$into/"
fi
