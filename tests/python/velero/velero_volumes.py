"""Buckets for the tests of volumes: genuine ones that are spoiled, ones made by hand, and what a restore should
bring."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import stat
import tarfile
from collections.abc import Callable
from typing import Any

import recoup
from recoup.velero import VeleroBucket
from support import format

DEFAULT = "static-passw0rd"
UID = "11111111-2222-3333-4444-555555555555"


# ---- what is on the disk, and what should be ----------------------------------------------------------------------------


def on_disk(top: os.PathLike[str] | str) -> dict[bytes, dict[str, Any]]:
    """Everything below a directory, in the words of expected.json. Paths are bytes."""
    root = os.fsencode(top)
    found: dict[bytes, dict[str, Any]] = {}
    first_of: dict[int, bytes] = {}
    for folder, folders, files in os.walk(root):
        for name in sorted([*folders, *files]):
            full = os.path.join(folder, name)
            found[os.path.relpath(full, root)] = _facts(full)
    for path in sorted(found):
        first_of.setdefault(found[path]["inode"], path)
    for facts in found.values():
        inode = facts.pop("inode")
        if facts["type"] == "file" and facts["nlink"] > 1:
            facts["hardlink_group"] = os.fsdecode(first_of[inode])
        else:
            facts.pop("nlink")
    return found


_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "chardev",
    stat.S_IFBLK: "dev",
}


def _facts(full: bytes) -> dict[str, Any]:
    status = os.lstat(full)
    facts: dict[str, Any] = {
        "type": _TYPES[stat.S_IFMT(status.st_mode)],
        "mode": oct(stat.S_IMODE(status.st_mode)),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime_ns": status.st_mtime_ns,
        "inode": status.st_ino,
        "nlink": status.st_nlink,
    }
    if facts["type"] == "file":
        content = pathlib.Path(os.fsdecode(full)).read_bytes()
        facts |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if facts["type"] == "symlink":
        facts["target"] = os.fsdecode(os.readlink(full))
    attributes = {
        name: base64.b64encode(os.getxattr(full, name, follow_symlinks=False)).decode()
        for name in os.listxattr(full, follow_symlinks=False)
    }
    if attributes:
        facts["xattrs_b64"] = attributes
    return facts


def expected_entries(expected: dict[str, Any], volume: dict[str, Any]) -> dict[bytes, dict[str, Any]]:
    """What a volume of expected.json should be restored to. `known_differences` are what restic does not store."""
    return entries_of(expected, volume["file_list"], f"{volume['repo_path']}@{volume['snapshot_id']}")


def entries_of(expected: dict[str, Any], file_list: str, snapshot: str) -> dict[bytes, dict[str, Any]]:
    unstored = {each["path"] for each in expected["known_differences"].get(snapshot, []) if each["restored"] is None}
    found = {}
    for each in expected["file_lists"][file_list]:
        facts = dict(each)
        path, encoded = facts.pop("path", None), facts.pop("path_b64", None)
        if path == "." or path in unstored:
            continue
        found[base64.b64decode(encoded) if encoded else path.encode()] = facts
    return found


# ---- spoiling ---------------------------------------------------------------------------------------------------------


def rewrite_json(path: pathlib.Path, change: Callable[[Any], Any]) -> None:
    """Changes what a document says, zipped or not."""
    is_zipped = path.name.endswith(".gz")
    raw = path.read_bytes()
    document = json.loads(gzip.decompress(raw) if is_zipped else raw)
    changed = change(document)
    content = json.dumps(document if changed is None else changed).encode()
    path.write_bytes(gzip.compress(content) if is_zipped else content)


def truncate(path: pathlib.Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def flip(path: pathlib.Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x55
    path.write_bytes(bytes(content))


def file_of(bucket: pathlib.Path, backup: str, suffix: str) -> pathlib.Path:
    return bucket / "backups" / backup / f"{backup}{suffix}"


def all_files(top: pathlib.Path) -> dict[str, tuple[int, int, str]]:
    """Size, time and hash of every file: whether anything was written."""
    return {
        str(path.relative_to(top)): (
            path.stat().st_size,
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }


def replace_keys(bucket: pathlib.Path, password: str = DEFAULT) -> None:
    """Trying a password costs half a second by design: here nothing."""
    for repository in sorted((bucket / "restic").iterdir()):
        format.Repo(repository, password).replace_keys(password)


# ---- made by hand -------------------------------------------------------------------------------------------------------


class MadeBucket:
    """A bucket as Velero 1.16 writes it, with repositories in which any tree can be put. Opening one costs nothing."""

    def __init__(self, path: pathlib.Path, password: str = DEFAULT) -> None:
        self.path = path
        self.password = password
        self._stored: dict[str, list[dict[str, Any]]] = {}
        self._infos: dict[str, list[dict[str, Any]]] = {}

    @property
    def bucket(self) -> VeleroBucket:
        return VeleroBucket(recoup.open_objects(self.path))

    def repository(self, namespace: str, prefix: str | None = None) -> format.Repo:
        path = self.path / (prefix or f"restic/{namespace}")
        if (path / "config").exists():
            return format.Repo(path, self.password)
        return format.Repo.create(path, password=self.password)

    def volume(
        self,
        backup: str,
        namespace: str = "db",
        pod: str = "postgres-0",
        volume: str = "data",
        *,
        claim: str | None = "data-postgres-0",
        tree: Callable[[format.Writer], list[dict[str, Any]]] | None = None,
        prefix: str | None = None,
        time: str = "2026-01-01T00:00:01Z",
        tags: dict[str, str] | None = None,
        spec: dict[str, Any] | None = None,
        status: dict[str, Any] | None = None,
    ) -> str:
        """Stores a volume with that tree, and has the backup say so; returns the snapshot's id."""
        repository = self.repository(namespace, prefix)
        writer = repository.writer()
        root = writer.tree(tree(writer) if tree else [writer.file(b"hello", b"content of " + backup.encode())])
        writer.finish()
        found = self.tags(backup, namespace, pod, volume, claim) if tags is None else tags
        snapshot = repository.save_snapshot(
            root,
            paths=[f"/host_pods/{pod}/volumes/kubernetes.io~csi/pvc-1/mount"],
            tags=[f"{name}={value}" for name, value in found.items()],
            hostname="velero",
            time=time,
        )
        self.record(backup, namespace, pod, volume, claim, snapshot[:8], spec, status)
        return snapshot

    @staticmethod
    def tags(backup: str, namespace: str, pod: str, volume: str, claim: str | None) -> dict[str, str]:
        tags = {"backup": backup, "backup-uid": UID, "ns": namespace, "pod": pod, "pod-uid": "p", "volume": volume}
        return tags | ({"pvc-uid": f"uid-of-{claim}"} if claim else {})

    def record(
        self,
        backup: str,
        namespace: str,
        pod: str,
        volume: str,
        claim: str | None,
        snapshot: str,
        spec: dict[str, Any] | None = None,
        status: dict[str, Any] | None = None,
    ) -> None:
        kind = "csi/pvc-1/mount" if claim else f"empty-dir/{volume}"
        self._stored.setdefault(backup, []).append(
            {
                "metadata": {
                    "name": f"{backup}-{len(self._stored[backup]) if backup in self._stored else 0}",
                    "labels": {"velero.io/backup-name": backup, "velero.io/backup-uid": UID},
                    "annotations": {"velero.io/pvc-name": claim} if claim else {},
                },
                "spec": {
                    "pod": {"kind": "Pod", "namespace": namespace, "name": pod, "uid": "p"},
                    "volume": volume,
                    "uploaderType": "restic",
                    "repoIdentifier": f"s3:http://192.0.2.1:9000/velero-backups/restic/{namespace}",
                    "tags": self.tags(backup, namespace, pod, volume, claim),
                    **(spec or {}),
                },
                "status": {
                    "phase": "Completed",
                    "snapshotID": snapshot,
                    "path": f"/host_pods/p/volumes/kubernetes.io~{kind}",
                    **(status or {}),
                },
            }
        )

    def info(self, backup: str, **fields: Any) -> None:
        self._infos.setdefault(backup, []).append(fields)

    def finish(
        self,
        backup: str,
        *,
        objects: list[dict[str, Any]] | None = None,
        has_infos: bool = True,
        start: str = "2026-01-01T00:00:00Z",
        **status: Any,
    ) -> MadeBucket:
        """Writes the backup's files."""
        home = self.path / "backups" / backup
        home.mkdir(parents=True, exist_ok=True)
        said = {"phase": "Completed", "startTimestamp": start, **status}
        document = {
            "kind": "Backup",
            "apiVersion": "velero.io/v1",
            "metadata": {"name": backup, "namespace": "velero", "uid": UID},
            "spec": {},
            "status": said,
        }
        (home / "velero-backup.json").write_text(json.dumps(document), encoding="utf-8")
        self._zip(home / f"{backup}-podvolumebackups.json.gz", self._stored.get(backup, []))
        if has_infos:
            self._zip(home / f"{backup}-volumeinfo.json.gz", self._infos.get(backup, []))
        names: dict[str, list[str]] = {}
        for each in objects or []:
            metadata = each["metadata"]
            name = f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else metadata["name"]
            names.setdefault(f"{each['apiVersion']}/{each['kind']}", []).append(name)
        self._zip(home / f"{backup}-resource-list.json.gz", names)
        (home / f"{backup}.tar.gz").write_bytes(archive_of(objects or []))
        return self

    @staticmethod
    def _zip(path: pathlib.Path, document: Any) -> None:
        path.write_bytes(gzip.compress(json.dumps(document).encode()))


def archive_of(objects: list[dict[str, Any]]) -> bytes:
    """Each object twice, as Velero writes it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        _add(archive, "metadata/version", b"1.1.0\n")
        for each in objects:
            resource = f"{each['kind'].lower()}s"
            scope = f"namespaces/{each['metadata']['namespace']}/{each['metadata']['name']}.json"
            for version in ("v1-preferredversion/", ""):
                _add(archive, f"resources/{resource}/{version}{scope}", json.dumps(each).encode())
    return made.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o755
    archive.addfile(info, io.BytesIO(content))


def secret(value: str, namespace: str = "velero", name: str = "velero-repo-credentials") -> dict[str, Any]:
    encoded = base64.b64encode(value.encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"repository-password": encoded},
    }


def claim(name: str, namespace: str = "db", uid: str | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace, "uid": uid or f"uid-of-{name}"},
    }


def pod(name: str, volumes: dict[str, str], namespace: str = "db") -> dict[str, Any]:
    """`volumes`: names of claims by names of volumes."""
    mounted = [{"name": each, "persistentVolumeClaim": {"claimName": of}} for each, of in volumes.items()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"volumes": mounted},
    }


def noise(size: int, seed: object = 0) -> bytes:
    """Bytes that do not compress; the same seed gives the same ones."""
    return random.Random(repr(seed)).randbytes(size)


# ---- two snapshots that begin alike -------------------------------------------------------------------------------------


def snapshots_that_begin_alike(repository: format.Repo, tree: str, tags: list[list[str]]) -> list[str]:
    """Stores two snapshots, one with each list of tags, whose ids have the same first 8 digits. Sealing draws a new
    nonce each time, so some 100,000 tries find a pair."""
    bodies = []
    for each in tags:
        value = {"time": "2026-01-01T00:00:01Z", "tree": tree, "paths": ["/x"], "hostname": "velero", "tags": each}
        bodies.append(json.dumps(value).encode())
    seen: list[dict[bytes, bytes]] = [{}, {}]
    for count in range(2_000_000):
        kind = count % 2
        sealed = repository.key.seal(bodies[kind])
        digest = hashlib.sha256(sealed).digest()
        other = seen[1 - kind].get(digest[:4])
        if other is not None:
            pair = [sealed, other] if kind == 0 else [other, sealed]
            names = [hashlib.sha256(each).hexdigest() for each in pair]
            for name, content in zip(names, pair):
                (repository.path / "snapshots" / name).write_bytes(content)
            return names
        seen[kind][digest[:4]] = sealed
    raise AssertionError("no two snapshots begin alike, after two million tries")
