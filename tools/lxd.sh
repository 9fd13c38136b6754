#!/usr/bin/env bash
# Starts an LXD of the tests' own beside the Incus of tools/incus.sh, from which it has its image, and prints how to reach it,
# for a shell to evaluate:  RECOUP_TEST_LXD_SOCKET=… _IMAGE=… _NETWORK=… _SUBNET=…   They mean what they mean there.
#   tools/lxd.sh --possible   says why not where there is none to be had: only Debian 12 packages LXD
#   tools/lxd.sh --stop       removes the containers and the bridge and ends the daemon
set -euo pipefail
cd "$(dirname "$0")"
. ./private-apt.sh
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
subnet=${RECOUP_TEST_LXD_SUBNET:-10.98.0.0/24}
network=recoup1
image=recoup-test-debian
export LXD_DIR=/var/lib/recoup-test-lxd LXD_CONF=/var/lib/recoup-test-lxd/client

say() { echo "tools/lxd.sh: $*" >&2; }
refuse() { say "$*"; exit 1; }

impossible() {
  ./incus.sh --possible 2>&1 || return 0
  command -v lxd >/dev/null || { private_apt_need_lists && apt-cache policy lxd | grep -q 'Candidate: [0-9]'; } ||
    echo "apt has no package lxd here"
}

answers() { [ -S "$LXD_DIR/unix.socket" ] && timeout 10 lxc query /1.0 >/dev/null 2>&1; }

start_daemon() {
  mkdir -p -m 711 "$LXD_DIR"
  mkdir -p -m 700 "$LXD_CONF"
  setsid lxd --group root --logfile "$LXD_DIR/recoup.log" </dev/null >"$LXD_DIR/recoup.output" 2>&1 9>&- &
  echo $! >"$LXD_DIR/recoup.pid"
  local tries
  for tries in $(seq 60); do
    ! answers || return 0
    kill -0 "$(cat "$LXD_DIR/recoup.pid")" 2>/dev/null || break
    sleep 0.5
  done
  tail -n 20 "$LXD_DIR/recoup.log" "$LXD_DIR/recoup.output" >&2 || true
  refuse "lxd does not answer on $LXD_DIR/unix.socket; its log is above"
}

configure() {
  lxc profile device get default eth0 network >/dev/null 2>&1 || lxd init --preseed >&2 <<PRESEED
storage_pools:
- name: default
  driver: dir
networks:
- name: $network
  type: bridge
  config:
    ipv4.address: ${subnet%.*}.1/24
    ipv4.dhcp.ranges: ${subnet%.*}.200-${subnet%.*}.250
    ipv4.nat: "false"
    ipv6.address: none
    ipv4.firewall: "false"
    ipv6.firewall: "false"
profiles:
- name: default
  devices:
    root: {type: disk, path: /, pool: default}
    eth0: {type: nic, name: eth0, network: $network}
PRESEED
  lxc image info "$image" >/dev/null 2>&1 ||
    lxc image import "$cache/incus-image/metadata.tar.gz" "$cache/incus-image/rootfs.tar.gz" --alias "$image" >&2
}

stop() {
  local pid tries
  if answers; then
    lxc list --format csv --columns n | xargs -r lxc delete --force >&2 || true
    lxc profile device remove default eth0 >/dev/null 2>&1 || true
    lxc network delete "$network" >&2 || true
    lxd shutdown --timeout 60 >&2 || true
  fi
  pid=$(cat "$LXD_DIR/recoup.pid" 2>/dev/null || true)
  if [ -n "$pid" ] && [[ $(readlink "/proc/$pid/exe") == */lxd ]]; then
    for tries in $(seq 40); do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
    kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$LXD_DIR/recoup.pid"
  awk -v dir="$LXD_DIR/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l || true
}

mkdir -p "$cache"
exec 9>/run/lock/recoup-test-lxd
flock 9
case ${1:-} in
  --stop) stop; exit ;;
  --possible | '')
    reason=$(impossible)
    [ -z "$reason" ] || refuse "$reason"
    [ -z "${1:-}" ] || exit 0 ;;
  *) refuse "usage: tools/lxd.sh [--possible|--stop]" ;;
esac
./incus.sh >/dev/null
if ! command -v lxd >/dev/null; then
  say "installing lxd"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 lxd lxd-client >&2
fi
answers || start_daemon
configure
printf 'RECOUP_TEST_LXD_%s=%q\n' SOCKET "$LXD_DIR/unix.socket" IMAGE "$image" NETWORK "$network" SUBNET "$subnet"
