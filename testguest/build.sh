#!/usr/bin/env bash
# Builds the test guests into a cache: build.sh OUTDIR. Progress goes to the
# error output; the last line of the output is the folder. See README.md.
set -euo pipefail
recipe=$(cd "$(dirname "$0")" && pwd)
checkout=$(dirname "$recipe")
out=${1:?usage: build.sh OUTDIR}
suite=bookworm
# What is installed; the trees of packages are cached under these arguments.
# shellcheck disable=SC2054 # the commas belong to an argument
common=(
  --quiet --variant=minbase
  --aptopt='APT::Install-Recommends "0"' --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"'
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
  --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/lib/udev/hwdb.d/*'
  --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/net/ethernet/*' --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/infiniband/*'
  --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/gpu/*'
)
lean=linux-image-cloud-amd64,systemd-sysv,udev,dbus,kmod,e2fsprogs,iproute2,busybox,procps,less,nano
# shellcheck disable=SC2054
install=(
  "${common[@]}" --include="$lean"
  --dpkgopt='path-exclude=/usr/share/i18n/*' --dpkgopt='path-exclude=/usr/share/zoneinfo/*'
  --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/scsi/*'
)
# The desk guest has what a user's workspace needs of domains, shares and printers.
desk_install=(
  "${common[@]}"
  --include="$lean,adcli,krb5-user,cifs-utils,keyutils,davfs2,cups-daemon,cups-client,cups-core-drivers,libpam-systemd,systemd-resolved,tzdata,locales"
)

# Times, identities and hash seeds are fixed: the same packages give the same disks.
export SOURCE_DATE_EPOCH=1780000000 LC_ALL=C.UTF-8
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
uuid=5d0a4b1e-0000-4000-8000-00646f726d65
umask 022

say() { echo "test guest: $*" >&2; }
die() {
  say "$*"
  exit 1
}
[[ $(id -u) == 0 ]] || die "needs root, to make the files of a system"
for tool in mmdebstrap busybox mke2fs cpio zstd go; do
  command -v "$tool" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || die "needs $tool"
done
export PATH=$PATH:/usr/sbin:/sbin

mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/lock"
flock 9
# What a killed build left, now that nobody else builds.
rm -rf "$out"/.work-*
work=$(mktemp -d "$out/.work-XXXXXX")
trap 'rm -rf "$work"' EXIT

hash() { sha256sum | cut -c1-16; }

# agent VERSION FILE builds the guest agent, the same bytes for the same source.
agent() {
  (cd "$checkout" && CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$1" -o "$2" ./cmd/dormer-guest)
}
agent test-1 "$work/agent-1"
agent test-2 "$work/agent-2"

# The mirror that this machine's own packages come from.
# shellcheck disable=SC2016 # $(REPO_URI) is apt's
mirror=${DORMER_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Created-By: Packages' 2>/dev/null | head -n 1)}
mirror=${mirror%/}
[[ -n $mirror ]] || die "this machine's apt knows no Debian $suite; name a mirror in DORMER_DEBIAN_MIRROR"
recipe_key=$(cd "$recipe" && find . -type f ! -name README.md -print0 | sort -z | xargs -0 sha256sum | hash)
# The index of the archive determines which versions its packages resolve to.
index=
if /usr/lib/apt/apt-helper -o Acquire::http::Timeout=20 -o Acquire::Retries=2 -o APT::Sandbox::User=root \
  download-file "$mirror/dists/$suite/InRelease" "$work/InRelease" >/dev/null 2>&1; then
  index=$(hash <"$work/InRelease")
else
  say "cannot reach $mirror: using what is cached"
fi

# tree_key NAME INSTALL...: the key of a tree of packages.
tree_key() {
  local name=$1 installed newest
  shift
  installed=$(echo "$suite $mirror $*" | hash)
  if [[ -n $index ]]; then
    echo "$name-$installed-$index"
    return
  fi
  newest=$(find "$out" -maxdepth 1 -name "tree-$name-$installed-*.tar.zst" -printf '%T@ %f\n' | sort -rn | head -1 | cut -d' ' -f2)
  [[ -n $newest ]] || die "nothing is cached for the packages of the $name guest"
  newest=${newest#tree-}
  echo "${newest%.tar.zst}"
}

# unpack KEY TREE INSTALL...: the packages, installed or from the cache.
unpack() {
  local file=$out/tree-$1.tar.zst tree=$2
  shift 2
  if [[ ! -f $file ]]; then
    say "installing Debian $suite from $mirror (a minute or two)"
    INITRD=No mmdebstrap "$@" "$suite" "$work/tree.tar" "$mirror" >&2
    zstd -q -3 -T0 "$work/tree.tar" -o "$work/tree.tar.zst"
    mv "$work/tree.tar.zst" "$file"
    rm -f "$work/tree.tar"
  fi
  touch "$file"
  mkdir -p "$tree"
  zstd -dcq "$file" | tar -x --numeric-owner -C "$tree"
}

lean_key=$(tree_key lean "${install[@]}")
desk_key=$(tree_key desk "${desk_install[@]}")
key=$( (echo "$lean_key $desk_key $recipe_key"; cat "$work/agent-1" "$work/agent-2") | hash)
folder=$out/$key
if [[ -f $folder/complete ]]; then
  say "cached"
  touch "$folder/complete"
  echo "$folder"
  exit 0
fi

say "building the guests"
tree=$work/tree
new=$work/new
mkdir -p "$new"/{v1,v2,tiny,desk}
unpack "$lean_key" "$tree" "${install[@]}"
kernel=$(ls "$tree/lib/modules")

# configure TREE: what both guests with systemd have.
configure() {
  local tree=$1 unit
  # What a build leaves behind, and what must not be the same on two machines.
  rm -rf "$tree"/etc/apt/sources.list "$tree"/etc/apt/sources.list.d/* "$tree"/var/lib/apt/lists/* "$tree"/var/log/* \
    "$tree"/boot/initrd* "$tree"/initrd.img* "$tree"/etc/udev/hwdb.bin "$tree"/etc/hostname "$tree"/etc/resolv.conf
  find "$tree/var/cache" -type f -delete
  : >"$tree/etc/machine-id"
  rm -f "$tree/var/lib/dbus/machine-id"
  printf 'dormer-test\n' >"$tree/etc/hostname"
  printf '127.0.0.1\tlocalhost\n' >"$tree/etc/hosts"
  printf 'nameserver 10.0.2.3\n' >"$tree/etc/resolv.conf"
  printf 'LABEL=root / ext4 rw,noatime 0 0\n' >"$tree/etc/fstab"
  printf '[Match]\nName=e*\n[Network]\nDHCP=yes\n' >"$tree/etc/systemd/network/80-dhcp.network"
  printf 'VERSION=1\n# Nothing else is configured.\n' >"$tree/etc/dormer-test.conf"
  install -m 0755 "$recipe/system/dormer-hello" "$tree/usr/local/bin/dormer-hello"
  if ! grep -q '^user:' "$tree/etc/passwd"; then
    chroot "$tree" useradd --create-home --uid 1000 --shell /bin/bash user
  fi
  ln -sf /lib/systemd/system/systemd-networkd.service "$tree/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-timesyncd.service \
    systemd-hwdb-update.service systemd-networkd-wait-online.service getty@tty1.service; do
    ln -sf /dev/null "$tree/etc/systemd/system/$unit"
  done
  "$work/agent-1" install --root "$tree"
}

# shellcheck disable=SC2016 # dpkg-query expands it
chroot "$tree" dpkg-query -W -f '${Package} ${Version}\n' >"$new/packages.txt"
# The first version.
configure "$tree"

# disk TREE FILE SIZE LABEL
disk() {
  find "$1" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch -h -d "@$SOURCE_DATE_EPOCH"
  truncate -s "$3" "$2"
  mke2fs -q -t ext4 -d "$1" -L "$4" -U "$uuid" -m 0 -J size=8 -E "hash_seed=$uuid,root_owner=0:0,lazy_itable_init=0,nodiscard" "$2"
}

# modules INITRAMFS NAME...: kernel modules with what they need, in order.
modules() {
  local root=$1 name path
  shift
  mkdir -p "$root/modules"
  for name in "$@"; do
    chroot "$tree" modprobe -S "$kernel" --show-depends "$name" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
  done | awk '!seen[$0]++' | while read -r path; do
    cp "$tree$path" "$root/modules/"
    basename "$path"
  done >"$root/modules/order"
}

# pack INITRAMFS FILE
pack() {
  find "$1" -print0 | xargs -0 touch -h -d "@$SOURCE_DATE_EPOCH"
  (cd "$1" && find . -print0 | sort -z | cpio --null --quiet -o -H newc --reproducible) | gzip -9n >"$2"
}

ramfs=$work/initrd-system
mkdir -p "$ramfs/bin"
cp /bin/busybox "$ramfs/bin/busybox"
cp "$recipe/system/init" "$ramfs/init"
modules "$ramfs" virtio_pci virtio_blk virtio_console
pack "$ramfs" "$new/v1/initrd.img"
cp "$tree/boot/vmlinuz-$kernel" "$new/v1/vmlinuz"
# The kernel is started directly; the disk need not hold it too.
rm -rf "${tree:?}"/boot/* "${tree:?}"/vmlinuz*
disk "$tree" "$new/v1/disk.raw" 1G root

hints() {
  cat <<END
{
  "architecture": "x86_64", "firmware": "bios", "disk_bus": "virtio", "machine_floor": "pc-q35-7.2",
  "disks": [{"name": "system", "path": "disk.raw", "format": "raw"}],
  "kernel": "vmlinuz", "initrd": "initrd.img", "append": "$1",
  "data": {"label": "dormer-data", "mount_point": "/data"},
  "memory": $2, "user": "user"
}
END
}
# The kernel tests its timer interrupt at its start; on a busy computer an
# emulated one may seem broken, and then the kernel panics. To move itself to a
# random place takes a sixth of an emulated start.
console="console=ttyS0 quiet mitigations=off no_timer_check nokaslr panic=-1"
append="root=LABEL=root rw $console"
hints "$append" 384 >"$new/v1/guest.json"

# The desk guest.
desk=$work/desk
unpack "$desk_key" "$desk" "${desk_install[@]}"
[[ $(ls "$desk/lib/modules") == "$kernel" ]] || die "the desk guest has another kernel"
# shellcheck disable=SC2016 # dpkg-query expands it
chroot "$desk" dpkg-query -W -f '${Package} ${Version}\n' >"$new/desk/packages.txt"
configure "$desk"
# Where it has systemd-resolved is up to a test: it starts without. The print
# service starts when somebody asks for it.
rm -f "$desk"/etc/systemd/system/*.wants/{systemd-resolved,cups}.service "$desk"/etc/systemd/system/dbus-org.freedesktop.resolve1.service \
  "$desk"/etc/systemd/system/*.wants/cups.path
for locale in de_DE en_GB; do
  chroot "$desk" localedef -i "$locale" -f UTF-8 "$locale.UTF-8"
done
rm -rf "$desk"/usr/share/i18n "${desk:?}"/boot/* "${desk:?}"/vmlinuz*
disk "$desk" "$new/desk/disk.raw" 1536M root
cp "$new/v1/vmlinuz" "$new/v1/initrd.img" "$new/desk/"
hints "$append" 512 >"$new/desk/guest.json"
rm -rf "$desk"

# The second version, from the first one's tree.
printf 'VERSION=2\n# Nothing else is configured.\n' >"$tree/etc/dormer-test.conf"
install -m 0755 "$work/agent-2" "$tree/usr/sbin/dormer-guest"
mkdir -p "$tree/usr/local/share/dormer-test"
awk 'BEGIN { x = 42; for (i = 0; i < 250000; i++) { x = (x * 16807) % 2147483647; printf "%08x", x } }' >"$tree/usr/local/share/dormer-test/atlas"
disk "$tree" "$new/v2/disk.raw" 1G root
cp "$new/v1/vmlinuz" "$new/v1/initrd.img" "$new/v1/guest.json" "$new/v2/"

# The tiny guest.
ramfs=$work/initrd-tiny
mkdir -p "$ramfs"/{bin,sbin,etc,usr/sbin,usr/bin,home/user}
cp /bin/busybox "$ramfs/bin/busybox"
cp "$recipe/tiny/init" "$recipe/tiny/udhcpc" "$ramfs/"
cp "$work/agent-1" "$ramfs/usr/sbin/dormer-guest"
cp "$tree/sbin/mke2fs" "$ramfs/sbin/mke2fs"
chroot "$tree" ldd /sbin/mke2fs | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$ramfs$(dirname "$library")"
  cp -L "$tree$library" "$ramfs$library"
done
cp "$tree/etc/mke2fs.conf" "$ramfs/etc/"
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' >"$ramfs/etc/passwd"
printf 'root:x:0:\nuser:x:1000:\n' >"$ramfs/etc/group"
printf 'PRETTY_NAME="Tiny test guest"\n' >"$ramfs/etc/os-release"
chown 1000:1000 "$ramfs/home/user"
modules "$ramfs" virtio_pci virtio_console virtio_blk virtio_net
pack "$ramfs" "$new/tiny/initrd.img"
cp "$new/v1/vmlinuz" "$new/tiny/vmlinuz"
mkdir -p "$work/tiny"
disk "$work/tiny" "$new/tiny/disk.raw" 32M base
hints "$console" 128 >"$new/tiny/guest.json"

date -u +%FT%TZ >"$new/complete"
rm -rf "$folder"
mv "$new" "$folder"
# What was not used for two weeks goes.
find "$out" -mindepth 2 -maxdepth 2 -name complete -mtime +14 -printf '%h\0' | xargs -0r rm -rf
find "$out" -maxdepth 1 -name 'tree-*.tar.zst' -mtime +30 -delete
say "ready: $(du -sh "$folder" | cut -f1)"
echo "$folder"
