"""Places with objects for test_objects.py: a directory, a bucket of a real MinIO, one of Versity's gateway.

They are filled behind the package's back, through the file system and boto3. tools/s3-servers.sh builds the servers.
"""

from __future__ import annotations

import abc
import os
import pathlib
import uuid
from typing import Any

import recoup
from support import s3


class Place(abc.ABC):
    """Where objects lie, and how a store for them is opened."""

    is_bucket = False

    @abc.abstractmethod
    def write(self, key: str, content: bytes) -> None: ...

    @abc.abstractmethod
    def delete(self, key: str) -> None: ...

    @abc.abstractmethod
    def location(self, prefix: str = "") -> str: ...

    def store(self, prefix: str = "", **chosen: Any) -> recoup.ObjectStore:
        return recoup.open_objects(self.location(prefix), **chosen)


class DirectoryPlace(Place):
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir()

    def write(self, key: str, content: bytes) -> None:
        """As programs that copy buckets do it: a file appears whole."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        new = self.folder.parent / uuid.uuid4().hex
        new.write_bytes(content)
        os.replace(new, path)

    def delete(self, key: str) -> None:
        (self.folder / key).unlink()

    def location(self, prefix: str = "") -> str:
        return str(self.folder / prefix)


class BucketPlace(Place):
    is_bucket = True

    def __init__(self, server: s3.Server) -> None:
        self.server = server
        self.bucket = server.make_bucket(f"objects-{uuid.uuid4().hex[:12]}")

    def write(self, key: str, content: bytes) -> None:
        self.bucket.write(key, content)

    def delete(self, key: str) -> None:
        self.bucket.delete(key)

    def location(self, prefix: str = "", endpoint: str | None = None) -> str:
        return self.server.location(self.bucket.name, prefix, endpoint)
