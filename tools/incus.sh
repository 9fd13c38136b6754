#!/usr/bin/env bash
# Starts an Incus of the tests' own, with an image of a small Debian container and a bridge, and prints how to reach it, for
# a shell to evaluate:
#   RECOUP_TEST_INCUS_SOCKET=…       the unix socket of its REST interface
#   RECOUP_TEST_INCUS_IMAGE=…        the image's alias: Debian with systemd, dbus, ca-certificates, and nothing else
#   RECOUP_TEST_INCUS_NETWORK=…      the bridge, which hands out addresses and leads nowhere but to this machine
#   RECOUP_TEST_INCUS_ADDRESS=…      this machine's address on that bridge, where tests let their servers listen
#   RECOUP_TEST_INCUS_SUBNET=…       the bridge's addresses; those from .200 on are handed out, the others are free to set
#   RECOUP_TEST_INCUS_URL=…          the same interface over TLS, with
#   RECOUP_TEST_INCUS_CERTIFICATE=…, _KEY=…  a client certificate that it trusts, and
#   RECOUP_TEST_INCUS_FINGERPRINT=…  the SHA-256 of the server's own certificate
#   tools/incus.sh --stop            removes the containers and the bridge and ends the daemon; the image stays
#
# Its state is in /var/lib/recoup-test-incus, where an Incus that the machine has for other purposes does not see it, and
# where the containers' users can reach it (below /root they could not). To look into it:
#   INCUS_DIR=/var/lib/recoup-test-incus INCUS_CONF=/var/lib/recoup-test-incus/client incus list
# The image is kept in ${RECOUP_TEST_CACHE:-~/.cache/recoup-test}. Needs root, and Debian 12 or newer: the image is made by
# debootstrap from the mirror that this machine uses. Two minutes on a new machine, then half a second.
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
subnet=${RECOUP_TEST_INCUS_SUBNET:-10.99.0.0/24}
https=${RECOUP_TEST_INCUS_HTTPS:-127.0.0.1:18443}
network=recoup0
image=recoup-test-debian
incusd=/usr/libexec/incus/incusd
export INCUS_DIR=/var/lib/recoup-test-incus INCUS_CONF=/var/lib/recoup-test-incus/client
prefix=${subnet%.*}

say() { echo "tools/incus.sh: $*" >&2; }
refuse() { say "$*"; exit 1; }

# Why Incus cannot run here at all; silent where it can.
impossible() {
  [ "$(id -u)" = 0 ] || { echo "needs root: containers and a bridge are made"; return; }
  command -v apt-get >/dev/null || { echo "knows Debian only"; return; }
  [ -e /proc/self/ns/user ] || { echo "this kernel has no user namespaces"; return; }
  [ -d /sys/fs/cgroup ] && [ -w /proc/sys/net/ipv4/ip_forward ] || { echo "cgroups or network settings are not writable: inside a container?"; return; }
  [ -x "$incusd" ] || [ -n "$(private_apt_mirror)" ] || { apt-get update -qq >&2 && [ -n "$(private_apt_mirror)" ]; } ||
    echo "apt knows no Debian mirror to take Incus from"
}

packages() {
  local apt codename name missing=()
  for name in incus-base incus-client debootstrap dnsmasq-base iproute2 openssl; do
    [ "$(dpkg-query -W -f '${Status}' "$name" 2>/dev/null)" = "install ok installed" ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  private_apt_need_lists
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  apt=$(mktemp -d "$cache/apt.XXXXXX")
  private_apt_begin "$apt"
  private_apt_add "$apt" deb Debian "$(private_apt_mirror)" "$codename" main
  # Debian 12 has Incus in its backports only.
  [ "$codename" != bookworm ] || private_apt_add "$apt" deb Debian "$(private_apt_mirror)" bookworm-backports main
  if ! { private_apt "$apt" update -qq && DEBIAN_FRONTEND=noninteractive private_apt "$apt" install -y -qq \
      --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" >&2; }; then
    rm -rf "$apt"
    refuse "cannot install ${missing[*]}: Debian $codename (12 or newer is needed) or its mirror does not have them"
  fi
  rm -rf "$apt"
}

# A rootfs and its description, as Incus imports them; whole or not there.
build_image() {
  [ ! -e "$cache/incus-image/rootfs.tar.gz" ] || return 0
  local work mirror
  mirror=$(private_apt_mirror)
  work=$(mktemp -d "$cache/image.XXXXXX")
  say "building the image with debootstrap"
  if ! debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates bookworm "$work/rootfs" \
      "$mirror" >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    rm -rf "$work"
    refuse "debootstrap failed; its last lines are above"
  fi
  # As in the images that people start: a network that asks for an address, no identity of its own.
  printf '[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n' >"$work/rootfs/etc/systemd/network/eth0.network"
  # Where /sys can be written, networkd waits for udev, which no container has.
  mkdir -p "$work/rootfs/etc/systemd/system/systemd-networkd.service.d"
  printf '[Service]\nBindReadOnlyPaths=/sys\n' >"$work/rootfs/etc/systemd/system/systemd-networkd.service.d/container.conf"
  chroot "$work/rootfs" systemctl enable systemd-networkd.service >>"$work/log" 2>&1
  : >"$work/rootfs/etc/machine-id"
  rm -rf "$work/rootfs"/var/{lib/apt/lists,cache/apt}/* "$work/rootfs"/etc/{hostname,resolv.conf}
  rm -rf "$work/rootfs"/usr/share/{doc,man,locale}/*
  printf 'architecture: %s\ncreation_date: %s\nproperties:\n  description: Debian for tests\n  os: Debian\n  release: bookworm\n' \
    "$(uname -m)" "$(date +%s)" >"$work/metadata.yaml"
  mkdir "$work/image"
  tar -C "$work" -czf "$work/image/metadata.tar.gz" metadata.yaml
  tar -C "$work/rootfs" --numeric-owner -cf - . | gzip -1 >"$work/image/rootfs.tar.gz"
  rm -rf "$cache/incus-image"
  mv "$work/image" "$cache/incus-image"
  rm -rf "$work"
}

answers() { [ -S "$INCUS_DIR/unix.socket" ] && timeout 10 incus query /1.0 >/dev/null 2>&1; }

start_daemon() {
  local tries
  # The ids that root may give to the containers' users.
  grep -q '^root:' /etc/subuid 2>/dev/null || echo root:1000000:1000000000 >>/etc/subuid
  grep -q '^root:' /etc/subgid 2>/dev/null || echo root:1000000:1000000000 >>/etc/subgid
  mkdir -p -m 711 "$INCUS_DIR"
  mkdir -p -m 700 "$INCUS_CONF"
  # Without descriptors of this script's: a caller that reads our output would wait for the daemon's end.
  setsid "$incusd" --group root --logfile "$INCUS_DIR/recoup.log" </dev/null >"$INCUS_DIR/recoup.output" 2>&1 9>&- &
  echo $! >"$INCUS_DIR/recoup.pid"
  for tries in $(seq 60); do
    ! answers || return 0
    kill -0 "$(cat "$INCUS_DIR/recoup.pid")" 2>/dev/null || break
    sleep 0.5
  done
  tail -n 20 "$INCUS_DIR/recoup.log" "$INCUS_DIR/recoup.output" >&2 || true
  refuse "incusd does not answer on $INCUS_DIR/unix.socket; its log is above"
}

# Not twice: changing the profile, even to the same, is refused while a container that has it is coming or going.
configure() {
  incus profile device get default eth0 network >/dev/null 2>&1 || incus admin init --preseed >&2 <<PRESEED
config:
  core.https_address: $https
storage_pools:
- name: default
  driver: dir
networks:
- name: $network
  type: bridge
  config:
    ipv4.address: $prefix.1/24
    ipv4.dhcp.ranges: $prefix.200-$prefix.250
    ipv4.nat: "false"
    ipv6.address: none
    # This machine's packet filter stays as it is.
    ipv4.firewall: "false"
    ipv6.firewall: "false"
profiles:
- name: default
  devices:
    root: {type: disk, path: /, pool: default}
    eth0: {type: nic, name: eth0, network: $network}
PRESEED
  incus image info "$image" >/dev/null 2>&1 ||
    incus image import "$cache/incus-image/metadata.tar.gz" "$cache/incus-image/rootfs.tar.gz" --alias "$image" >&2
  if [ ! -e "$INCUS_CONF/tests.crt" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=recoup-tests \
      -keyout "$INCUS_CONF/tests.key" -out "$INCUS_CONF/tests.new" 2>/dev/null
    mv "$INCUS_CONF/tests.new" "$INCUS_CONF/tests.crt"
  fi
  incus config trust list --format csv | grep -q recoup-tests ||
    incus config trust add-certificate "$INCUS_CONF/tests.crt" --name recoup-tests >&2
}

stop() {
  local pid tries
  if answers; then
    incus list --format csv --columns n | xargs -r incus delete --force >&2 || true
    incus profile device remove default eth0 >/dev/null 2>&1 || true
    incus network delete "$network" >&2 || true
    incus admin shutdown --timeout 60 >&2 || true
  fi
  pid=$(cat "$INCUS_DIR/recoup.pid" 2>/dev/null || true)
  if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe")" = "$incusd" ]; then
    kill "$pid" 2>/dev/null || true
    for tries in $(seq 40); do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
    kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$INCUS_DIR/recoup.pid"
  # What the daemon leaves mounted would keep the cache from being removed.
  awk -v dir="$INCUS_DIR/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l || true
}

mkdir -p "$cache"
exec 9>/run/lock/recoup-test-incus
flock 9
case ${1:-} in
  --stop) stop; exit ;;
  --possible)
    reason=$(impossible)
    [ -z "$reason" ] || refuse "$reason"
    exit ;;
  '') ;;
  *) refuse "usage: tools/incus.sh [--possible|--stop]" ;;
esac
reason=$(impossible)
[ -z "$reason" ] || refuse "$reason"
packages
build_image
answers || start_daemon
configure

print() { printf 'RECOUP_TEST_INCUS_%s=%q\n' "$1" "$2"; }
print SOCKET "$INCUS_DIR/unix.socket"
print IMAGE "$image"
print NETWORK "$network"
print ADDRESS "$prefix.1"
print SUBNET "$subnet"
print URL "https://$https"
print CERTIFICATE "$INCUS_CONF/tests.crt"
print KEY "$INCUS_CONF/tests.key"
print FINGERPRINT "$(openssl x509 -in "$INCUS_DIR/server.crt" -noout -fingerprint -sha256 | cut -d= -f2 | tr -d : | tr A-F a-f)"
