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

# --- what people see -----------------------------------------------------------
if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; else bold='' dim='' red='' plain=''; fi
started=$SECONDS
step_number=0
step() {
  step_number=$((step_number + 1))
  printf '\n%s%2d. %s%s %s(%d s)%s\n' "$bold" "$step_number" "$*" "$plain" "$dim" $((SECONDS - started)) "$plain"
}
# run shows a command as a person would type it, then its output, indented.
run() {
  printf '    %s$ %s%s\n' "$dim" "$*" "$plain"
  "$@" 2>&1 | sed 's/^/    /'
}
# held CONDITION-TEXT COMMAND...: the step holds when the command succeeds.
held() {
  local what=$1
  shift
  if "$@" >/dev/null 2>&1; then
    printf '    %s\n' "holds: $what"
  else
    printf '    %sdoes not hold: %s%s\n' "$red" "$what" "$plain"
    exit 1
  fi
}

# --- folders, programs, clean-up -------------------------------------------------
# Not below TMPDIR: a socket's path may have no more than 107 bytes.
demo=$(mktemp -d /tmp/dormer-demo.XXXXXX)
export PATH=$PWD/bin:$PATH
export XDG_CONFIG_HOME=$demo/config XDG_DATA_HOME=$demo/data XDG_RUNTIME_DIR=$demo/run XDG_STATE_HOME=$demo/state
mkdir -m 700 "$XDG_CONFIG_HOME" "$XDG_DATA_HOME" "$XDG_RUNTIME_DIR" "$XDG_STATE_HOME"
server='' agent=''

stop_process() { # PID: stop it and wait until it is gone
  [[ -n $1 ]] || return 0
  kill "$1" 2>/dev/null || return 0
  wait "$1" 2>/dev/null || true
}
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  local status=$?
  if [[ $status -ne 0 ]]; then
    printf '\n%sThe demo did not hold.%s The ends of the logs:\n' "$red" "$plain"
    for log in "$demo"/*.log; do
      [[ -e $log ]] || continue
      printf '%s== %s%s\n' "$dim" "${log##*/}" "$plain"
      tail -n 15 "$log"
    done
  fi
  dormer stop --kill Demo --timeout 20s >/dev/null 2>&1 || true
  stop_process "$agent"
  stop_process "$server"
  rm -rf "$demo"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# until_true SECONDS COMMAND...: ask again until it succeeds.
until_true() {
  local limit=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [[ $SECONDS -lt $limit ]] || return 1
    sleep 0.3
  done
}

free_port() { # a port that nobody listens on
  local port
  for port in $(shuf -i 20000-32000 -n 50); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%s\n' "$port"
      return
    fi
  done
  return 1
}

# --- the demo ---------------------------------------------------------------------
step 'Build the programs and a small Linux guest (the guest is cached)'
scripts/build.sh bin 2>&1 | sed 's/^/    /'
guest=$(scripts/testguest.sh 2> >(sed 's/^/    /' >&2) | tail -n 1)
printf '    guest: %s of disk, %s used\n' "$(du -h --apparent-size "$guest/v1/disk.raw" | cut -f1)" "$(du -h "$guest/v1/disk.raw" | cut -f1)"

step 'Start a server on an empty folder: HTTPS from the first start, with its own authority'
port=$(free_port)
url=https://localhost:$port
cat >"$demo/dormerd.toml" <<END
data = "$demo/server"
listen = ["127.0.0.1:$port"]
public_urls = ["$url"]

[clients]
poll_interval = "5s"
END
# Server and agent get sessions of their own: Ctrl-C is for this script, which
# turns the machine off through the agent before it ends them.
serve() {
  setsid dormerd serve --config "$demo/dormerd.toml" >>"$demo/dormerd.log" 2>&1 &
  server=$!
}
run cat "$demo/dormerd.toml"
run dormerd init --config "$demo/dormerd.toml"
ca=$demo/server/keys/tls/ca.crt
serve
held 'the server is ready' until_true 30 curl -fsS --cacert "$ca" "$url/readyz"

step 'Sign in as the first operator; the one-time password must be changed'
operator_password=$(head -c 18 /dev/urandom | base64)
printf '%s\n%s\n' "$(cat "$demo/server/first-admin-password")" "$operator_password" >"$demo/password"
run dormer login --server "$url" --ca "$ca" --user admin <"$demo/password"

step 'Make a publisher key; pack the guest; push it'
run dormer publisher create demo
run dormer image pack demo-guest "$guest/v1/guest.json"
run dormer image push demo-guest
run dormer image list

step 'Add a user and grant her a workspace from a file'
user_password=$(head -c 18 /dev/urandom | base64)
printf '%s\n' "$user_password" >"$demo/password"
run dormer directory user add alice --display-name 'Alice Example' <"$demo/password"
run dormer apply -f examples/workspaces/demo.yaml -m 'the demo'
run dormer workspace list

step 'Start an agent, enrol it with a join token, sign the user in'
setsid dormer-agent run --user >>"$demo/agent.log" 2>&1 &
agent=$!
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
held 'the server is ready' until_true 30 curl -fsS --cacert "$ca" "$url/readyz"
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

printf '\n%sEvery step held%s, in %d s.\n' "$bold" "$plain" $((SECONDS - started))

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
  wait "$server" "$agent" || true
fi
