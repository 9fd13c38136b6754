#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that a group of work needs, and only those that are missing.
#   tools/packages.sh build|test|fuzz|aarch64|bench|terraform|peers...
set -euo pipefail

group_build="build-essential cmake ninja-build pkg-config libsodium-dev libssl-dev libzstd-dev zlib1g-dev
             libsimdjson-dev libexpat1-dev libcurl4-openssl-dev libfuse3-dev libcli11-dev libgtest-dev"
group_test="ccache attr acl busybox-static fuse3 rsync tzdata systemd groff-base python3 python3-dev python3-venv"
group_fuzz="clang"
group_aarch64="g++-aarch64-linux-gnu qemu-user"
group_bench="libbenchmark-dev"
group_restic="restic"
group_terraform="openssh-server openssh-client procps ca-certificates"
group_peers="pkg-config build-essential python3 python3-dev python3-venv
             libsodium-dev libssl-dev libacl1-dev liblz4-dev libxxhash-dev libzstd-dev"

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    echo "tools/packages.sh: must install packages: run as root, or install sudo, or install by hand: $*" >&2
    return 1
  fi
}

is_installed() { [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]; }

# libcurl's packages exclude one another; whichever is there will do, and must not be replaced. So will any qemu.
is_there() {
  is_installed "$1" ||
    { [ "$1" = libcurl4-openssl-dev ] && { is_installed libcurl4-gnutls-dev || is_installed libcurl4-nss-dev; }; } ||
    { [ "$1" = qemu-user ] && { command -v qemu-aarch64-static || command -v qemu-aarch64; } >/dev/null; }
}

if ! command -v apt-get >/dev/null; then
  echo "tools/packages.sh knows Debian and Ubuntu only. Install these yourself, under your system's names, then" >&2
  echo "build with: cmake --preset release && cmake --build --preset release" >&2
  echo $group_build >&2
  exit 1
fi

missing=()
for group in "$@"; do
  names="group_$group"
  for package in ${!names:?unknown group}; do
    is_there "$package" || missing+=("$package")
  done
  # Any Go will do, wherever it came from.
  [ "$group" != test ] || command -v go >/dev/null || missing+=(golang-go)
  # libFuzzer and the sanitizers' runtimes come apart from clang, under clang's version number.
  if [ "$group" = fuzz ] && ! { command -v clang++ >/dev/null &&
      compgen -G "$(clang++ -print-resource-dir)/lib/linux/libclang_rt.fuzzer-*.a" >/dev/null; }; then
    missing+=(libclang-rt)
  fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  -o DPkg::Lock::Timeout=600 "$@"; }
candidates() { apt-cache --quiet=0 policy "$1" 2>/dev/null | grep -q 'Candidate: [0-9]'; }
for package in "${missing[@]}"; do
  if [ "$package" != libclang-rt ] && ! candidates "$package"; then
    as_root apt-get update -qq
    break
  fi
done
wanted=()
for package in "${missing[@]}"; do [ "$package" = libclang-rt ] || wanted+=("$package"); done
# Package lists older than the archive name files that are gone: read them again, then once more.
[ ${#wanted[@]} = 0 ] || install "${wanted[@]}" || { as_root apt-get update -qq && install "${wanted[@]}"; }
case " ${missing[*]} " in *" libclang-rt "*)
  install "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev" ;;
esac
