#!/usr/bin/env bash
# Dormer with a real Active Directory domain, on this machine, step by step: a
# Samba domain controller, a workspace granted to a group, a user who gets it through
# two nested groups and is signed in by her Kerberos ticket, one who does not get
# it, and one who loses it; `why` explains each. Everything lives in a temporary
# folder.
#
#   scripts/demo-ad.sh               show it, then stop everything and clean up
#   DEMO_KEEP=1 scripts/demo-ad.sh   stay up afterwards and say how to look around
#
# The domain controller needs root, for the ports of one; the rest does not. The
# exit status is 0 only when every step held.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/demo-common.sh
source scripts/demo-common.sh

as_root=()
[[ $(id -u) -eq 0 ]] || as_root=(sudo -E env "PATH=$PATH")
# Tickets and agents here are of whoever runs the demo, also under sudo.
unset SUDO_UID SUDO_GID SUDO_USER
dc=$demo/dc
controller=
domain=$demo/domain # what server and users know of it
mkdir -m 700 "$domain"

# carol COMMAND...: on Carol's computer.
her=(env XDG_CONFIG_HOME="$demo/carol/config" XDG_DATA_HOME="$demo/carol/data" XDG_RUNTIME_DIR="$demo/carol/run" XDG_STATE_HOME="$demo/carol/state")
carol() { "${her[@]}" "$@"; }
mkdir -m 700 "$demo/carol" "$demo/carol"/{config,data,run,state}

# domain ARGUMENT...: samba-tool on the domain controller.
domain() { "${as_root[@]}" scripts/samba-dc.sh tool "$dc" "$@"; }

# shellcheck disable=SC2317 # called when the demo ends
stop_first() {
  dormer stop --kill Demo --timeout 20s >/dev/null 2>&1 || true
  if [[ -n $controller ]]; then
    "${as_root[@]}" kill "$controller" 2>/dev/null || true
    wait "$controller" 2>/dev/null || true
    "${as_root[@]}" rm -rf "$dc"
  fi
}

# permitted: whether the workspace on the first computer may run.
permitted() { dormer status --json | jq -e '.workspaces | length == 1 and .[0].permitted'; }
not_permitted() { dormer status --json | jq -e '.workspaces | all(.permitted | not)'; }
# because WHO PATTERN: whether `why` gives that reason.
because() { dormer workspace why Demo "$1" | tr -s ' \n' ' ' | grep -q -- "$2"; }

build_everything

step 'Start an Active Directory domain controller: Samba, on a loopback address of its own'
"${as_root[@]}" scripts/samba-dc.sh prepare >/dev/null
setsid "${as_root[@]}" scripts/samba-dc.sh run corp "$dc" </dev/null >"$demo/dc.log" 2>&1 &
controller=$!
address=$("${as_root[@]}" scripts/samba-dc.sh ready "$dc")
printf '    domain controller dc1.corp.example.test at %s\n' "$address"
"${as_root[@]}" scripts/samba-dc.sh keytab "$dc" localhost "$dc/http.keytab" >>"$demo/dc.log" 2>&1
for file in ca.pem krb5.conf http.keytab passwords/svc-dormer passwords/alice passwords/carol; do
  "${as_root[@]}" cat "$dc/$file" | install -m 600 /dev/stdin "$domain/${file##*/}"
done
export KRB5_CONFIG=$domain/krb5.conf KRB5CCNAME=FILE:$demo/tickets
for group in everyone-office office staff; do
  run domain group listmembers "$group"
done

step 'Start a server that is told of the domain, and test the settings'
prepare_server
cat >>"$demo/dormerd.toml" <<END

[access]
default_directory = "corp"
directory_age = "5s" # 15 minutes where nobody watches

[[directories]]
name = "corp"
type = "active-directory"
servers = ["ldaps://$address"]
authority = "$domain/ca.pem"
domain = "corp.example.test"
netbios = "CORP"
bind_user = "svc-dormer@corp.example.test"
bind_password_file = "$domain/svc-dormer"

[kerberos]
keytab = "$domain/http.keytab"
END
run cat "$demo/dormerd.toml"
run dormerd init --config "$demo/dormerd.toml"
run dormerd directory test --config "$demo/dormerd.toml"
serve

first_sign_in 'local\admin'
publish_guest

step 'Grant a workspace to a group of the domain; the command line checks the name'
run dormer directory check 'CORP\everyone-office'
{
  sed '/^grants:/,$d' examples/workspaces/demo.yaml
  cat <<'END'
grants:
  - principal:
      directory: corp
      kind: group
      name: everyone-office
    atLimit:
      action: stop
      grace: 0s # who loses it is not left any time
END
} >"$demo/demo.yaml"
run sed -n '/^grants:/,$p' "$demo/demo.yaml"
run dormer apply -f "$demo/demo.yaml" -m 'for everybody in the office'
run dormer workspace principals Demo

step 'Two computers: an agent each, enrolled with join tokens'
setsid dormer-agent run --user >>"$demo/agent.log" 2>&1 &
agents+=($!)
setsid "${her[@]}" dormer-agent run --user >>"$demo/agent-carol.log" 2>&1 &
agents+=($!)
for computer in '' carol; do
  dormer token create "${computer:-alice}" --unmanaged -o "$demo/token" >/dev/null
  held "the agent of ${computer:-alice} answers" until_true 20 $computer dormer status
  run $computer dormer enrol <"$demo/token"
  rm "$demo/token"
done

step 'Alice has a ticket from her desktop: she is signed in without a question'
run kinit alice <"$domain/alice"
run dormer sign-in --kerberos
run dormer start Demo
run dormer run Demo hello
greeted() { dormer run Demo hello | grep -q '^Hello from '; }
held 'the application ran in the guest' greeted

step 'Why? Through two more groups'
run dormer workspace why Demo alice
held 'the chain of groups is explained' because alice 'staff.*office.*everyone-office'

step 'Carol is in no group: she signs in with her password and gets nothing'
run carol dormer sign-in 'CORP\carol' <"$domain/carol"
run carol dormer refresh
run carol dormer status
nothing() { carol dormer status --json | jq -e '.workspaces | length == 0'; }
held 'Carol has no workspace' nothing
run dormer workspace why Demo carol
held 'why says that she is in none of the groups' because carol 'does not get'
run dormer workspace why Demo carol --with 'group:corp\everyone-office'

step 'Alice leaves the staff: her machine stops at the next poll after the directory was read again'
run domain group removemembers staff alice
held 'the workspace is taken away' until_true 60 not_permitted
stopped() { dormer status --json | jq -e '.workspaces | all(.state | IN("running", "stopping") | not)'; }
held 'the machine was stopped' until_true 60 stopped
run dormer status
run dormer workspace why Demo alice
held 'why says that she is in none of the groups' because alice 'does not get'

step 'She comes back, and so does the workspace; the group is renamed meanwhile, and the grant stays'
run domain group addmembers staff alice
run domain group rename everyone-office --samaccountname=all-of-us
held 'the workspace is permitted again' until_true 60 permitted
run dormer workspace principals Demo
run dormer start Demo
held 'the application ran in the guest' greeted

step 'Operators are groups of the domain, too, and sign in by ticket: with dormer, with curl'
run dormer operator set --group 'CORP\all-of-us' read-only
run dormer login --kerberos --server "$url" --ca "$ca" --profile "$demo/alice.toml"
run dormer whoami --profile "$demo/alice.toml"
negotiate() {
  curl --silent --output /dev/null --write-out '%{http_code}\n' --cacert "$ca" --negotiate --user : --request POST "$url/api/v1/sessions/kerberos"
}
accepted() { [[ $(negotiate) == 200 ]]; }
held 'curl --negotiate is let in' accepted
kdestroy
refused() { [[ $(negotiate) == 401 ]]; }
held 'without a ticket it is not' refused
run dormer audit --limit 12

everything_held

if [[ -n ${DEMO_KEEP:-} ]]; then
  trap 'exit 0' INT TERM # it held; from here on stopping is no failure
  (umask 077 && printf 'local\\admin %s\n' "$operator_password" >"$demo/password-of-admin")
  cat <<END

It stays up until you press Ctrl-C. In another terminal:

  export PATH=$PWD/bin:\$PATH XDG_CONFIG_HOME=$XDG_CONFIG_HOME XDG_DATA_HOME=$XDG_DATA_HOME XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR
  export KRB5_CONFIG=$KRB5_CONFIG KRB5CCNAME=$KRB5CCNAME
  kinit alice <$domain/alice         # a ticket
  dormer directory find o          # who is there
  dormer workspace why Demo bob    # who gets what, and why
  dormer status                    # Alice's computer
  scripts/samba-dc.sh tool $dc user list

The operator's password is in $demo/password-of-admin, Alice's and Carol's in
$domain/alice and $domain/carol. Logs: $demo/*.log
END
  wait "$server" "${agents[@]}" || true
fi
