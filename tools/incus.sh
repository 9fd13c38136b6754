#!/usr/bin/env bash
# Starts an Incus of the tests' own, with images of small Debian containers and a bridge, and prints how to reach it, for
# a shell to evaluate:
#   RECOUP_TEST_INCUS_SOCKET=…       the unix socket of its REST interface
#   RECOUP_TEST_INCUS_IMAGE=…        the image's alias: Debian with systemd, dbus, ca-certificates, and nothing else
#   RECOUP_TEST_INCUS_SSH_IMAGE=…    another: the same with sshd and sudo, as hosts have them
#   RECOUP_TEST_INCUS_NETWORK=…      the bridge, which hands out addresses and leads nowhere but to this machine
#   RECOUP_TEST_INCUS_ADDRESS=…      this machine's address on that bridge, where tests let their servers listen
#   RECOUP_TEST_INCUS_SUBNET=…       the bridge's addresses; those from .200 on are handed out, the others are free to set
#   RECOUP_TEST_INCUS_URL=…          the same interface over TLS, with
#   RECOUP_TEST_INCUS_CERTIFICATE=…, _KEY=…  a client certificate that it trusts, and
#   RECOUP_TEST_INCUS_FINGERPRINT=…  the SHA-256 of the server's own certificate
#   tools/incus.sh --stop            removes the containers and the bridge and ends the daemon; the images stay
#
# Its state is in /var/lib/recoup-test-incus, where an Incus that the machine has for other purposes does not see it, and
# where the containers' users can reach it (below /root they could not). To look into it:
#   INCUS_DIR=/var/lib/recoup-test-incus INCUS_CONF=/var/lib/recoup-test-incus/client incus list
# The images are kept in ${RECOUP_TEST_CACHE:-~/.cache/recoup-test}. Needs root, and Debian 12 or newer: they are made by
# debootstrap from the mirror that this machine uses. Two minutes on a new machine, then half a second.
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"
script=tools/incus.sh
daemon=/usr/libexec/incus/incusd
client=incus
admin=(incus admin)
home=/var/lib/recoup-test-incus
subnet=${RECOUP_TEST_INCUS_SUBNET:-10.99.0.0/24}
network=recoup0
lock=/run/lock/recoup-test-incus
https=${RECOUP_TEST_INCUS_HTTPS:-127.0.0.1:18443}
export INCUS_DIR=$home INCUS_CONF=$home/client
. "$(dirname "$0")/container-daemon.sh"

# Why Incus cannot run here at all; silent where it can.
impossible() {
  [ "$(id -u)" = 0 ] || { echo "needs root: containers and a bridge are made"; return; }
  command -v apt-get >/dev/null || { echo "knows Debian only"; return; }
  [ -e /proc/self/ns/user ] || { echo "this kernel has no user namespaces"; return; }
  [ -d /sys/fs/cgroup ] && [ -w /proc/sys/net/ipv4/ip_forward ] || { echo "cgroups or network settings are not writable: inside a container?"; return; }
  [ -x "$daemon" ] || [ -n "$(private_apt_mirror)" ] || { apt-get update -qq >&2 && [ -n "$(private_apt_mirror)" ]; } ||
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

# Both images from one debootstrap. A cache that has only the first, which came earlier, gets the second.
build_images() {
  local work
  [ ! -e "$cache/incus-image/rootfs.tar.gz" ] || [ ! -e "$cache/incus-image-ssh/rootfs.tar.gz" ] || return 0
  private_apt_need_lists
  work=$(mktemp -d "$cache/image.XXXXXX")
  if [ -e "$cache/incus-image/rootfs.tar.gz" ]; then
    mkdir "$work/rootfs"
    tar -C "$work/rootfs" --numeric-owner -xzf "$cache/incus-image/rootfs.tar.gz"
  else
    bare_rootfs "$work"
    pack_image "$work" incus-image "Debian for tests"
  fi
  add_sshd "$work"
  pack_image "$work" incus-image-ssh "Debian with sshd for tests"
  rm -rf "$work"
}

give_up() { # WORK MESSAGE
  tail -n 20 "$1/log" >&2
  rm -rf "$1"
  refuse "$2; its last lines are above"
}

# makes WORK/rootfs
bare_rootfs() {
  local work=$1
  say "building the image with debootstrap"
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates bookworm "$work/rootfs" \
    "$(private_apt_mirror)" >"$work/log" 2>&1 || give_up "$work" "debootstrap failed"
  # As in the images that people start: a network that asks for an address, no identity of its own.
  printf '[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n' >"$work/rootfs/etc/systemd/network/eth0.network"
  # Where /sys can be written, networkd waits for udev, which no container has.
  mkdir -p "$work/rootfs/etc/systemd/system/systemd-networkd.service.d"
  printf '[Service]\nBindReadOnlyPaths=/sys\n' >"$work/rootfs/etc/systemd/system/systemd-networkd.service.d/container.conf"
  chroot "$work/rootfs" systemctl enable systemd-networkd.service >>"$work/log" 2>&1
  : >"$work/rootfs/etc/machine-id"
}

# sshd and sudo into WORK/rootfs. Each container makes its own host key when sshd first starts; one, as an RSA key takes long.
add_sshd() {
  local work=$1
  say "adding sshd to the image"
  printf 'deb %s bookworm main\n' "$(private_apt_mirror)" >"$work/rootfs/etc/apt/sources.list"
  cp -L /etc/resolv.conf "$work/rootfs/etc/resolv.conf"
  { chroot "$work/rootfs" apt-get update -qq && DEBIAN_FRONTEND=noninteractive chroot "$work/rootfs" apt-get install -y -qq \
    --no-install-recommends openssh-server sudo; } >"$work/log" 2>&1 || give_up "$work" "apt-get in the image failed"
  rm -f "$work/rootfs"/etc/ssh/ssh_host_*
  mkdir -p "$work/rootfs/etc/systemd/system/ssh.service.d"
  cat >"$work/rootfs/etc/systemd/system/ssh.service.d/host-key.conf" <<'UNIT'
[Service]
ExecStartPre=
ExecStartPre=sh -c 'test -e /etc/ssh/ssh_host_ed25519_key || ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key'
ExecStartPre=/usr/sbin/sshd -t
UNIT
}

# pack_image WORK NAME DESCRIPTION: WORK/rootfs and what describes it, as Incus imports them, in the cache; whole or not there.
pack_image() {
  local work=$1
  rm -rf "$work/rootfs"/var/{lib/apt/lists,cache/apt}/* "$work/rootfs"/etc/{hostname,resolv.conf}
  rm -rf "$work/rootfs"/usr/share/{doc,man,locale}/*
  printf 'architecture: %s\ncreation_date: %s\nproperties:\n  description: %s\n  os: Debian\n  release: bookworm\n' \
    "$(uname -m)" "$(date +%s)" "$3" >"$work/metadata.yaml"
  mkdir "$work/image"
  tar -C "$work" -czf "$work/image/metadata.tar.gz" metadata.yaml
  tar -C "$work/rootfs" --numeric-owner -cf - . | gzip -1 >"$work/image/rootfs.tar.gz"
  rm -rf "${cache:?}/$2"
  mv "$work/image" "$cache/$2"
}

# The certificate of a client that it trusts, for the interface over TLS.
trust_client() {
  if [ ! -e "$INCUS_CONF/tests.crt" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=recoup-tests \
      -keyout "$INCUS_CONF/tests.key" -out "$INCUS_CONF/tests.new" 2>/dev/null
    mv "$INCUS_CONF/tests.new" "$INCUS_CONF/tests.crt"
  fi
  incus config trust list --format csv | grep -q recoup-tests ||
    incus config trust add-certificate "$INCUS_CONF/tests.crt" --name recoup-tests >&2
}

begin "$@"
packages
build_images
answers || start_daemon
configure_daemon "core.https_address: '$https'"
import_image "$image-ssh" incus-image-ssh
trust_client
sweep

print() { printf 'RECOUP_TEST_INCUS_%s=%q\n' "$1" "$2"; }
print SOCKET "$INCUS_DIR/unix.socket"
print IMAGE "$image"
print SSH_IMAGE "$image-ssh"
print NETWORK "$network"
print ADDRESS "${subnet%.*}.1"
print SUBNET "$subnet"
print URL "https://$https"
print CERTIFICATE "$INCUS_CONF/tests.crt"
print KEY "$INCUS_CONF/tests.key"
print FINGERPRINT "$(openssl x509 -in "$INCUS_DIR/server.crt" -noout -fingerprint -sha256 | cut -d= -f2 | tr -d : | tr A-F a-f)"
