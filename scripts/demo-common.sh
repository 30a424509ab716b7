# What the demos share: sourced by scripts/demo.sh and scripts/demo-ad.sh, in the
# root of the checkout. Everything lives in a temporary folder, $demo.
# shellcheck shell=bash

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
server=''
agents=()     # ended before the server
stop_first() { :; } # what the demo ends before them

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
  stop_first
  for agent in "${agents[@]}"; do
    stop_process "$agent"
  done
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

# --- steps ------------------------------------------------------------------------

build_everything() {
  step 'Build the programs and a small Linux guest (the guest is cached)'
  scripts/build.sh bin 2>&1 | sed 's/^/    /'
  guest=$(scripts/testguest.sh 2> >(sed 's/^/    /' >&2) | tail -n 1)
  printf '    guest: %s of disk, %s used\n' "$(du -h --apparent-size "$guest/v1/disk.raw" | cut -f1)" "$(du -h "$guest/v1/disk.raw" | cut -f1)"
}

# prepare_server: writes the settings that every demo has.
prepare_server() {
  local port
  port=$(free_port)
  url=https://localhost:$port
  ca=$demo/server/keys/tls/ca.crt
  cat >"$demo/dormerd.toml" <<END
data = "$demo/server"
listen = ["127.0.0.1:$port"]
public_urls = ["$url"]

[clients]
poll_interval = "5s"
END
}

# Server and agents get sessions of their own: Ctrl-C is for the script, which
# turns the machines off through the agents before it ends them.
serve() {
  setsid dormerd serve --config "$demo/dormerd.toml" >>"$demo/dormerd.log" 2>&1 &
  server=$!
  held 'the server is ready' until_true 30 curl -fsS --cacert "$ca" "$url/readyz"
}

# first_sign_in OPERATOR: the first operator, as she is called here.
first_sign_in() {
  step 'Sign in as the first operator; the one-time password must be changed'
  operator_password=$(head -c 18 /dev/urandom | base64)
  printf '%s\n%s\n' "$(cat "$demo/server/first-admin-password")" "$operator_password" >"$demo/password"
  run dormer login --server "$url" --ca "$ca" --user "$1" <"$demo/password"
}

publish_guest() {
  step 'Make a publisher key; pack the guest; push it'
  run dormer publisher create demo
  run dormer image pack demo-guest "$guest/v1/guest.json"
  run dormer image push demo-guest
  run dormer image list
}

# everything_held: the last line, and the end of what counts as failure.
everything_held() {
  printf '\n%sEvery step held%s, in %d s.\n' "$bold" "$plain" $((SECONDS - started))
}
