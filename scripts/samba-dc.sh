#!/usr/bin/env bash
# A Samba Active Directory domain controller for tests and demos, on a loopback
# address of its own. Needs root: the ports are those of every domain controller.
#
#   samba-dc.sh prepare            provision both domains into the cache, unless
#                                  they are there; prints the folder
#   samba-dc.sh run DOMAIN DIR     copy DOMAIN (corp or other) into DIR, which does not
#                                  exist yet, and serve it until killed, or until the
#                                  standard input ends if that is a pipe. When DIR is
#                                  there it is served again as it is
#     --address A                  on this address, for which the caller holds the lock;
#                                  else on the first free one, noted in DIR/address.
#                                  For virtual machines to reach it, one that is not
#                                  127.*: ip address add 10.53.0.11/32 dev lo
#     --tls FOLDER                 with cert.pem and key.pem of FOLDER as certificate
#   samba-dc.sh ready DIR          wait until it answers; prints the address
#   samba-dc.sh tool DIR ARG...    samba-tool on its database, while it runs or not
#   samba-dc.sh keytab DIR HOST FILE   let svc-http answer for HTTP/HOST; its keys
#
# corp is CORP (corp.example.test), other is OTHER (other.example.test); neither
# trusts the other. In DIR: ca.pem, krb5.conf, passwords/ACCOUNT (all accounts
# whose names do not begin with dt-), svc-dormer.keytab. The log goes to the output.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
umask 077
export PATH=$PATH:/usr/sbin:/sbin # not on everybody's

say() { printf 'samba-dc: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
[[ $(id -u) -eq 0 ]] || die 'a domain controller needs root'
for tool in samba samba-tool ldbadd ldbmodify ldbsearch openssl flock; do
  command -v "$tool" >/dev/null || die "$tool is missing; run scripts/setup.sh"
done

root=$("$here/cache.sh")/samba-dc
mkdir -p "$root"
# What both domains are made of: this file and Samba.
key=$({ samba --version && cat "$here/samba-dc.sh"; } | sha256sum | cut -c1-16)
cached=$root/$key

# domain corp|other: sets the names of the domain.
domain() {
  case $1 in
  corp | other) ;;
  *) die "no domain $1: corp or other" ;;
  esac
  netbios=${1^^}
  dns=$1.example.test
  realm=${dns^^}
  base=DC=$1,DC=example,DC=test
  first=11 # 127.0.0.11, .21, ...
  [[ $1 == corp ]] || first=12
}

# configure DIR ADDRESS: everything below DIR, nothing on other addresses.
configure() {
  local dir=$1 address=$2
  mkdir -p "$dir"/{etc,private/tls,state,cache,lock,pid,ncalrpc,ntp,winbindd,bind-dns}
  chmod 750 "$dir/ntp" "$dir/winbindd"
  cat >"$dir/etc/smb.conf" <<END
[global]
	netbios name = DC1
	realm = $realm
	workgroup = $netbios
	server role = active directory domain controller
	interfaces = $address/8
	bind interfaces only = yes
	private dir = $dir/private
	state directory = $dir/state
	cache directory = $dir/cache
	lock directory = $dir/lock
	pid directory = $dir/pid
	ncalrpc dir = $dir/ncalrpc
	ntp signd socket directory = $dir/ntp
	winbindd socket directory = $dir/winbindd
	binddns dir = $dir/bind-dns
	server services = rpc, ldap, cldap, kdc, dns
	dcerpc endpoint servers = epmapper, drsuapi, lsarpc, netlogon, samr
	ldap server require strong auth = allow_sasl_over_tls
	tls enabled = yes
	tls cafile = $dir/ca.pem
	tls certfile = $dir/private/tls/cert.pem
	tls keyfile = $dir/private/tls/key.pem
[sysvol]
	path = $dir/state/sysvol
	read only = no
[netlogon]
	path = $dir/state/sysvol/$dns/scripts
	read only = no
END
  cat >"$dir/krb5.conf" <<END
[libdefaults]
	default_realm = $realm
	dns_lookup_realm = false
	dns_lookup_kdc = false
	dns_canonicalize_hostname = false
	rdns = false
	udp_preference_limit = 1
[realms]
	$realm = {
		kdc = $address
		kpasswd_server = $address
	}
[domain_realm]
	$dns = $realm
	.$dns = $realm
	localhost = $realm
END
}

# --- provisioning ------------------------------------------------------------------

# edit ldbadd|ldbmodify DIR [OPTION...]: the entries on the standard input. The
# programs succeed when the first entry did: what they complain of is an error too.
edit() {
  local program=$1 dir=$2 complaints
  shift 2
  if ! complaints=$("$program" --configfile="$dir/etc/smb.conf" -H "$dir/private/sam.ldb" "$@" 2>&1 >/dev/null) || [[ -n $complaints ]]; then
    die "$program: $complaints"
  fi
}

utf16() { printf '"%s"' "$1" | iconv -t UTF-16LE | base64 -w 0; }

# user ACCOUNT DISPLAY [LINE...]: an entry with further lines; its password is
# random, those of dt- accounts are directorytest.Password.
user() {
  local account=$1 display=$2 password='dt correct horse battery'
  shift 2
  if [[ $account != dt-* ]]; then
    password=$(openssl rand -base64 18)
    printf '%s' "$password" >"$dir/passwords/$account"
  fi
  printf 'dn:: %s\nobjectClass: user\nsAMAccountName:: %s\n' \
    "$(printf 'CN=%s,OU=People,%s' "$account" "$base" | base64 -w 0)" "$(printf '%s' "$account" | base64 -w 0)"
  printf 'displayName: %s\nunicodePwd:: %s\n' "$display" "$(utf16 "$password")"
  [[ " $* " == *userPrincipalName:* ]] || printf 'userPrincipalName:: %s\n' "$(printf '%s@%s' "$account" "$dns" | base64 -w 0)"
  [[ " $* " == *userAccountControl:* ]] || printf 'userAccountControl: 512\n'
  [[ $# -eq 0 ]] || printf '%s\n' "$@"
  printf '\n'
}

# group NAME TYPE [MEMBER-DN...]
group() {
  local name=$1 type=$2 member
  shift 2
  printf 'dn: CN=%s,OU=Groups,%s\nobjectClass: group\nsAMAccountName: %s\ngroupType: %s\n' "$name" "$base" "$name" "$type"
  for member in "$@"; do
    printf 'member: %s\n' "$member"
  done
  printf '\n'
}

person() { printf 'CN=%s,OU=People,%s' "$1" "$base"; }
in_group() { printf 'CN=%s,OU=Groups,%s' "$1" "$base"; }

# sid DIR ACCOUNT: the SID of an account of another domain.
sid() {
  ldbsearch -H "$1/private/sam.ldb" "(sAMAccountName=$2)" objectSid 2>/dev/null | sed -n 's/^objectSid: //p'
}

# The values of userAccountControl (512 a user, 2 disabled, 65536 the password
# does not expire) and groupType (2 global, 4 domain local, -2147483648 security).
readonly global=-2147483646 local_group=-2147483644
service='userAccountControl: 66048'
aes='msDS-SupportedEncryptionTypes: 24'

corp_entries() {
  user dt-alice 'Dt Twin'
  user dt-Bób 'Dt Twin'
  user dt-disabled 'Dt Disabled' 'userAccountControl: 514'
  user dt-expired 'Dt Expired' 'accountExpires: 126227520000000000' # 2001
  group dt-inner $global "$(person dt-alice)"
  group dt-outer $global "$(in_group dt-inner)"
  group dt-outermost $local_group "$(in_group dt-outer)"

  user alice 'Alice Example' 'mail: alice.example@example.com'
  user bob 'Bob Example' 'mail: bob.example@example.com'
  user carol 'Carol Example'
  user erin 'Erin "E." Example, (Sales) *' "userPrincipalName: erin.example@$dns" 'telephoneNumber: 0'
  user locked 'Locked Example' # when it is started
  user mustchange 'Must Change' 'pwdLastSet: 0'
  user pwexpired 'Password Expired'
  user hours 'Never Here' 'logonHours:: AAAAAAAAAAAAAAAAAAAAAAAAAAAA'
  group staff $global "$(person alice)"
  group office $global "$(in_group staff)"
  group everyone-office $local_group "$(in_group office)"
  group renamable $global "$(person bob)"

  # Groups with a user and with a group of the other domain in it: Samba makes
  # the foreign security principals.
  group partners $local_group "<SID=$(sid "$other" oscar)>"
  group guests-of-office $local_group "<SID=$(sid "$other" visitors)>"
}

other_entries() {
  user oscar 'Oscar Other'
  user olga 'Olga Other'
  user alice 'Alice of Other'
  group visitors $global "$(person olga)"
}

# provision NAME DIR: a domain with its accounts.
provision() {
  local name=$1 dir=$2 log=$2.log
  domain "$name"
  say "provisioning $dns"
  samba-tool domain provision --realm="$realm" --domain="$netbios" --host-name=dc1 --host-ip="127.0.0.$first" \
    --option="interfaces=127.0.0.$first/8" --option="bind interfaces only=yes" \
    --server-role=dc --dns-backend=SAMBA_INTERNAL --targetdir="$dir" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "$dns could not be provisioned"
  }
  rm "$log" # has the administrator's password in it
  mkdir "$dir/passwords"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$netbios test authority" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
    -keyout "$dir/ca.key" -out "$dir/ca.pem" 2>/dev/null
  configure "$dir" "127.0.0.$first"
  {
    # Passwords as tests want them; five wrong ones lock for half an hour.
    # Passwords do not expire before the cache does (999 days).
    printf 'dn: %s\nchangetype: modify\n' "$base"
    printf 'replace: %s\n%s\n-\n' pwdProperties 'pwdProperties: 0' minPwdLength 'minPwdLength: 0' pwdHistoryLength 'pwdHistoryLength: 0' \
      minPwdAge 'minPwdAge: 0' maxPwdAge 'maxPwdAge: -863136000000000' lockoutThreshold 'lockoutThreshold: 5' \
      lockoutDuration 'lockoutDuration: -18000000000' lockOutObservationWindow 'lockOutObservationWindow: -18000000000'
    # What a domain controller registers itself when it has a network.
    printf '\ndn: CN=DC1,OU=Domain Controllers,%s\nchangetype: modify\nadd: servicePrincipalName\n' "$base"
    printf 'servicePrincipalName: ldap/%s\n' DC1 "dc1.$dns" "dc1.$dns/$dns"
    printf '\n'
  } | edit ldbmodify "$dir"
  {
    printf 'dn: OU=%s,%s\nobjectClass: organizationalUnit\n\n' People "$base" Groups "$base"
    user svc-dormer 'Dormer service' "$service" "$aes"
    user svc-http 'Web service' "$service" "$aes"
    "${name}_entries"
  } | edit ldbadd "$dir"
  if [[ $name == corp ]]; then
    printf 'dn: %s\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 126227520000000000\n' "$(person pwexpired)" |
      edit ldbmodify "$dir" --controls=local_oid:1.3.6.1.4.1.7165.4.3.20:0 # else it may be 0 or now only
  fi
  samba-tool domain exportkeytab "$dir/svc-dormer.keytab" --principal=svc-dormer -s "$dir/etc/smb.conf" 2>/dev/null >&2
}

prepare() {
  exec 8>"$root/lock"
  flock 8
  if [[ ! -e $cached/complete ]]; then
    find "$root" -mindepth 1 -maxdepth 1 -type d \( -name '.work-*' -o -mtime +14 \) -exec rm -rf {} +
    work=$(mktemp -d "$root/.work-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    other=$work/other
    provision other "$other"
    provision corp "$work/corp"
    touch "$work/complete"
    mv "$work" "$cached"
    trap - EXIT
  fi
  touch "$cached"
  exec 8>&-
}

# --- serving -----------------------------------------------------------------------

# take_address: an address that nobody else serves on; descriptor 9 holds its lock,
# and Samba inherits it.
take_address() {
  local last
  for last in $(seq "$first" 10 250); do
    exec 9>"$root/address-$last.lock"
    if flock -n 9; then
      address=127.0.0.$last
      return
    fi
  done
  die 'all addresses are taken'
}

# certificate DIR ADDRESS: of the domain's authority, for the name and the address.
certificate() {
  local dir=$1 address=$2 tls=$1/private/tls
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=dc1.$dns" -keyout "$tls/key.pem" 2>/dev/null |
    openssl x509 -req -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -set_serial "0x$(openssl rand -hex 16)" -days 30 -out "$tls/cert.pem" \
      -extfile <(printf 'subjectAltName=DNS:dc1.%s,DNS:%s,IP:%s\nextendedKeyUsage=serverAuth\n' "$dns" "$dns" "$address") 2>/dev/null
}

# dns_address IP: an A record as Samba keeps it, in base64.
dns_address() {
  local a b c d
  IFS=. read -r a b c d <<<"$1"
  # shellcheck disable=SC2059 # the format is made of numbers
  printf 'BAABAAXwAAABAAAAAAADhAAAAAAAAAAA%s' "$(printf "$(printf '\\x%02x' "$a" "$b" "$c" "$d")" | base64)"
}

# move DIR ADDRESS: the names of the domain lead to ADDRESS alone.
move() {
  local dir=$1 new old
  new=$(dns_address "$2")
  old=$(dns_address "127.0.0.$first")
  {
    printf 'dn: DC=%s\nchangetype: modify\nreplace: dnsRecord\ndnsRecord:: %s\n\n' \
      "dc1,DC=$dns,CN=MicrosoftDNS,DC=DomainDnsZones,$base" "$new" \
      "gc,DC=_msdcs.$dns,CN=MicrosoftDNS,DC=ForestDnsZones,$base" "$new"
    [[ $new == "$old" ]] ||
      printf 'dn: DC=@,DC=%s,CN=MicrosoftDNS,DC=DomainDnsZones,%s\nchangetype: modify\ndelete: dnsRecord\ndnsRecord:: %s\n-\nadd: dnsRecord\ndnsRecord:: %s\n\n' \
        "$dns" "$base" "$old" "$new"
  } | edit ldbmodify "$dir"
}

# lock DIR: the account that is locked has been so since now. In units of 100 ns
# since 1601.
lock() {
  local now=$((($(date +%s) + 11644473600) * 10000000))
  printf 'dn: CN=locked,OU=People,%s\nchangetype: modify\nreplace: lockoutTime\nlockoutTime: %s\n-\nreplace: badPwdCount\nbadPwdCount: 5\n' "$base" "$now" |
    edit ldbmodify "$1"
}

run() {
  local name=$1 dir=$2
  domain "$name"
  if [[ ! -e $dir ]]; then
    prepare
    [[ -n $address ]] || take_address
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    cp -a --reflink=auto "$cached/$name/." "$dir/"
    configure "$dir" "$address"
    move "$dir" "$address"
    [[ $name == other ]] || lock "$dir"
    if [[ -n $tls ]]; then
      cp "$tls"/{cert,key}.pem "$dir/private/tls/"
    else
      certificate "$dir" "$address"
    fi
    printf '%s\n' "$address" >"$dir/address"
  fi
  # Interactive, Samba ends with its standard input.
  exec samba -i --no-process-group -M single -s "$dir/etc/smb.conf" -d1
}

ready() {
  local dir=$1 limit=$((SECONDS + 120))
  # The realm tells which domain it is.
  until [[ -s $dir/address ]] && LDAPTLS_CACERT=$dir/ca.pem ldapsearch -x -H "ldaps://$(cat "$dir/address")" \
    -D "svc-dormer@$(sed -n 's/^\tdefault_realm = //p' "$dir/krb5.conf")" -y "$dir/passwords/svc-dormer" -s base -b '' >/dev/null 2>&1; do
    [[ $SECONDS -lt $limit ]] || die "the domain controller in $dir does not answer"
    sleep 0.2
  done
  cat "$dir/address"
}

tool() {
  local dir=$1
  shift
  case $1 in
  domain) samba-tool "$@" --configfile="$dir/etc/smb.conf" ;;
  *) samba-tool "$@" --configfile="$dir/etc/smb.conf" --URL="$dir/private/sam.ldb" ;;
  esac
}

keytab() {
  local dir=$1 service=HTTP/$2 file=$3
  tool "$dir" spn add "$service" svc-http
  tool "$dir" domain exportkeytab "$file" --principal="$service"
}

usage() { die "usage: $0 prepare | run [--address A] [--tls FOLDER] corp|other DIR | ready DIR | tool DIR ARGUMENT... | keytab DIR HOST FILE"; }
command=${1:-}
shift || usage
address='' tls=''
while [[ ${1:-} == --* ]]; do
  case $1 in
  --address) address=$2 ;;
  --tls) tls=$2 ;;
  *) usage ;;
  esac
  shift 2
done
case $command in
prepare)
  [[ $# -eq 0 ]] || usage
  prepare
  printf '%s\n' "$cached"
  ;;
run)
  [[ $# -eq 2 ]] || usage
  run "$@"
  ;;
ready)
  [[ $# -eq 1 ]] || usage
  ready "$@"
  ;;
tool)
  [[ $# -ge 2 ]] || usage
  tool "$@"
  ;;
keytab)
  [[ $# -eq 3 ]] || usage
  keytab "$@"
  ;;
*) usage ;;
esac
