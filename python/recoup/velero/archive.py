"""The tarball with a backup's manifests (V:pkg/archive, format 1.1.0).

    metadata/version
    resources/RESOURCE[.GROUP]/namespaces/NAMESPACE/NAME.json          each object,
    resources/RESOURCE[.GROUP]/cluster/NAME.json
    resources/RESOURCE[.GROUP]/VERSION-preferredversion/…              and the same again

Nothing is ever unpacked: documents are read one after the other into memory, and a name in the archive never becomes one of
a file. What it holds is checked, because whoever can write into the bucket can write anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Optional

from .._engine import DamagedError
from .fields import Fields, parse_json, printable
from .tar import TarEntry, entries
from .unpacking import open_unzipped

# etcd takes 1.5 MiB by default, and servers can be told to take more.
LARGEST_OBJECT = 16 << 20
# Velero's own limit for what it unpacks.
LARGEST_ARCHIVE = 16 << 30
# A list of more helps nobody.
_MOST_PROBLEMS = 1000

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
        parts = path.removeprefix("./").split("/")
        if len(parts) < 4 or parts[0] != "resources" or not parts[-1].endswith(".json"):
            return None
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            return None
        resource, scope, name = parts[1], parts[2:-1], parts[-1][: -len(".json")]
        if not name:
            return None
        version = scope.pop(0) if scope[0] not in ("namespaces", "cluster") else None
        if scope == ["cluster"]:
            return _Place(resource, version, None, name)
        if len(scope) == 2 and scope[0] == "namespaces":
            return _Place(resource, version, scope[1], name)
        return None


@dataclass(frozen=True)
class ClusterObject:
    """An object as a cluster has it."""

    resource: str  # "deployments.apps", "pods"
    namespace: str | None
    name: str
    document: Mapping[str, Any] = field(repr=False)

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
class ManifestObject(ClusterObject):
    """One that a backup holds."""

    path: str  # in the archive
    sha256: str  # of the file in the archive


@dataclass(frozen=True)
class ArchiveProblem:
    """An entry that was passed over, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


# Resource, namespace, name.
_Key = tuple[str, Optional[str], str]


class Archive:
    """Reads an archive from beginning to end, each time anew. `opener` opens the compressed file; `where` names it in errors."""

    def __init__(self, opener: Callable[[], IO[bytes]], where: str, limit: int = LARGEST_ARCHIVE) -> None:
        self._open = opener
        self._where = where
        self._limit = limit
        self.problems: list[ArchiveProblem] = []
        """What the last pass did not take, up to a thousand of them: see objects()."""

    def __repr__(self) -> str:
        return f"<recoup.velero.Archive {self._where!r}>"

    def objects(self) -> Iterator[ManifestObject]:
        """Each object once, in the archive's order. Entries that cannot be what they say are put into `problems` and passed
        over. Raises DamagedError where the archive cannot be read any further, once what came before has been given."""
        self.problems = []
        given: dict[_Key, bytes] = {}
        # Copies whose object has not come yet. They are neighbours; only archives that are damaged have one without the other.
        copies: dict[_Key, bytes] = {}
        elsewhere: dict[_Key, str] = {}
        damage: DamagedError | None = None
        try:
            for entry in self._entries():
                found = self._look_at(entry, given, copies, elsewhere)
                if found is not None:
                    yield found
        except DamagedError as problem:
            damage = problem
        yield from self._from_copies(copies, given)
        for key, path in elsewhere.items():
            if key not in given and damage is None:
                self._pass_over(path, "the object is only there in another version of its API than the cluster preferred")
        if damage is not None:
            raise damage

    def find(self, resource: str, namespace: str | None, name: str) -> ManifestObject | None:
        """The object, if it is there. Reads only as far as it must."""
        wanted = (resource, namespace, name)
        return next((each for each in self.objects() if (each.resource, each.namespace, each.name) == wanted), None)

    def _look_at(
        self, entry: TarEntry, given: dict[_Key, bytes], copies: dict[_Key, bytes], elsewhere: dict[_Key, str]
    ) -> ManifestObject | None:
        place = self._place(entry)
        if place is None:
            return None
        key, content = (place.resource, place.namespace, place.name), entry.content or b""
        if place.version and not place.version.endswith(_PREFERRED):
            if key not in given:
                elsewhere.setdefault(key, entry.name)
            return None
        digest = hashlib.sha256(content).digest()
        if place.version:
            if given.get(key, digest) != digest:
                self._pass_over(entry.name, "it differs from the same object without a version, which counts")
            elif key not in given:
                copies.setdefault(key, digest)
            return None
        if key in given:
            if given[key] != digest:
                self._pass_over(entry.name, "it is there twice, and differs: the first one counts")
            return None
        found = self._object(place, entry.name, content)
        if found is not None:
            given[key] = digest
            if copies.pop(key, digest) != digest:
                self._pass_over(entry.name, "it differs from its copy with a version: one of both was changed")
        return found

    def _from_copies(self, copies: dict[_Key, bytes], given: dict[_Key, bytes]) -> Iterator[ManifestObject]:
        """In a second pass: documents that may never be needed would fill memory."""
        if not copies:
            return
        try:
            for entry in self._entries():
                place = _Place.parse(entry.name) if entry.content is not None else None
                if place is None or not place.version or not place.version.endswith(_PREFERRED):
                    continue
                key = (place.resource, place.namespace, place.name)
                if key in copies and copies.pop(key) == hashlib.sha256(entry.content or b"").digest():
                    found = self._object(place, entry.name, entry.content or b"")
                    if found is not None:
                        given[key] = b""
                        yield found
                if not copies:
                    return
        except DamagedError:
            return  # the first pass has seen that too

    def _entries(self) -> Iterator[TarEntry]:
        try:
            with self._open() as source, open_unzipped(source, "it", self._limit) as unpacked:
                yield from entries(unpacked, LARGEST_OBJECT)
        except DamagedError as problem:
            raise DamagedError(
                f"{self._where} is cut off or damaged ({problem}): what comes after that in it is lost; an older backup may have it"
            ) from problem

    def _place(self, entry: TarEntry) -> _Place | None:
        if entry.kind == "a directory" or entry.name.removeprefix("./") == "metadata/version":
            return None
        place = _Place.parse(entry.name)
        if not entry.is_file:
            self._pass_over(entry.name, f"{entry.kind}, which Velero never writes")
        elif place is None:
            self._pass_over(entry.name, "not where Velero puts objects")
        elif entry.content is None:
            self._pass_over(entry.name, f"{entry.size} bytes are no object that a cluster can hold")
        else:
            return place
        return None

    def _object(self, place: _Place, path: str, content: bytes) -> ManifestObject | None:
        try:
            document = parse_json(content, "it")
            metadata = Fields(document, "it").fields("metadata")
            name, namespace = metadata.text("name"), metadata.text("namespace") or None
        except DamagedError as problem:
            self._pass_over(path, str(problem))
            return None
        if name != place.name or namespace != place.namespace:
            says = printable(f"{namespace}/{name}" if namespace else name)
            self._pass_over(path, f"the object in it calls itself {says}")
            return None
        return ManifestObject(place.resource, namespace, name, document, path, hashlib.sha256(content).hexdigest())

    def _pass_over(self, path: str, reason: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(ArchiveProblem(printable(path), reason))
