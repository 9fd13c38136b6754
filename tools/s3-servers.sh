#!/usr/bin/env bash
# Builds the S3 servers that tests run against into ${RECOUP_TEST_CACHE:-~/.cache/recoup-test}/bin, from the Go module proxy,
# and prints where they are, for a shell to evaluate:  MINIO=… MC=… VERSITYGW=…
#
# Two servers that share no code: MinIO, which most who keep backups at home run, with its client mc for users and policies;
# and Versity's gateway, whose objects are plain files in a directory, and whose reading of the protocol is its own.
# A path in the environment is taken as it is, and what is there already is never built again: all three take about
# seven minutes on two cores.
set -euo pipefail
cache=${RECOUP_TEST_CACHE:-$HOME/.cache/recoup-test}
mkdir -p "$cache/bin"

# MinIO and mc number their releases in a way Go does not read, so each is pinned by the commit's pseudo-version.
minio=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
mc=github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9
versitygw=github.com/versity/versitygw/cmd/versitygw@v1.8.0

build() { # PACKAGE@VERSION: moved to its name only when whole, so that an interrupted build leaves nothing to be run
  local work
  work=$(mktemp -d "$cache/build.XXXXXX")
  command -v go >/dev/null || "$(dirname "$0")/packages.sh" test >&2
  echo "tools/s3-servers.sh: building $1" >&2
  if ! GOBIN=$work GOTOOLCHAIN=auto GOFLAGS=-buildvcs=false CGO_ENABLED=0 go install -p 2 -trimpath "$1" >&2; then
    rm -rf "$work"
    echo "tools/s3-servers.sh: cannot build $1 with $(go version): it needs Go 1.21 or newer, and the module proxy" >&2
    return 1
  fi
  mv "$work"/* "$cache/bin/" && rmdir "$work"
}

find_program() { # VARIABLE NAME PACKAGE@VERSION
  local variable=$1 name=$2 path
  path=${!variable:-$cache/bin/$name}
  if [ ! -x "$path" ]; then
    [ "$path" = "$cache/bin/$name" ] || { echo "tools/s3-servers.sh: $variable=$path: no such program" >&2; return 1; }
    (
      flock 9
      [ -x "$path" ] || build "$3"
    ) 9>"$cache/s3-servers.lock"
  fi
  printf '%s=%q\n' "$variable" "$path"
}

find_program MINIO minio "$minio"
find_program MC mc "$mc"
find_program VERSITYGW versitygw "$versitygw"
