# Sourced. Reads packages of other Debian suites, or source packages, from the mirror this machine already uses, with
# lists and cache of its own: the machine's own sources and package choices stay as they are.

# private_apt_prepare DIR SUITE: the packages of SUITE. False if this machine has no Debian mirror, or the mirror has no
# such suite.
private_apt_prepare() {
  local mirror
  mirror=$(private_apt_mirror)
  [ -n "$mirror" ] || return 1
  private_apt_begin "$1"
  private_apt_add "$1" deb Debian "$mirror" "$2" main
  private_apt "$1" update -qq
}

# private_apt_sources DIR: the source packages of all that this machine's packages come from, security updates too.
# False if apt knows no Debian or Ubuntu archive, or one has no source packages.
private_apt_sources() {
  local origin uri suite component found=
  local format='$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)'
  private_apt_need_lists
  private_apt_begin "$1"
  while read -r origin uri suite component; do
    private_apt_add "$1" deb-src "$origin" "$uri" "$suite" "$component"
    found=yes
  done < <(apt-get indextargets --format "$format" 'Created-By: Packages' 2>/dev/null |
    awk '$1 == "Debian" || $1 == "Ubuntu"' | sort -u)
  [ -n "$found" ] && private_apt "$1" update -qq
}

# An archive that has just been installed from has lists; a machine that was made with all packages may have none.
private_apt_need_lists() { [ -n "$(private_apt_mirror)" ] || [ "$(id -u)" != 0 ] || apt-get update -qq >&2; }

private_apt_begin() { mkdir -p "$1"/{lists/partial,cache/archives/partial,parts}; }

private_apt_add() { # DIR TYPE ORIGIN URI SUITE COMPONENT
  local keyring=/usr/share/keyrings/${3,,}-archive-keyring.gpg
  {
    printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: %s\n' "$2" "$4" "$5" "$6"
    [ ! -e "$keyring" ] || printf 'Signed-By: %s\n' "$keyring"
    echo
  } >>"$1/parts/private.sources"
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
