#!/usr/bin/env bash
# Finds Terraform and builds OpenTofu, which the provider's tests run with, and prints where they are, for a shell to evaluate:
#   TOFU=…  TERRAFORM=…
#
# OpenTofu is built from the Go module proxy as a dependency of the module in tests/support/opentofu, which pins it and what
# it needs by hash, into ${RECOUP_TEST_CACHE:-~/.cache/recoup-test}: four minutes of two cores, once. Terraform cannot be built
# that way (its modules refer to one another by relative paths): the one on PATH is taken, and TERRAFORM is empty where
# there is none. A path in the environment is taken as it is.
set -euo pipefail
cd "$(dirname "$0")"
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
module=../tests/support/opentofu
version=$(sed -nE 's|^.*github.com/opentofu/opentofu v([0-9.]+).*|\1|p' "$module/go.mod")
path=${TOFU:-$cache/bin/tofu-$version}

build() { # moved to its name only when whole, so that an interrupted build leaves nothing to be run
  local work
  work=$(mktemp -d "$cache/build.XXXXXX")
  command -v go >/dev/null || ./packages.sh test >&2
  echo "tools/opentofu.sh: building OpenTofu $version" >&2
  if ! (cd "$module" && GOTOOLCHAIN=auto GOFLAGS="-buildvcs=false -mod=readonly" CGO_ENABLED=0 go build -p 2 -trimpath \
      -ldflags "-s -w -X github.com/opentofu/opentofu/version.dev=no" -o "$work/tofu" github.com/opentofu/opentofu/cmd/tofu >&2); then
    rm -rf "$work"
    echo "tools/opentofu.sh: cannot build it with $(go version): it needs Go 1.21 or newer, and the module proxy" >&2
    return 1
  fi
  mv "$work/tofu" "$path" && rmdir "$work"
}

if [ ! -x "$path" ]; then
  [ -z "${TOFU:-}" ] || { echo "tools/opentofu.sh: TOFU=$path: no such program" >&2; exit 1; }
  mkdir -p "$cache/bin"
  (
    flock 9
    [ -x "$path" ] || build
  ) 9>"$cache/opentofu.lock"
fi

terraform=${TERRAFORM:-$(command -v terraform || true)}
if [ -n "$terraform" ] && [ ! -x "$terraform" ]; then
  echo "tools/opentofu.sh: TERRAFORM=$terraform: no such program" >&2
  exit 1
fi
[ -n "$terraform" ] || echo "tools/opentofu.sh: no Terraform on PATH: what runs with both runs with OpenTofu only" >&2
printf 'TOFU=%q\nTERRAFORM=%q\n' "$path" "$terraform"
