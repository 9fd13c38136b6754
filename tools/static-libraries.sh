#!/usr/bin/env bash
# The recoup executable carries its libraries with it, and Debian ships all of them as static ones but two: there is no
# libsimdjson.a, and libcurl.a needs what curl can do besides HTTP: Kerberos, LDAP, SSH and more. This builds both from
# the distribution's own source packages, patches included, of the versions that are installed, into
# ${RECOUP_STATIC_PREFIX:-~/.cache/recoup-build}/NAME-VERSION; CMake finds them there. Where one can't be had, the
# executable works all the same but needs the shared library on each machine it is copied to.
set -euo pipefail
cd "$(dirname "$0")"
. ./private-apt.sh
prefix=${RECOUP_STATIC_PREFIX:-$HOME/.cache/recoup-build}

# ---- how each is built: recipe_NAME SOURCE_DIR leaves libNAME.a in the current directory -----------------------------

recipe_simdjson() {
  "${CXX:-c++}" -std=c++17 -O3 -DNDEBUG -fPIC -DSIMDJSON_THREADS_ENABLED=1 -o simdjson.o \
    -c "$1/singleheader/simdjson.cpp" &&
    ar rcs libsimdjson.a simdjson.o
}

# HTTP and HTTPS, through a proxy too; names are looked up in a thread, so that a slow name server stops no transfer.
# Cookies, .netrc, HSTS and alternative services would let a server or a file steer requests that carry keys. No path of
# certificates is built in: where they lie differs between systems, and the executable runs on any. It reads what the
# network sends, so it has the distribution's hardening flags.
recipe_curl() {
  local off option flags
  flags="$(dpkg-buildflags --get CPPFLAGS) $(dpkg-buildflags --get CFLAGS) -g0 -fno-lto"
  for option in BUILD_SHARED_LIBS BUILD_CURL_EXE BUILD_TESTING BUILD_LIBCURL_DOCS BUILD_MISC_DOCS ENABLE_CURL_MANUAL \
    CURL_ZLIB CURL_BROTLI CURL_ZSTD USE_NGHTTP2 USE_LIBIDN2 CURL_USE_LIBPSL CURL_USE_LIBSSH2 CURL_USE_GSSAPI; do
    off+=("-D$option=OFF")
  done
  for option in COOKIES NETRC HSTS ALTSVC NTLM DOH MIME WEBSOCKETS; do off+=("-DCURL_DISABLE_$option=ON"); done
  cmake -S "$1" -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-DNDEBUG -DCMAKE_C_FLAGS="$flags" \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DHTTP_ONLY=ON -DCURL_USE_OPENSSL=ON -DENABLE_IPV6=ON \
    -DENABLE_THREADED_RESOLVER=ON -DCURL_CA_BUNDLE=none -DCURL_CA_PATH=none "${off[@]}" &&
    cmake --build build && mv build/lib/libcurl.a .
}

# ---- the steps both share ------------------------------------------------------------------------------------------

# The source packages of the suites that this machine's packages come from. Once for all libraries.
source_lists() { [ -e "$work/apt/ready" ] || { private_apt_sources "$work/apt" && touch "$work/apt/ready"; }; }

# static_library NAME PKG_CONFIG_NAME HEADER HEADER_IN_SOURCE
static_library() (
  name=$1 version=$(pkg-config --modversion "$2") header=$(pkg-config --variable=includedir "$2")/$3
  target=$prefix/$name-$version
  give_up() {
    rm -rf "$target" # an outdated one would go unnoticed
    echo "tools/static-libraries.sh: no lib$name.a $version: $1; the executable needs lib$name.so where it runs" >&2
    exit 0
  }
  package=$(dpkg-query -S "$header" 2>/dev/null | cut -d: -f1) || give_up "$header is of no package"
  source=$(dpkg-query -W -f '${source:Package}=${source:Version}' "$package")

  # A security update changes the package's version and not the library's, so the file says what it was made from.
  made_from=$source$'\n'$(declare -f "recipe_$name")
  [ ! -e "$target/lib$name.a" ] || [ "$made_from" != "$(cat "$target/made-from" 2>/dev/null)" ] || exit 0

  mkdir "$work/$name"
  cd "$work/$name"
  source_lists >&2 || give_up "no source packages to be had here"
  private_apt "$work/apt" source -qq "$source" >log 2>&1 || { cat log >&2; give_up "no source package $source"; }
  unpacked=$(find . -mindepth 1 -maxdepth 1 -type d)
  cmp -s "$unpacked/$4" "$header" || give_up "$header, which our code is compiled with, is not that of $source"

  echo "building lib$name.a $version"
  "recipe_$name" "$unpacked" >log 2>&1 || { tail -n 30 log >&2; give_up "it does not build here"; }
  mkdir -p "$target"
  mv "lib$name.a" "$target/lib$name.a"
  echo "$made_from" >"$target/made-from"
)

mkdir -p "$prefix"
work=$(mktemp -d "$prefix/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
static_library simdjson simdjson simdjson.h singleheader/simdjson.h
static_library curl libcurl curl/curl.h include/curl/curl.h
