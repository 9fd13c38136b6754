# Sourced. Reads packages of other Debian suites, or source packages, from the mirror this machine already uses, with
# lists and cache of its own: the machine's own sources and package choices stay as they are.

# private_apt_prepare DIR deb|deb-src SUITE: false if this machine has no Debian mirror, or the mirror has no such suite.
private_apt_prepare() {
  local dir=$1 type=$2 suite=$3 mirror keyring
  mirror=$(private_apt_mirror)
  [ -n "$mirror" ] || return 1
  mkdir -p "$dir"/{lists/partial,cache/archives/partial,parts}
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  {
    printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\n' "$type" "$mirror" "$suite"
    [ ! -e "$keyring" ] || printf 'Signed-By: %s\n' "$keyring"
  } >"$dir/parts/private.sources"
  private_apt "$dir" update -qq
}

# Where apt says Debian's own main component comes from.
private_apt_mirror() {
  apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' '$1 == "Debian" && $2 == "main" && $3 == "Debian" { print $4; exit }'
}

private_apt() {
  local dir=$1
  shift
  apt-get -o Dir::Etc::sourcelist=/nonexistent -o Dir::Etc::sourceparts="$dir/parts" -o Dir::Etc::preferences=/nonexistent \
    -o Dir::Etc::preferencesparts=/nonexistent -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" \
    -o APT::Sandbox::User=root "$@" 2> >(grep -v '^W: Unable to read /nonexistent' >&2)
}
