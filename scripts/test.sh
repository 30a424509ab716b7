#!/usr/bin/env bash
# Runs every suite. None may skip a test (DORMER_TEST_ALL=1); a failed suite does not
# keep the next ones from running. Ends with a table of the suites and their sum.
#
# Each package belongs to the first suite whose pattern it matches:
#   machines     boots real guests: the end-to-end suite, QEMU driver, machine process,
#                and of other packages the tests whose names end in OfARealGuest
#   directories  on real directory servers: Samba domain controllers and OpenLDAP;
#                signing in to the console with them, in a browser
#   scripts      the command lines (testscript)
#   stores       on SQLite and on a throw-away PostgreSQL
#   calculations what only computes: documents, policies, the planner's searches,
#                simulations and pages
#   console      journeys through the console in a browser, on the whole product
#   faults       server and databases killed, stopped and starved under load
#   unit         all others, the whole product in one process among them
# The race detector watches unit, stores and directories; it would only slow down
# the others. It knows nothing of memory that Go did not give out, and SQLite,
# which was translated from C, uses no other: watching it would take most of the
# time of many tests and find nothing.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export DORMER_TEST_ALL=1

tools=$(scripts/tools.sh) || exit 1
mkdir -p build
record=build/suites.jsonl
rm -f "$record" build/summary.txt build/policy-matrix*.jsonl
# What the tests exercise of the workspace document, for policy-matrix.sh --from. A
# name of its own for each run: results from Go's cache would record nothing.
export DORMER_POLICY_MATRIX=$PWD/build/policy-matrix.$$.jsonl
: >"$DORMER_POLICY_MATRIX"
failed=0

# suite NAME BUDGET [-plain] -- COMMAND...
suite() {
  local name=$1 budget=$2
  shift 2
  if ! "$tools/testrun" -record "$record" -suite "$name" -budget "$budget" "$@" </dev/null; then
    failed=1
    return 1
  fi
}

# Tests with several users of the system, full disks, domain controllers and
# guests need root. Go builds them as whoever calls, only the test programs run as root.
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  as_root=(-exec "sudo -E env PATH=$PATH")
fi

race=(-race)
for package in sqlite/lib libc memory; do
  race+=("-gcflags=modernc.org/$package=-race=false")
done

# Temporary files of unit and stores are in memory where there is room: these tests sync
# files all the time, and none of them ends with the power, as those of faults do.
in_memory=()
room=$(df --output=avail -BG /dev/shm 2>/dev/null | tail -n 1 | tr -dc 0-9)
free=$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo)
if [[ ${room:-0} -ge 6 && ${free:-0} -ge 10 ]] && memory=$(mktemp -d /dev/shm/dm.XXXX); then
  trap 'rm -rf "$memory"' EXIT
  chmod 1777 "$memory" # as /tmp
  # Go builds where it would otherwise: here programs may not be allowed to run.
  in_memory=(env "TMPDIR=$memory" "GOTMPDIR=${TMPDIR:-/tmp}")
fi

machines='/internal/(e2e|guesttest|hypervisor|machine)(/|$)'
directories='/internal/(directory/(kerberos|ldap|openid|testdomain)|domaintest)(/|$)'
scripts='/(internal/cli|cmd/[^/]+)(/|$)'
stores='/internal/store(/|$)'
faults='/internal/faulttest(/|$)'
calculations='/internal/(document|policy|plan/(delivery|design|placement|simulation))$'
console='/internal/consoletest(/|$)'
booting='OfARealGuest$'
long='/internal/(server|producttest|httpapi|standby)$'

# Packages that have tests.
packages=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...) || exit 1
mapfile -t in_machines < <(grep -E "$machines" <<<"$packages")
mapfile -t in_directories < <(grep -Ev "$machines" <<<"$packages" | grep -E "$directories")
mapfile -t in_scripts < <(grep -Ev "$machines|$directories" <<<"$packages" | grep -E "$scripts")
mapfile -t in_stores < <(grep -Ev "$machines|$directories|$scripts" <<<"$packages" | grep -E "$stores")
mapfile -t in_faults < <(grep -E "$faults" <<<"$packages")
mapfile -t in_calculations < <(grep -E "$calculations" <<<"$packages")
mapfile -t in_console < <(grep -E "$console" <<<"$packages")
# Those that take longest begin first, so that none is left alone in the end.
mapfile -t in_unit < <(grep -Ev "$machines|$directories|$scripts|$stores|$faults|$calculations|$console" <<<"$packages" |
  awk -v long="$long" '$0 ~ long {print; next} {rest = rest $0 "\n"} END {printf "%s", rest}')

suite check 4m -plain -- scripts/check.sh
suite tools 1m -- go test -C tools -json ./testrun ./notices
suite build 3m -plain -- scripts/build.sh
suite 'S3 server' 5m -plain -- scripts/versitygw.sh
# Three packages at a time: those that start processes mostly wait.
[[ ${#in_unit[@]} -eq 0 ]] ||
  suite unit 9m -- "${in_memory[@]}" scripts/with-postgres.sh go test -json "${race[@]}" -p 3 -timeout 10m -skip "$booting" "${as_root[@]}" "${in_unit[@]}"
# The race detector makes computing several times as long. What these share it sees in
# the tests of those who call them: a simulation in those of the API.
[[ ${#in_calculations[@]} -eq 0 ]] || suite calculations 2m -- go test -json -timeout 10m "${in_calculations[@]}"
[[ ${#in_stores[@]} -eq 0 ]] ||
  suite stores 4m -- "${in_memory[@]}" scripts/with-postgres.sh go test -json "${race[@]}" -count=1 -timeout 10m "${in_stores[@]}"
# These two side by side, for they wait as long as they compute: for disks, and for
# domain controllers to come up. What the directories print follows in one piece.
# One package of them at a time: each has domain controllers of its own.
beside=
if [[ ${#in_directories[@]} -gt 0 ]]; then
  suite 'OpenID provider' 5m -plain -- scripts/dex.sh
  suite directories 5m -- go test -json "${race[@]}" -count=1 -p 1 -timeout 15m "${as_root[@]}" "${in_directories[@]}" \
    >build/directories.txt 2>&1 &
  beside=$!
fi
# With databases of its own, which are durable. The race detector would only slow
# down what is to be killed in the middle of its work.
[[ ${#in_faults[@]} -eq 0 ]] ||
  suite faults 6m -- go test -json -count=1 -timeout 15m "${as_root[@]}" "${in_faults[@]}"
if [[ -n $beside ]]; then
  wait "$beside" || failed=1
  cat build/directories.txt
fi
# Before the machines: its journeys wait as long as they compute, and guests keep all
# processors busy.
[[ ${#in_console[@]} -eq 0 ]] ||
  suite console 8m -- go test -json -count=1 -timeout 25m -skip "$booting" "${in_console[@]}"
[[ ${#in_scripts[@]} -eq 0 ]] ||
  suite scripts 2m -- go test -json -timeout 10m -skip "$booting" "${as_root[@]}" "${in_scripts[@]}"
if [[ ${#in_machines[@]} -gt 0 ]]; then
  suite 'test guest' 10m -plain -- scripts/testguest.sh
  DORMER_TEST_GUEST=$(scripts/testguest.sh 2>/dev/null | tail -n 1) || failed=1
  export DORMER_TEST_GUEST
  # Two packages at a time: an emulated machine keeps a processor busy.
  suite machines 15m -- go test -json -count=1 -p 2 -timeout 30m "${as_root[@]}" "${in_machines[@]}"
  suite 'machines elsewhere' 4m -- go test -json -count=1 -p 1 -timeout 10m -run "$booting" "${as_root[@]}" ./internal/agent ./internal/cli
fi

mv "$DORMER_POLICY_MATRIX" build/policy-matrix.jsonl
"$tools/testrun" -record "$record" -report | tee build/summary.txt
exit "$failed"
