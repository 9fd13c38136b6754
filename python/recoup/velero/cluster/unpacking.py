"""A volume's archive unpacked by tar in a container, and looked at afterwards."""

from __future__ import annotations

import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from ..._engine import IncompleteError, InvalidArgumentError, UnsupportedError
from ..fields import printable
from ..volume_tar import VolumeTar
from .executing import Container, Ended, NoSuchProgram

OnSent = Callable[[int, int], None]
"""Bytes of the archive that were sent, and of how many."""

# A checksum of a file of a terabyte takes hours, in which nothing is said.
_CHECKSUM_PATIENCE = 4 * 3600.0
_GNU = ("tar", "-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*")
_OTHER = ("tar", "-x", "-p")
# Types and sizes of all that is there, a line for each: names, which may have line breaks, are not said.
_COUNT = 'cd -- "$0" && find . -xdev -mindepth 1 {prune} -exec stat -c "%f %s" {{}} +'
_PRUNE = "-path ./lost+found -prune -o"


class Unpacker:
    """Into one directory of a container, `path`."""

    def __init__(self, container: Container, tar: VolumeTar, path: str) -> None:
        self._container = container
        self.tar = tar
        self._path = path

    def __str__(self) -> str:
        return f"{self._path} in {self._container}"

    def check_empty(self, may_have_others: bool) -> None:
        """Raises InvalidArgumentError where there is no such directory, or anything in it."""
        ended = self._container.run(["ls", "-A", self._path + "/"])
        if ended.code:
            raise InvalidArgumentError(f"there is no directory {self}, or it cannot be read: {ended.words}")
        # So a new file system begins.
        names = [name for name in ended.output.decode(errors="replace").split("\n") if name and name != "lost+found"]
        if names and not may_have_others:
            raise InvalidArgumentError(
                f"{self} is not empty ({len(names)} or more entries, such as {printable(names[0])}): nothing was written. Say that what is there may be written "
                f"over (restore-pvc --overwrite always), or empty it"
            )

    def unpack(self, *, has_others: bool, verify: bool, progress: OnSent | None) -> tuple[str, ...]:
        """What there is to say about it. Raises IncompleteError where not all could be written, or not all is there."""
        totals = self.tar.totals()
        notes = []
        if totals.left_out:
            some = ", ".join(printable(each) for each in totals.left_out[:5])
            notes.append(f"{len(totals.left_out)} sockets or the like were left out, which no archive holds: {some}")
        command, is_gnu, probe = self._command(notes)
        with tempfile.TemporaryFile(prefix="recoup-checksums-") as checksums:
            archive = self.tar.pieces(_checksum_writer(checksums, is_gnu) if verify else None)
            ended = self._feed(command, _told(archive, totals.size, progress), totals.size, probe)
            if ended.code:
                raise IncompleteError(f"not all of {self.tar.name} was written into {self}: tar: {ended.words}{_advice(ended.errors)}")
            if ended.errors.strip():
                notes.append(f"tar said: {printable(ended.errors.strip(), 1000)}")
            notes += self._count(has_others)
            if verify:
                notes += self._compare(checksums, probe)
        return tuple(notes)

    def _command(self, notes: list[str]) -> tuple[list[str], bool, Ended]:
        totals = self.tar.totals()
        probe = self._container.run(["tar", "--version"])
        said = (probe.output.decode(errors="replace") + probe.errors).lower()
        is_gnu = "gnu tar" in said
        command = list(_GNU if is_gnu else _OTHER)
        if not is_gnu:
            notes.append("the container's tar is not GNU's: times are set to the second, symlinks have no owners or times of their own")
            if totals.with_attributes:
                notes.append(f"extended attributes of {totals.with_attributes} entries were left out: the container's tar does not restore them")
        user = self._container.run(["id", "-u"]).output.strip()
        if user != b"0":
            command.append("--no-same-owner" if is_gnu else "-o")
            notes.append(f"all belongs to user {printable(user.decode(errors='replace'))}, as whom the container runs: only root gives files their owners")
        return [*command, "-f", "-", "-C", self._path], is_gnu, probe

    def _feed(self, command: Sequence[str], source: Iterator[bytes], size: int, probe: Ended, patience: float | None = None) -> Ended:
        if probe.has_end_of_input:
            return self._container.run(command, source, patience=patience)
        # GNU tar and BusyBox's read behind the archive's end until their input ends, and here it does not.
        return self._container.run(["sh", "-c", 'head -c "$0" | "$@"', str(size), *command], source, patience=patience)

    # ---- looked at -------------------------------------------------------------------------------------------------------

    def _count(self, has_others: bool) -> list[str]:
        """Compares how many entries of each type there are, and how many bytes they have, with the backup."""
        totals = self.tar.totals()
        script = _COUNT.format(prune="" if self.tar.has_lost_and_found else _PRUNE)
        counter = _Counter()
        try:
            ended = self._container.run(["sh", "-c", script, self._path], output=counter.take)
        except NoSuchProgram:
            return ["what is there was not counted: the container has no find or stat"]
        if ended.code and "not found" in ended.errors:
            return ["what is there was not counted: the container has no find or stat"]
        if ended.code:
            raise IncompleteError(f"what was written into {self} cannot be read: {ended.words}")
        found = (counter.files, counter.directories, counter.symlinks, counter.others, counter.content)
        expected = (totals.files, totals.directories, totals.symlinks, totals.others, totals.content)
        if found == expected or (has_others and all(there >= wanted for there, wanted in zip(found, expected))):
            return []
        names = ("files", "directories", "symlinks", "devices and pipes", "bytes")
        differences = ", ".join(f"{there} {name} and not {wanted}" for name, there, wanted in zip(names, found, expected) if there != wanted)
        raise IncompleteError(
            f"{self} does not hold what {self.tar.name} does: there are {differences}. Did anything else write there? Fill it again "
            f"(restore-pvc --overwrite always)"
        )

    def _compare(self, checksums: IO[bytes], probe: Ended) -> list[str]:
        """All content is read again, from the volume."""
        size = checksums.tell()
        if not size:
            return []
        checksums.seek(0)
        source = iter(lambda: checksums.read(1 << 20), b"")
        command = ["sh", "-c", 'cd -- "$0" && sha256sum -c', self._path]
        try:
            ended = self._feed(command, source, size, probe, patience=_CHECKSUM_PATIENCE)
        except NoSuchProgram as problem:
            raise UnsupportedError(f"{self} was filled, but cannot be verified: {problem}") from problem
        if ended.code == 127:
            raise UnsupportedError(f"{self} was filled, but cannot be verified: {ended.words}")
        if ended.code:
            raise IncompleteError(f"{self} was filled, but holds other content than {self.tar.name}: {ended.words}")
        return []


class _Counter:
    """Of lines such as "81a4 4096": mode and size."""

    def __init__(self) -> None:
        self._rest = b""
        self._types: Counter[int] = Counter()
        self.content = 0

    def take(self, content: bytes) -> None:
        *lines, self._rest = (self._rest + content).split(b"\n")
        for line in lines:
            mode, _, size = line.partition(b" ")
            kind = stat.S_IFMT(int(mode, 16))
            self._types[kind] += 1
            if kind == stat.S_IFREG:
                self.content += int(size)

    @property
    def files(self) -> int:
        return self._types[stat.S_IFREG]

    @property
    def directories(self) -> int:
        return self._types[stat.S_IFDIR]

    @property
    def symlinks(self) -> int:
        return self._types[stat.S_IFLNK]

    @property
    def others(self) -> int:
        return sum(self._types.values()) - self.files - self.directories - self.symlinks


def _told(archive: Iterator[bytes], size: int, progress: OnSent | None) -> Iterator[bytes]:
    sent = 0
    for piece in archive:
        yield piece
        sent += len(piece)
        if progress is not None:
            progress(sent, size)


def _checksum_writer(into: IO[bytes], escapes: bool) -> Callable[[bytes, str], None]:
    """Lines as sha256sum takes them. GNU's has line breaks and backslashes of names written otherwise; BusyBox's has not: a name with a
    line break cannot be said to it."""

    def write(name: bytes, digest: str) -> None:
        mark = b""
        if escapes and (b"\n" in name or b"\\" in name or b"\r" in name):
            name, mark = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r"), b"\\"
        if b"\n" not in name:
            into.write(mark + digest.encode() + b"  " + name + b"\n")

    return write


def _advice(errors: str) -> str:
    if "No space left" in errors:
        return ". The volume is too small: give its claim more storage"
    if "Read-only file system" in errors:
        return ". The volume is mounted for reading only"
    if "Disk quota exceeded" in errors:
        return ". The storage allows no more"
    return ""
