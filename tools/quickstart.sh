#!/usr/bin/env bash
# The main job once, on real files of this machine: back up, list, check every byte, restore, compare. Everything it makes
# is under build/quickstart; a second run goes on with the repository of the first.
set -euo pipefail
cd "$(dirname "$0")/.."
recoup=$PWD/build/release/recoup
home=$PWD/build/quickstart
export RESTIC_REPOSITORY=$home/repository RESTIC_PASSWORD_FILE=$home/password
mkdir -p "$home"

sources=()
for directory in /usr/include /usr/share/doc /usr/share/zoneinfo "$PWD/include"; do
  [ ! -d "$directory" ] || sources+=("$directory")
done

bold='' plain=''
[ ! -t 1 ] || bold=$'\033[1m' plain=$'\033[0m'
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '$ recoup %s\n' "$*"; "$recoup" "$@"; }

if [ ! -e "$RESTIC_REPOSITORY/config" ]; then
  step "A new encrypted repository"
  (umask 077 && head -c 18 /dev/urandom | base64 >"$RESTIC_PASSWORD_FILE")
  show init
fi

step "Back up $(du -shc "${sources[@]}" 2>/dev/null | awk 'END { print $1 }') of real files"
show backup --tag quickstart "${sources[@]}"

step "Again: nothing changed, nothing is stored twice"
show backup --tag quickstart "${sources[@]}"

step "What is in the repository"
show snapshots

step "Check every byte of it"
show check --read-data

step "Restore the newest snapshot, and compare with the originals"
rm -rf "$home/restored"
show restore latest --target "$home/restored"
for directory in "${sources[@]}"; do
  diff -r --no-dereference "$directory" "$home/restored$directory"
done
echo "no difference between the restored files and ${sources[*]}"

cat <<END

Done. All of it is under $home:
  repository/   the backup, in restic's format      password   what opens it: without it nothing can be restored
  restored/     the files that came back

Next:
  export RESTIC_REPOSITORY=$RESTIC_REPOSITORY RESTIC_PASSWORD_FILE=$RESTIC_PASSWORD_FILE
  export PATH=$PWD/build/release:\$PATH
  recoup backup ~/documents           back up something of your own
  recoup ls latest                    what is in the newest snapshot
  recoup find '*.hpp'                 where a file is
  recoup restore latest:/usr/include --target /tmp/include
  sudo make install                   recoup for everyone on this machine
END
