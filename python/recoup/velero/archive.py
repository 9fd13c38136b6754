"""The tarball with a backup's manifests (V:pkg/archive, format 1.1.0).

    metadata/version
    resources/RESOURCE[.GROUP]/namespaces/NAMESPACE/NAME.json          each object,
    resources/RESOURCE[.GROUP]/cluster/NAME.json
    resources/RESOURCE[.GROUP]/VERSION-preferredversion/…              and the same again

Nothing is ever unpacked: documents are read one after the other into memory, and a name in the archive never becomes one of
a file. What it holds is checked, because whoever can write into the bucket can write anything.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from .._engine import DamagedError
from .fields import Fields, parse_json

# etcd takes 1.5 MiB by default, and servers can be told to take more.
LARGEST_OBJECT = 32 << 20
# Velero's own limit for what it unpacks.
LARGEST_ARCHIVE = 16 << 30
# A header for a long name; a larger one would only be there to fill memory.
_LARGEST_EXTENSION = 1 << 20

_PREFERRED = "-preferredversion"


@dataclass(frozen=True)
class _Place:
    resource: str
    version: str | None  # "v1-preferredversion"
    namespace: str | None
    name: str

    @staticmethod
    def parse(path: str) -> _Place | None:
        """None: not where Velero puts objects."""
        parts = path.split("/")
        if len(parts) < 4 or parts[0] != "resources" or not parts[-1].endswith(".json"):
            return None
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            return None
        resource, scope, name = parts[1], parts[2:-1], parts[-1][: -len(".json")]
        version = scope.pop(0) if scope[0] not in ("namespaces", "cluster") else None
        if scope == ["cluster"]:
            return _Place(resource, version, None, name)
        if len(scope) == 2 and scope[0] == "namespaces":
            return _Place(resource, version, scope[1], name)
        return None


@dataclass(frozen=True)
class ManifestObject:
    """One object of the cluster."""

    resource: str  # "deployments.apps", "pods"
    namespace: str | None
    name: str
    document: Mapping[str, Any] = field(repr=False)
    path: str  # in the archive
    sha256: str  # of the file in the archive

    @property
    def kind(self) -> str:
        return str(self.document.get("kind", ""))

    @property
    def api_version(self) -> str:
        return str(self.document.get("apiVersion", ""))

    @property
    def reference(self) -> str:
        """For messages: "deployments.apps db/postgres"."""
        return f"{self.resource} {self.namespace}/{self.name}" if self.namespace else f"{self.resource} {self.name}"


@dataclass(frozen=True)
class ArchiveProblem:
    """An entry that was passed over, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class _TarInfo(tarfile.TarInfo):
    """Refuses headers that say the next header is enormous: it would be read into memory whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarInfo:
        found = super().frombuf(buf, encoding, errors)
        is_extension = found.type in (
            tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
        )  # fmt: skip
        if is_extension and found.size > _LARGEST_EXTENSION:
            raise DamagedError(f"a header of {found.size} bytes: a damaged or malicious archive")
        return found


class _Unpacking:
    """What gzip holds, counted."""

    def __init__(self, source: IO[bytes], limit: int) -> None:
        self._plain = gzip.GzipFile(fileobj=source)
        self._left = limit
        self._limit = limit

    def read(self, size: int) -> bytes:
        content = self._plain.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise DamagedError(f"it unpacks to more than {self._limit} bytes: a damaged or malicious archive")
        return content


class Archive:
    """Reads an archive from beginning to end, each time anew. `opener` opens the compressed file; `where` names it in errors."""

    def __init__(self, opener: Callable[[], IO[bytes]], where: str, limit: int = LARGEST_ARCHIVE) -> None:
        self._open = opener
        self._where = where
        self._limit = limit
        self.problems: list[ArchiveProblem] = []
        """What the last pass did not take: see objects()."""

    def objects(self) -> Iterator[ManifestObject]:
        """Each object once, in the archive's order. Entries that cannot be what they say are put into `problems` and passed
        over. Raises DamagedError where the archive cannot be read any further: what came before it is right."""
        self.problems = []
        seen: set[tuple[str, str | None, str]] = set()
        # Only archives that are damaged have objects at one of the two places.
        only_versioned: dict[tuple[str, str | None, str], ManifestObject] = {}
        for entry in self._entries():
            read = self._object(*entry)
            if read is None:
                continue
            found, is_versioned = read
            key = (found.resource, found.namespace, found.name)
            if key in seen:
                continue
            if is_versioned:
                only_versioned[key] = found
                continue
            seen.add(key)
            only_versioned.pop(key, None)
            yield found
        yield from only_versioned.values()

    def find(self, resource: str, namespace: str | None, name: str) -> ManifestObject | None:
        """The object, if it is there. Reads only as far as it must."""
        wanted = (resource, namespace, name)
        return next((each for each in self.objects() if (each.resource, each.namespace, each.name) == wanted), None)

    def _entries(self) -> Iterator[tuple[str, bytes]]:
        try:
            with self._open() as source, tarfile.open(
                fileobj=_Unpacking(source, self._limit),  # type: ignore[call-overload]
                mode="r|",
                tarinfo=_TarInfo,
                errors="surrogateescape",
            ) as archive:
                while (entry := archive.next()) is not None:
                    content = self._content(archive, entry)
                    if content is not None:
                        yield entry.name, content
                    archive.members = []  # it remembers each entry
        except DamagedError as problem:
            raise DamagedError(f"{self._where}: {problem}") from problem
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as problem:
            raise DamagedError(
                f"{self._where} is cut off or damaged ({problem}): what comes after that in it is lost; an older backup may have it"
            ) from problem

    def _content(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes | None:
        if entry.isdir():
            return None
        if not entry.isreg():
            kind = "a link" if entry.issym() or entry.islnk() else "a special file"
            self._pass_over(entry.name, f"{kind}, which Velero never writes")
            return None
        if entry.size > LARGEST_OBJECT:
            self._pass_over(entry.name, f"{entry.size} bytes are no object that a cluster can hold")
            return None
        reader = archive.extractfile(entry)
        content = reader.read(entry.size) if reader else b""
        if len(content) < entry.size:
            raise EOFError(f"{entry.name} ends early")
        return content

    def _object(self, path: str, content: bytes) -> tuple[ManifestObject, bool] | None:
        if path == "metadata/version":
            return None
        place = _Place.parse(path)
        if place is None:
            self._pass_over(path, "not where Velero puts objects")
            return None
        if place.version and not place.version.endswith(_PREFERRED):
            return None  # the same object in another version of its API
        try:
            document = parse_json(content, path)
            metadata = Fields(document, path).fields("metadata")
            name, namespace = metadata.text("name"), metadata.text("namespace") or None
        except DamagedError as problem:
            self._pass_over(path, str(problem))
            return None
        if name != place.name or namespace != place.namespace:
            says = f"{namespace}/{name}" if namespace else name
            self._pass_over(path, f"the object in it calls itself {says}")
            return None
        digest = hashlib.sha256(content).hexdigest()
        return ManifestObject(place.resource, namespace, name, document, path, digest), place.version is not None

    def _pass_over(self, path: str, reason: str) -> None:
        self.problems.append(ArchiveProblem(path, reason))
