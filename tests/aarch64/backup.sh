#!/usr/bin/env bash
# Backs a tree up with PROGRAM (examples/backup_and_restore.cpp for aarch64) in the emulator and with the command of this
# machine, into one repository: the stored trees must be the same, real restic must read every byte, and what PROGRAM
# restored must be what was there.
#   RECOUP=… RESTIC=… EMULATOR="qemu-aarch64 …" tests/aarch64/backup.sh PROGRAM
set -euo pipefail
program=$1
: "${RECOUP:?the command of this machine}" "${RESTIC:?the real restic}" "${EMULATOR:?how to run $program}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export RESTIC_PASSWORD=secret RESTIC_REPOSITORY=$work/repository RESTIC_CACHE_DIR=$work/cache HOME=$work

fail() { echo "FAILED: $1"; exit 1; }

# Else nothing here would use OpenSSL's code for them. Bit 6 is HWCAP_SHA2.
capabilities=$({ $EMULATOR -E LD_SHOW_AUXV=1 "$program" 2>&1 || true; } | awk '$1 == "AT_HWCAP:" { print $2 }')
(((16#${capabilities#0x} >> 6) & 1)) || fail "the emulated processor has no SHA-2 instructions: AT_HWCAP $capabilities"

# Bytes from 0x80 in names and attributes, valid UTF-8 and not: `char` has no sign on aarch64.
tree=$work/tree
mkdir -p "$tree/directory/nächste" "$tree/"$'bad \xff\xfe name' "$tree/empty"
head -c 9000000 /dev/urandom >"$tree/random" # several chunks
seq 1 200000 >"$tree/directory/numbers"
head -c 3000000 /dev/zero >"$tree/zeros"
printf 'x' >"$tree/directory/nächste/größe"
printf 'y' >"$tree/"$'bad \xff\xfe name'/$'\x01\x7f\x80'
: >"$tree/nothing"
ln "$tree/random" "$tree/directory/hard link"
ln -s $'somewhere/\xc3\xa9\xff' "$tree/symbolic"
mkfifo "$tree/fifo"
setfattr -n user.recoup -v 0x00ff80 "$tree/nothing" 2>/dev/null || echo "no extended attributes in $work"
touch -d '1969-12-31 23:59:58.123456789 UTC' "$tree/zeros"
touch -d '2099-01-01 00:00:00.000000001 UTC' "$tree/nothing"
chmod 4751 "$tree/nothing"

"$RECOUP" init --quiet
$EMULATOR "$program" "$RESTIC_REPOSITORY" "$tree" "$work/restored"
"$RECOUP" cat "tree" "latest:$tree" >"$work/theirs"
"$RECOUP" backup --quiet --force "$tree"
"$RECOUP" cat "tree" "latest:$tree" >"$work/ours"
[ "$("$RECOUP" snapshots --json | grep -o '"short_id"' | wc -l)" = 2 ] || fail "there are not two snapshots"
# The tree's JSON names the id of every file's blobs and of every tree below.
[ "$(grep -c nothing "$work/ours")" = 1 ] || fail "the tree is not what was backed up"
cmp "$work/theirs" "$work/ours" || fail "the two trees differ"
"$RESTIC" check --read-data --quiet
differences=$(rsync -aHXni --delete --checksum "$tree/" "$work/restored/" | grep -v ' \./$' || true)
[ -z "$differences" ] || fail "restored otherwise: $differences"
echo "the same trees on both, restored as it was; restic reads all of it"
