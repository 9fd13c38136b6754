#!/usr/bin/env bash
# What recoup is cross-built against and run with for aarch64 (NAS boxes, Raspberry Pis): Debian's arm64 packages, unpacked
# into ${RECOUP_TEST_CACHE:-~/.cache/recoup-test}/aarch64. Nothing is installed for it: of the -dev packages several may not be
# there for two architectures at once. Prints where it is, for a shell to evaluate:  AARCH64_SYSROOT=…
#
#   tools/aarch64-sysroot.sh              unpacks it if it is not there yet, or was made for another suite or list of packages
#   tools/aarch64-sysroot.sh --possible   says on stderr why it can't be had on this machine, and then fails with 77
#
# The compiler and the emulator are this machine's own: tools/packages.sh aarch64.
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
target=$cache/aarch64
packages="libsodium-dev libssl-dev libzstd-dev zlib1g-dev libsimdjson-dev libexpat1-dev libcurl4-openssl-dev libcli11-dev
          libgtest-dev"
# The cross compiler brings its own headers and start files of glibc; a second set before them would be mixed with these.
of_the_compiler="libc6-dev libc-dev-bin linux-libc-dev libcrypt-dev"
suite=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")

# Ubuntu's archive for arm64 is another one than apt knows on amd64, and nothing here may guess its name.
possible() {
  local system architecture
  system=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown}")
  architecture=$(dpkg --print-architecture 2>/dev/null || uname -m)
  case $system-$architecture in
    debian-arm64) echo "this machine is aarch64 itself: the other parts test it" >&2 ;;
    debian-*) return 0 ;;
    *) echo "cross-building for aarch64 needs a Debian mirror; this system is $system" >&2 ;;
  esac
  return 77
}

apt_of_target() {
  local work=$1
  shift
  private_apt "$work" -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::status=/dev/null \
    -o Debug::NoLocking=1 "$@"
}

# Packages link to each other by absolute paths, which mean this machine's own files here.
relative_links() { # TREE
  local link to
  find "$1" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
    to=$1$(readlink "$link")
    ln -sfn "$(realpath -m --no-symlinks --relative-to="$(dirname "$link")" "$to")" "$link"
  done
}

fetch() { # WORK: leaves WORK/tree
  local work=$1 file mirror
  private_apt_need_lists
  mirror=$(private_apt_mirror)
  [ -n "$mirror" ] || { echo "tools/aarch64-sysroot.sh: apt knows no Debian mirror here"; return 1; }
  private_apt_begin "$work"
  private_apt_add "$work" deb Debian "$mirror" "$suite" main
  apt_of_target "$work" update -qq
  apt_of_target "$work" install -qq --download-only --yes --no-install-recommends $packages
  # Some packages still have /lib where others have /usr/lib.
  mkdir -p "$work/tree/usr/lib"
  ln -s usr/lib "$work/tree/lib"
  for file in "$work"/cache/archives/*.deb; do
    case " $of_the_compiler " in *" $(dpkg-deb -f "$file" Package) "*) continue ;; esac
    dpkg-deb --fsys-tarfile "$file" | tar -x --keep-directory-symlink -C "$work/tree"
  done
  relative_links "$work/tree"
  rm -rf "$work"/tree/usr/share/{doc,man,locale}
  echo "$made_from" >"$work/tree/made-from"
}

[ "${1:-}" != --possible ] || { possible && exit 0; }
possible
mkdir -p "$cache"
made_from="$suite: $(echo $packages), without $of_the_compiler"
(
  flock 9
  [ "$made_from" != "$(cat "$target/made-from" 2>/dev/null)" ] || exit 0
  work=$(mktemp -d "$cache/aarch64.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "tools/aarch64-sysroot.sh: unpacking Debian's arm64 packages of $suite" >&2
  fetch "$work" >&2
  rm -rf "$target"
  mv "$work/tree" "$target"
) 9>"$cache/aarch64.lock"
printf 'AARCH64_SYSROOT=%q\n' "$target"
