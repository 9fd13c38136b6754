#!/usr/bin/env bash
# Fetches the two real restic programs that tests compare with, into ${RECOUP_TEST_CACHE:-~/.cache/recoup-test}, and prints
# where they are, for a shell to evaluate:  RESTIC=… (0.19.1 or newer)  RESTIC_OLD=… (0.14.0, the first with format 2)
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
mkdir -p "$cache"

# fetch NAME SUITE: $cache/NAME/usr/bin/restic
fetch() {
  local name=$1 suite=$2 work
  [ ! -x "$cache/$name/usr/bin/restic" ] || return 0
  work=$(mktemp -d "$cache/fetch.XXXXXX")
  (
    private_apt_prepare "$work" "$suite" && cd "$work" && private_apt "$work" download -qq restic &&
      dpkg -x restic_*.deb tree && rm -rf "${cache:?}/$name" && mv tree "$cache/$name"
  ) >&2 || { rm -rf "$work"; return 1; }
  rm -rf "$work"
}

# find VARIABLE NAME SUITE: what the environment says, or the cached one, or the suite's, or the system's own.
find_restic() {
  local variable=$1 name=$2 suite=$3 path
  path=${!variable:-$cache/$name/usr/bin/restic}
  if [ ! -x "$path" ] && ! fetch "$name" "$suite"; then
    path=$(command -v restic) || { "$(dirname "$0")/packages.sh" restic >&2 && path=$(command -v restic); }
    echo "tools/restic.sh: no Debian mirror with $suite here; $variable is $($path version)" >&2
  fi
  printf '%s=%q\n' "$variable" "$path"
}

[ -x "$cache/restic-0.19.1/usr/bin/restic" ] || private_apt_need_lists
find_restic RESTIC restic-0.19.1 forky
find_restic RESTIC_OLD restic-0.14.0 bookworm
