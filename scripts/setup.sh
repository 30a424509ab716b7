#!/usr/bin/env bash
# Prepares this machine for `make demo` and `make test`: checks the versions of
# Go, Node and git, then installs the Debian packages that are missing. When
# nothing is missing it does nothing, and quickly.
#
#   scripts/setup.sh           check and install
#   scripts/setup.sh --check   check only; a missing package is an error
set -euo pipefail

packages=(
  # build and check: the race detector needs a C compiler
  ca-certificates curl gcc git jq libc6-dev make shellcheck
  # machines: the emulator, disks, network
  iproute2 libnbd-bin passt qemu-system-x86 qemu-utils
  # the host's printing, for tests of guests that print
  cups-client cups-daemon
  # what tests of a desktop's bus talk to
  dbus-daemon
  # discs for machines of the tests
  genisoimage
  # the test guest is built from Debian packages
  busybox-static cpio debian-archive-keyring e2fsprogs mmdebstrap xz-utils zstd
  # a target of the standby over SFTP, for the tests
  openssh-server
  # databases for the tests
  postgresql sqlite3
  # the console in a browser, and names in any script there
  chromium fonts-dejavu-core fonts-droid-fallback
  # what opens exported spreadsheets in the tests
  libreoffice-calc-nogui
  # a syslog server for the tests of forwarding
  rsyslog rsyslog-gnutls
  # directories for the tests: a Samba domain controller, OpenLDAP, Kerberos
  samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind
  acl adcli attr krb5-user ldap-utils ldb-tools openssl python3-setproctitle slapd
)
# Services that come with them. Tests run their own, on addresses of their own.
services=(samba-ad-dc smbd nmbd winbind slapd ssh rsyslog)

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# need COMMAND MINIMUM VERSION HINT: stops when VERSION is below MINIMUM.
need() {
  local name=$1 minimum=$2 version=$3 hint=$4
  [[ -n $version ]] || die "$name $minimum or later is needed and was not found. $hint"
  [[ $(printf '%s\n%s\n' "$minimum" "$version" | sort -V | head -n 1) == "$minimum" ]] ||
    die "$name $minimum or later is needed; this is $version. $hint"
}

need Go 1.26 "$(go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*$//' || true)" 'See https://go.dev/dl/.'
need Node 20 "$(node --version 2>/dev/null | sed 's/^v//' || true)" 'See https://nodejs.org/.'
need git 2.30 "$(git --version 2>/dev/null | awk '{print $3}' || true)" 'On Debian: apt-get install git.'

command -v dpkg-query >/dev/null ||
  die "this script installs packages on Debian 12 and its relatives only. Elsewhere install the likes of: ${packages[*]}"

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^installed //p' || true)
missing=()
for package in "${packages[@]}"; do
  grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0
[[ ${1:-} != --check ]] || die "missing packages: ${missing[*]}"

root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || die "install as root first: apt-get install ${missing[*]}"
  root=(sudo)
fi

# A cache folder of our own: on images made for containers a hook empties
# /var/cache/apt/archives, also under another apt that is still unpacking.
archives=$(mktemp -d)
policy=/usr/sbin/policy-rc.d
our_policy=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  "${root[@]}" rm -rf "$archives"
  [[ -z $our_policy ]] || "${root[@]}" rm -f "$policy"
}
trap clean_up EXIT
mkdir "$archives/partial"
chmod 755 "$archives"
apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q
  -o "Dir::Cache::archives=$archives" -o DPkg::Lock::Timeout=400 -o Acquire::Retries=3 -o APT::Sandbox::User=root)

# Nothing that is installed here is started, now or at the next boot.
if [[ ! -e $policy ]]; then
  our_policy=yes
  printf '#!/bin/sh\nexit 101\n' | "${root[@]}" install -m 755 /dev/stdin "$policy"
fi
not_ours=$(systemctl list-unit-files --no-legend "${services[@]/%/.service}" 2>/dev/null | awk '{print $1}' || true)

say "installing with apt-get: ${missing[*]}"
"${apt[@]}" update >&2
# slapd makes no database of its own. debconf is asked to remember that only
# where slapd is new.
[[ " ${missing[*]} " != *' slapd '* ]] || ! command -v debconf-set-selections >/dev/null ||
  echo 'slapd slapd/no_configuration boolean true' | "${root[@]}" debconf-set-selections
"${apt[@]}" install --no-install-recommends "${missing[@]}" >&2 </dev/null
for service in "${services[@]}"; do
  if ! grep -qxF "$service.service" <<<"$not_ours" && command -v systemctl >/dev/null; then
    "${root[@]}" systemctl disable --quiet "$service.service" >&2 || true
  fi
done
say 'done'
