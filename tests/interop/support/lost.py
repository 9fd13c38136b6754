"""What a damaged repository has lost, found out from its bytes alone: each path of a snapshot, each copy of each blob it needs.

It judges what `check` and `verify` say, so it is as simple as can be, and reads every blob of the repository.
"""

from __future__ import annotations

import functools

import zstandard

from . import format


class Losses:
    """Of one repository in the state in which it is now."""

    def __init__(self, repo: format.Repo):
        self.repo = repo.refresh()
        self.pack = functools.cache(self._pack)
        self.blob = functools.cache(self._blob)

    def _pack(self, name: str) -> bytes:
        try:
            return self.repo.pack_path(name).read_bytes()
        except Exception:  # each kind of storage has its own for what is not there
            return b""

    def _blob(self, kind: str, name: str) -> bytes | None:
        """Its content from any copy, or None."""
        for place in self.repo.index().get((kind, name), []):
            try:
                plain = self.repo.key.open(self.pack(place.pack)[place.offset:place.offset + place.length])
                if place.uncompressed:
                    plain = zstandard.ZstdDecompressor().decompressobj().decompress(plain)
            except (format.FormatError, zstandard.ZstdError):
                continue
            if format.sha256(plain) == name:
                return plain
        return None

    def of_tree(self, tree: str, path: bytes = b"") -> dict[bytes, set[str]]:
        """Path -> the blobs that it lacks; a directory whose tree is lost stands for all below it."""
        raw = self.blob(format.TREE, tree)
        if raw is None:
            return {path or b"/": {tree}}
        found: dict[bytes, set[str]] = {}
        for node in format.json.loads(raw)["nodes"]:
            here = path + b"/" + format.go_unquote(node["name"])
            if node["type"] == "dir":
                found |= self.of_tree(node["subtree"], here)
            elif lost := {blob for blob in node.get("content") or [] if self.blob(format.DATA, blob) is None}:
                found[here] = lost
        return found

    def of_snapshots(self) -> dict[str, dict[bytes, set[str]]]:
        """Only those that lack something."""
        found = {name: self.of_tree(value["tree"]) for name, value in self.repo.snapshots().items()}
        return {name: paths for name, paths in found.items() if paths}
