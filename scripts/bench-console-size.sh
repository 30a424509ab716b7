#!/usr/bin/env bash
# Measures what the pages of the console ask, and how soon they show it in a
# browser, on SQLite and PostgreSQL with 100,000 clients, 5,000 versions of images
# and 10 million events. One line a figure: name, value, unit.
#
#   scripts/bench-console-size.sh                                     everything: some 40 minutes, 12 GB of disk
#   scripts/bench-console-size.sh --engines sqlite --events 1000000   less of it
#   DORMER_BENCH_BROWSER=0 scripts/bench-console-size.sh              without a browser
#
# Filled databases are kept in the cache, see scripts/bench-events.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
options=()
if [[ ${DORMER_BENCH_BROWSER:-1} != 0 ]]; then
  scripts/console.sh
  options=(--browser "$PWD/scripts/console-run.sh size")
fi
exec scripts/bench-events.sh --parts console --clients 100000 --events 10000000 "${options[@]}" "$@"
