"""Where the tests' repositories lie: in directories, or (--storage=minio) in a bucket of a MinIO that the session started.

    repo = Repository(place(tmp_path / "repo"))      # tmp_path/repo itself, or the prefix of that name in the bucket
    (repo.path / "locks" / name).write_bytes(b"")    # either way

A place in a bucket offers what the tests do with the files of a repository and no more. It is no os.PathLike on purpose: a test
that hands it to the operating system is about a directory, and must say so (`local_only`).
"""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import s3

#: the session's server and bucket; None: repositories are directories
_bucket: s3.Bucket | None = None
_server: s3.Server | None = None
BUCKET = "interop"


def use(server: s3.Server | None) -> None:
    """From now on `place` gives places in this server's bucket `interop`, or directories for None."""
    global _bucket, _server
    _server, _bucket = server, server.make_bucket(BUCKET) if server else None


def is_bucket() -> bool:
    return _bucket is not None


def environment() -> dict[str, str]:
    """What programs need in theirs to reach the repositories."""
    return _server.environment() if _server else {}


def place(path: pathlib.Path) -> Place:
    """`path`, or what stands for it in the bucket. Absolute, so no two tests meet."""
    return BucketPath(_server, _bucket, str(path).strip("/")) if _server and _bucket else path


def as_place(path: Any) -> Place:
    return path if isinstance(path, BucketPath) else pathlib.Path(path)


class Status(NamedTuple):
    st_size: int


class BucketPath:
    """What pathlib.Path is to a directory: a prefix, or an object's key. There are no directories to make or to find empty."""

    def __init__(self, server: s3.Server, bucket: s3.Bucket, key: str, endpoint: str | None = None):
        """`endpoint`: where programs are to look for the server, a proxy or a line in front of it; the tests themselves go straight there."""
        self.server, self.bucket, self.key, self.endpoint = server, bucket, key, endpoint

    def _at(self, key: str) -> BucketPath:
        return BucketPath(self.server, self.bucket, key, self.endpoint)

    def through(self, endpoint: str) -> BucketPath:
        return BucketPath(self.server, self.bucket, self.key, endpoint)

    def environment(self) -> dict[str, str]:
        return self.server.environment()

    def __truediv__(self, part: str | os.PathLike) -> BucketPath:
        return self._at(f"{self.key}/{part}")

    def __str__(self) -> str:
        return self.server.location(self.bucket.name, self.key, self.endpoint)

    def __repr__(self) -> str:
        return f"<{self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BucketPath) and str(self) == str(other)

    def __lt__(self, other: BucketPath) -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> BucketPath:
        return self._at(self.key.rpartition("/")[0])

    def exists(self) -> bool:
        return self.bucket.exists(self.key) or bool(self.bucket.keys(self.key + "/"))

    def read_bytes(self) -> bytes:
        return self.bucket.read(self.key)

    def write_bytes(self, content: bytes) -> int:
        self.bucket.write(self.key, bytes(content))
        return len(content)

    def unlink(self, missing_ok: bool = False) -> None:
        if not missing_ok and not self.bucket.exists(self.key):
            raise FileNotFoundError(str(self))
        self.bucket.delete(self.key)

    def stat(self) -> Status:
        return Status(self.bucket.head(self.key)["ContentLength"])

    def mkdir(self, *_: Any, **__: Any) -> None:
        pass

    def chmod(self, _: int) -> None:
        """Nothing: whether it may be overwritten is for the bucket's policy to say."""

    def iterdir(self) -> Iterator[BucketPath]:
        for name in sorted({each.split("/")[0] for each in files_below(self)}):
            yield self / name


Place = pathlib.Path | BucketPath


def files_below(start: Place) -> dict[str, int]:
    """Relative name -> bytes of every file there, temporary ones too; none if there is no such place."""
    if isinstance(start, BucketPath):
        cut = len(start.key) + 1
        return {key[cut:]: size for key, size in start.bucket.sizes(start.key + "/").items()}
    found = {}
    for folder, _, names in os.walk(start):
        for name in names:
            full = pathlib.Path(folder) / name
            try:
                found[str(full.relative_to(start))] = full.lstat().st_size
            except FileNotFoundError:  # a lock or a temporary file, gone meanwhile
                pass
    return found


def read_part(file: Place, offset: int, length: int) -> bytes:
    """Fewer bytes where the file ends earlier."""
    if isinstance(file, BucketPath):
        return file.bucket.read(file.key, offset, length) if offset < file.stat().st_size else b""
    with open(file, "rb") as opened:
        opened.seek(offset)
        return opened.read(length)


def copy_tree(source: Place, target: Place) -> None:
    """All files of a repository, into a place that has none."""
    if isinstance(source, pathlib.Path) and isinstance(target, pathlib.Path):
        shutil.copytree(source, target)
        return
    for name in files_below(source):
        (target / name).write_bytes((source / name).read_bytes())


def remove_tree(target: Place) -> None:
    if isinstance(target, BucketPath):
        target.bucket.delete_below(target.key + "/")
    else:
        shutil.rmtree(target)


def read_all(start: Place) -> dict[str, bytes]:
    return {name: (start / name).read_bytes() for name in files_below(start)}
