"""Archives and buckets made by hand, for tests: good ones, and ones that nobody should trust."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from recoup import NotFoundError, ObjectInfo, ObjectStore
from recoup.object_store import Piece
from recoup.velero import Archive

CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)


class MemoryStore(ObjectStore):
    """A bucket in memory, which counts what it is asked for."""

    location = "memory"

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = dict(objects)
        self.listings = 0
        self.reads: list[str] = []
        self._lock = threading.Lock()

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self.listings += 1
        for key in sorted(self.objects, key=str.encode):
            if key.startswith(prefix):
                yield ObjectInfo(key, len(self.objects[key]), CREATED, hashlib.sha256(self.objects[key]).hexdigest())

    def list_directories(self, prefix: str = "") -> list[str]:
        self.listings += 1
        below = (key[len(prefix) :] for key in self.objects if key.startswith(prefix))
        return sorted({rest.partition("/")[0] for rest in below if "/" in rest})

    def repository_location(self, prefix: str) -> str:
        raise NotFoundError("there are no repositories in memory")

    def _piece(self, key: str, offset: int, count: int, version: str) -> Piece:
        with self._lock:
            self.reads.append(key)
        if key not in self.objects:
            raise NotFoundError(f"{key}: there is no such object")
        content = self.objects[key]
        return Piece(content[offset : offset + count], len(content), "")

    def _name(self, key: str) -> str:
        return f"memory/{key}"


def manifest(kind: str, name: str, namespace: str | None = None, api: str = "v1", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def path_of(resource: str, document: Mapping[str, Any], version: str | None = None) -> str:
    metadata = document["metadata"]
    scope = f"namespaces/{metadata['namespace']}" if metadata.get("namespace") else "cluster"
    return "/".join(["resources", resource, *([version] if version else []), scope, f"{metadata['name']}.json"])


def pair(resource: str, document: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """An object as Velero puts it into an archive: twice."""
    content = json.dumps(document).encode()
    version = document["apiVersion"].rpartition("/")[2]
    return [(path_of(resource, document, f"{version}-preferredversion"), content), (path_of(resource, document), content)]


Entry = tuple[tarfile.TarInfo, bytes]


def file(path: str, content: bytes = b"{}", kind: bytes = tarfile.REGTYPE, **fields: Any) -> Entry:
    info = tarfile.TarInfo(path)
    info.type, info.size, info.mode = kind, len(content), 0o755
    for name, value in fields.items():
        setattr(info, name, value)
    return info, content


def tar(entries: Iterable[Entry | tuple[str, bytes]], format: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format) as archive:
        for entry, content in entries:
            info, _ = file(entry, content) if isinstance(entry, str) else (entry, b"")
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def packed(entries: Iterable[Entry | tuple[str, bytes]], format: int = tarfile.PAX_FORMAT) -> bytes:
    return gzip.compress(tar([("metadata/version", b"1.1.0\n"), *entries], format), 1)


def archive(content: bytes, **options: Any) -> Archive:
    return Archive(lambda: io.BytesIO(content), "x.tar.gz", **options)


def header(name: bytes = b"x", size: int = 0, kind: bytes = b"0", **parts: bytes) -> bytes:
    """A tar header with a right checksum, whatever it says."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = parts.get("size_field") or b"%011o\0" % size
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    if "tail" in parts:
        block[512 - len(parts["tail"]) :] = parts["tail"]
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def backup_document(name: str, **status: Any) -> dict[str, Any]:
    said = {"phase": "Completed", "startTimestamp": "2026-01-01T00:00:00Z", **status}
    return manifest("Backup", name, "velero", "velero.io/v1", spec={}, status=said)
