#!/usr/bin/env bash
# Debian ships every library of the recoup executable as a static one too, but simdjson. This builds libsimdjson.a from
# the distribution's own source package, of the version that is installed, into
# ${RECOUP_STATIC_PREFIX:-~/.cache/recoup-build}/simdjson-VERSION; CMake finds it there. Where it can't be had, the
# executable works all the same but needs libsimdjson.so on each machine it is copied to.
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"
version=$(pkg-config --modversion simdjson)
prefix=${RECOUP_STATIC_PREFIX:-$HOME/.cache/recoup-build}/simdjson-$version
[ ! -e "$prefix/libsimdjson.a" ] || exit 0

mkdir -p "$prefix"
work=$(mktemp -d "$prefix/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
give_up() {
  echo "tools/static-libraries.sh: $1; the executable will need libsimdjson.so where it runs" >&2
  exit 0
}

suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
private_apt_prepare "$work/apt" deb-src "$suite" >&2 || give_up "no Debian source packages to be had here"
cd "$work"
private_apt "$work/apt" source -qq --download-only "simdjson=$(dpkg-query -W -f '${source:Version}' libsimdjson-dev)" >&2 ||
  give_up "no source package of simdjson $version"
tar xf simdjson_*.orig.tar.* --strip-components=2 --wildcards '*/singleheader/simdjson.*'
# The static library must match the header that our code is compiled with, to the byte of its layout.
grep -q "SIMDJSON_VERSION \"\?$version" simdjson.h || give_up "its source package is of another version than $version"
echo "building libsimdjson.a $version"
"${CXX:-c++}" -std=c++17 -O3 -DNDEBUG -fPIC -DSIMDJSON_THREADS_ENABLED=1 -c simdjson.cpp -o simdjson.o
ar rcs "$work/libsimdjson.a" simdjson.o
mv "$work/libsimdjson.a" "$prefix/libsimdjson.a"
