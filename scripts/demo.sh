#!/usr/bin/env bash
# The main job of Dormer from end to end on this machine, step by step: pack and
# push an image, grant a workspace, enrol a client, start the virtual machine, run
# a published application in it, work on while the server is gone, and find the
# events in the report. Everything lives in a temporary folder.
#
#   scripts/demo.sh               show it, then stop everything and clean up
#   DEMO_KEEP=1 scripts/demo.sh   stay up afterwards and say how to look around
#
# The exit status is 0 only when every step held.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/demo-common.sh
source scripts/demo-common.sh

# shellcheck disable=SC2317 # called when the demo ends
stop_first() { dormer stop --kill Demo --timeout 20s >/dev/null 2>&1 || true; }

build_everything

step 'Start a server on an empty folder: HTTPS from the first start, with its own authority'
prepare_server
run cat "$demo/dormerd.toml"
run dormerd init --config "$demo/dormerd.toml"
serve

first_sign_in admin
publish_guest

step 'Add a user and grant her a workspace from a file'
user_password=$(head -c 18 /dev/urandom | base64)
printf '%s\n' "$user_password" >"$demo/password"
run dormer directory user add alice --display-name 'Alice Example' <"$demo/password"
run dormer apply -f examples/workspaces/demo.yaml -m 'the demo'
run dormer workspace list

step 'Start an agent, enrol it with a join token, sign the user in'
setsid dormer-agent run --user >>"$demo/agent.log" 2>&1 &
agents+=($!)
run dormer token create demo --unmanaged -o "$demo/token"
held 'the agent answers' until_true 20 dormer status
run dormer enrol <"$demo/token"
run dormer sign-in alice <"$demo/password"
rm "$demo/token" "$demo/password"

step 'Start the workspace: the image is fetched and verified, the machine boots under QEMU'
run dormer start Demo
run dormer status

step 'Run published applications in the guest'
run dormer run Demo hello
greeted() { dormer run Demo hello | grep -q '^Hello from '; }
held 'the application ran in the guest' greeted
run dormer run Demo notes

step 'Stop the workspace, then the server'
run dormer stop Demo
stop_process "$server"
server=''
gone() { ! curl -fsS --max-time 3 --cacert "$ca" "$url/readyz"; }
held 'the server is gone' gone

step 'Off-line: the workspace still starts, and the data disk kept the first note'
run dormer start Demo
run dormer run Demo notes
notes() { dormer run Demo notes | wc -l; }
both_notes() { [[ $(notes) -ge 3 ]]; }
held 'the notes of before and after are on the data disk' both_notes
run dormer status

step 'Start the server again; the events of the time off-line arrive'
serve
nothing_waits() { dormer refresh --json | jq -e '.events_waiting == 0'; }
held 'the agent has delivered its events' until_true 60 nothing_waits
run dormer report status
run dormer report activity --limit 30
events() { dormer report activity --limit 500 --json | jq -e "[.items[] | [.client, .time, .code, .description]] | $1"; }
reported() { events '[.[] | select(.[3] | test("notes"))] | length >= 3'; }
held 'the report has each run of the application, those off-line among them' reported
each_once() { events 'length == (unique | length)'; }
held 'no event is there twice' each_once
run dormer audit --limit 10

everything_held

if [[ -n ${DEMO_KEEP:-} ]]; then
  trap 'exit 0' INT TERM # it held; from here on stopping is no failure
  (umask 077 && printf 'admin %s\nalice %s\n' "$operator_password" "$user_password" >"$demo/passwords")
  cat <<END

It stays up until you press Ctrl-C. In another terminal:

  export PATH=$PWD/bin:\$PATH XDG_CONFIG_HOME=$XDG_CONFIG_HOME XDG_DATA_HOME=$XDG_DATA_HOME XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR
  dormer status                    # the agent and its workspaces
  dormer run Demo hello            # an application of the guest
  dormer workspace show Demo       # the policy
  dormer report activity           # what happened
  curl --cacert $ca $url/api/v1/openapi.json

The operator is admin, the user is alice; their passwords are in $demo/passwords.
Logs: $demo/dormerd.log, $demo/agent.log
END
  wait "$server" "${agents[@]}" || true
fi
