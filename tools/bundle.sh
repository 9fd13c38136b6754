#!/usr/bin/env bash
# Makes the bundle: the recoup executable with all that it needs to run on a Linux of its architecture that has nothing: a bare
# Debian, Ubuntu or Alpine container, without network or package installs.
#   tools/bundle.sh [EXECUTABLE [DIR]]     default: build/release/recoup, build/bundle
# writes DIR/recoup/ and DIR/recoup-VERSION-linux-ARCH.tar.gz, which unpacks into recoup/, and prints the archive's name. To install:
#   tar -C /usr/local/lib -xzf recoup-*.tar.gz && ln -s ../lib/recoup/recoup /usr/local/bin/recoup
#
# The same inputs give the same bytes: times are SOURCE_DATE_EPOCH, or the commit's. tools/bundle/launcher.c says how it works.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
executable=${1:-$root/build/release/recoup}
target=${2:-$root/build/bundle}
fail() { echo "tools/bundle.sh: $*" >&2; exit 1; }

[ -x "$executable" ] || fail "there is no $executable: \`make build\` makes it"
command -v dpkg-query >/dev/null || fail "takes its parts' licences from Debian's or Ubuntu's packages, and there is no dpkg here"
version=$("$executable" version | sed -nE 's/^recoup ([^ ]+).*/\1/p')
[ -n "$version" ] || fail "$executable version does not say its version"
when=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}
machine=$(uname -m)
mkdir -p "$target"
work=$(mktemp -d "$target/new.XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/recoup
mkdir -p "$tree/lib" "$tree/licenses"

# ---- the parts --------------------------------------------------------------------------------------------------------

loader=$(LC_ALL=C readelf -l "$executable" | sed -nE 's/.*program interpreter: (.*)\]/\1/p')
"$loader" --help | grep -q -e --argv0 || fail "glibc's loader here does not know --argv0: glibc 2.33 or newer is needed"
libraries=$(ldd "$executable" | awk '$2 == "=>" { print $3 }' | sort)
strip -o "$tree/lib/engine" "$executable"
install -m 755 "$loader" "$tree/lib/recoup"
for library in $libraries; do install -m 644 "$library" "$tree/lib/"; done
"${CC:-cc}" -std=gnu11 -O2 -Wall -Wextra -Werror -static -s -Wl,--build-id=none -ffile-prefix-map="$root"=. \
  -o "$tree/recoup" "$root/tools/bundle/launcher.c"

# Mozilla's certificates from the package's own files: a machine's list may hold others that only it should trust.
certificates=/usr/share/ca-certificates/mozilla
compgen -G "$certificates/*.crt" >/dev/null || fail "there are no $certificates/*.crt: install the package ca-certificates"
cat "$certificates"/*.crt >"$tree/ca-certificates.crt"

# ---- what they are, and their licences -----------------------------------------------------------------------------------

# The packages of the libraries, of the certificates, and of what is linked into the executable, as far as they are there:
# a part may have been built from elsewhere, which its authors' licence covers all the same.
packages() {
  local file
  for file in $libraries "$loader"; do
    dpkg-query -S "$(readlink -f "$file")" 2>/dev/null || dpkg-query -S "${file#/usr}" 2>/dev/null || dpkg-query -S "$file"
  done | cut -d: -f1
  echo ca-certificates
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' libsodium-dev libssl-dev libzstd-dev zlib1g-dev libsimdjson-dev \
    libexpat1-dev libcurl4-openssl-dev libcurl4-gnutls-dev libfuse3-dev libcli11-dev "libstdc++-$(c++ -dumpversion)-dev" \
    2>/dev/null | awk '$1 == "installed" { print $2 }'
}

cp "$root/LICENSE" "$tree/licenses/recoup"
{
  echo "recoup $version, for Linux on $machine"
  echo
  echo "It carries these, from their Debian or Ubuntu source packages, where their sources are to be had:"
  for package in $(packages | sort -u); do
    dpkg-query -W -f '  ${source:Package} ${source:Version}\n' "$package"
    source=$(dpkg-query -W -f '${source:Package}' "$package")
    cp "/usr/share/doc/$package/copyright" "$tree/licenses/$source" 2>/dev/null ||
      fail "/usr/share/doc/$package/copyright is missing: the bundle must carry the licences of its parts"
  done | sort -u
  echo
  echo "licenses/ has the licence of each. The GNU C Library and libfuse are under the LGPL 2.1: lib/libc.so.6 and its"
  echo "neighbours may be replaced, and recoup's sources, which libfuse is linked to, are to be had with their licence."
} >"$tree/VERSION"

# ---- one archive, the same each time -----------------------------------------------------------------------------------

chmod -R u=rwX,go=rX "$tree"
archive=$target/recoup-$version-linux-$machine.tar.gz
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$when" --format=gnu -cf - recoup | gzip -n -9 >"$work/archive"
rm -rf "$target/recoup"
mv "$tree" "$target/recoup"
mv "$work/archive" "$archive"
echo "$archive"
