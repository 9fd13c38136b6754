#!/usr/bin/env bash
# Starts an LXD of the tests' own beside the Incus of tools/incus.sh, from which it has its image, and prints how to reach it,
# for a shell to evaluate:  RECOUP_TEST_LXD_SOCKET=… _IMAGE=… _NETWORK=… _SUBNET=…   They mean what they mean there.
#   tools/lxd.sh --possible   says why not where there is none to be had: only Debian 12 packages LXD
#   tools/lxd.sh --stop       removes the containers and the bridge and ends the daemon
set -euo pipefail
cd "$(dirname "$0")"
. ./private-apt.sh
script=tools/lxd.sh
daemon=lxd
client=lxc
admin=(lxd)
home=/var/lib/recoup-test-lxd
subnet=${RECOUP_TEST_LXD_SUBNET:-10.98.0.0/24}
network=recoup1
lock=/run/lock/recoup-test-lxd
export LXD_DIR=$home LXD_CONF=$home/client
. ./container-daemon.sh

impossible() {
  ./incus.sh --possible 2>&1 || return 0
  command -v lxd >/dev/null || { private_apt_need_lists && apt-cache policy lxd | grep -q 'Candidate: [0-9]'; } ||
    echo "apt has no package lxd here"
}

begin "$@"
./incus.sh >/dev/null
if ! command -v lxd >/dev/null; then
  say "installing lxd"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 lxd lxd-client >&2
fi
answers || start_daemon
configure_daemon
sweep
printf 'RECOUP_TEST_LXD_%s=%q\n' SOCKET "$home/unix.socket" IMAGE "$image" NETWORK "$network" SUBNET "$subnet"
