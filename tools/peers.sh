#!/usr/bin/env bash
# Gets the backup programs that benchmarks compare with into ${RECOUP_TEST_CACHE:-~/.cache/recoup-test}, and prints where they
# are, for a shell to evaluate:  RESTIC=… RUSTIC=… BORG=… BUPSTASH=…
#
#   tools/peers.sh               builds what is missing: rustic takes seven minutes of a core, bupstash one and a half
#   tools/peers.sh --installed   builds nothing, prints only what is there
#
# A path in the environment is taken as it is. A program that cannot be had is left out with a message; only its columns
# will be missing.
set -uo pipefail
cd "$(dirname "$0")"
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
mkdir -p "$cache"

rustic=rustic-rs@0.11.4
bupstash=bupstash@0.12.0
borg=borgbackup==1.4.5

# Each builds into the directory $1, which gets its name only when whole.
build_rustic() { cargo install "$rustic" --locked --no-default-features --root "$1"; }

build_bupstash() { ./packages.sh peers && cargo install "$bupstash" --locked --root "$1"; }

# The scripts of a virtual environment name its directory, so it is made where it stays; the mark says that it is whole.
build_borg() {
  ./packages.sh peers && python3 -m venv "$cache/borg" && mkdir -p "$1/bin" &&
    "$cache/borg/bin/pip" install -q --disable-pip-version-check "$borg" && ln -s "$cache/borg/bin/borg" "$1/bin/borg"
}

build() { # NAME TARGET
  local work code
  work=$(mktemp -d "$cache/build.XXXXXX")
  echo "tools/peers.sh: building $1" >&2
  if [ "$1" != borg ] && ! command -v cargo >/dev/null; then
    echo "tools/peers.sh: no cargo here (rustup, or Debian's cargo)" >&2
    false
  else
    CARGO_TARGET_DIR=$work/target "build_$1" "$work/whole" >&2
  fi
  code=$?
  rm -rf "$work/target"
  [ $code != 0 ] || { rm -rf "$2" && mv "$work/whole" "$2"; }
  rm -rf "$work"
  return $code
}

find_peer() { # VARIABLE NAME
  local variable=$1 name=$2 target=$cache/peer-$2 path
  path=${!variable:-$target/bin/$name}
  if [ ! -x "$path" ] && [ "$installed_only" = no ] && [ -z "${!variable:-}" ]; then
    (
      flock 9
      [ -x "$path" ] || build "$name" "$target"
    ) 9>"$cache/peers.lock"
  fi
  if [ -x "$path" ]; then
    printf '%s=%q\n' "$variable" "$path"
  else
    echo "tools/peers.sh: no $name ($path): left out" >&2
  fi
}

find_restic() {
  local path=${RESTIC:-$cache/restic-0.19.1/usr/bin/restic}
  if [ -x "$path" ]; then
    printf 'RESTIC=%q\n' "$path"
  elif [ "$installed_only" = yes ] || ! ./restic.sh | grep '^RESTIC='; then
    echo "tools/peers.sh: no restic ($path): left out" >&2
  fi
}

case ${1:-} in
  "") installed_only=no ;;
  --installed) installed_only=yes ;;
  *)
    echo "tools/peers.sh: unknown argument $1; there is --installed" >&2
    exit 2 ;;
esac

find_restic
find_peer RUSTIC rustic
find_peer BORG borg
find_peer BUPSTASH bupstash
exit 0
