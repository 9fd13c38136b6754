#!/usr/bin/env bash
# Builds resticprofile, a wrapper of restic that tests run with recoup in its place, into ${RECOUP_TEST_CACHE:-~/.cache/recoup-test},
# and prints where it is, for a shell to evaluate:  RESTICPROFILE=…
#
# It is built as a dependency of the module in tests/support/resticprofile, which pins it and what it needs by hash. What is there
# already is not built again: it takes a minute of two cores. A path in the environment is taken as it is.
set -euo pipefail
cd "$(dirname "$0")"
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
mkdir -p "$cache"
package=github.com/creativeprojects/resticprofile
module=../tests/support/resticprofile
version=$(sed -n "s|^require $package ||p" "$module/go.mod")
path=${RESTICPROFILE:-$cache/bin/resticprofile-$version}

build() { # the module's copy, because the build notes there what else is needed
  local work
  work=$(mktemp -d "$cache/build.XXXXXX")
  cp "$module"/go.* "$work"
  command -v go >/dev/null || ./packages.sh test >&2
  echo "tools/resticprofile.sh: building $package@$version" >&2
  if ! (cd "$work" && GOTOOLCHAIN=auto GOFLAGS="-buildvcs=false -mod=mod" CGO_ENABLED=0 go build -p 2 -trimpath -o resticprofile "$package" >&2); then
    rm -rf "$work"
    echo "tools/resticprofile.sh: cannot build it with $(go version): it needs Go 1.24 or newer, and the module proxy" >&2
    return 1
  fi
  mkdir -p "$cache/bin" && mv "$work/resticprofile" "$path" && rm -rf "$work"
}

if [ ! -x "$path" ]; then
  [ -z "${RESTICPROFILE:-}" ] || { echo "tools/resticprofile.sh: RESTICPROFILE=$path: no such program" >&2; exit 1; }
  (
    flock 9
    [ -x "$path" ] || build
  ) 9>"$cache/resticprofile.lock"
fi
printf 'RESTICPROFILE=%q\n' "$path"
