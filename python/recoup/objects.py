"""Objects in a bucket, or files in a directory that are named as its keys are: listed and read, never changed."""

from __future__ import annotations

import builtins
import logging
import os
from collections.abc import Iterator, Mapping

from . import _engine
from ._engine import InvalidArgumentError, UnsupportedError
from .arguments import Path
from .network import Network
from .object_directory import DirectoryStore
from .object_store import ObjectInfo, ObjectStore, Piece

__all__ = ["ObjectInfo", "ObjectStore", "open_objects"]

_log = logging.getLogger("recoup")
#: Kinds of storage that restic has, and that hold no objects here.
_OTHER_KINDS = ("sftp", "rest", "rclone", "b2", "azure", "gs", "swift", "mem")


class S3Store(ObjectStore):
    """A place in a bucket, through the engine's own client."""

    def __init__(self, location: str, engine: _engine.S3Objects) -> None:
        self.location = location
        self._engine = engine

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        listing = self._engine.list(prefix)
        while found := listing.next():
            for each in found:
                yield ObjectInfo(*each)

    def list_directories(self, prefix: str = "") -> builtins.list[str]:
        return self._engine.directories(prefix if not prefix or prefix.endswith("/") else prefix + "/")

    def repository_location(self, prefix: str) -> str:
        return self._engine.repository_location(prefix)

    def close(self) -> None:
        self._engine.close()

    def _piece(self, key: str, offset: int, count: int, version: str) -> Piece:
        return Piece(*self._engine.read(key, offset, count, version))

    def _name(self, key: str) -> str:
        return f"{self._engine.location}/{key}"


def open_objects(
    location: Path, *, network: Network | None = None, options: Mapping[str, str] | None = None
) -> ObjectStore:
    """The objects of a bucket or of a part of it (`s3:http://host:9000/bucket/prefix`, `s3:host/bucket`, as for
    repositories), or the files of a directory. Nothing is asked for yet.

    `options` are those of the command's -o ("s3.region": "eu-west-1"); `network` has certificates and limits, which
    count for buckets only. Credentials for S3 come from where docs/s3.md says: the environment, ~/.aws, and so on.

    Raises InvalidArgumentError, or UnsupportedError for kinds of storage that are neither.
    """
    text = os.fsdecode(location)
    if not text:
        raise InvalidArgumentError("no bucket given: name one as s3:https://host/bucket, or a directory")
    is_path = text.startswith(("/", "./", "../")) or isinstance(location, os.PathLike)
    kind, colon, rest = ("", "", "") if is_path else text.partition(":")
    if not colon:
        return DirectoryStore(text, location)
    if kind == "local" and rest:
        return DirectoryStore(text, rest)
    if kind == "s3":
        settings = (network or Network()).settings()
        opened = _engine.open_objects(location, options=dict(options or {}), network=settings, warn=_log.warning)
        return S3Store(text, opened)
    if kind in _OTHER_KINDS:
        raise UnsupportedError(
            f"storage of the kind {kind} is not supported; use S3 (s3:https://host/bucket) or a directory"
        )
    if kind in ("http", "https"):
        raise InvalidArgumentError(f"for a bucket write s3:{kind}://host[:port]/bucket, with s3: in front")
    raise InvalidArgumentError(
        f'unknown kind of storage "{kind}"; for a directory whose name has a colon write local:{kind}:…'
    )
