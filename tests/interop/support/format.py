"""An independent reader and writer of restic's repository format, in plain Python.

It shares no line with recoup and judges what recoup wrote; and it writes what no honest program writes: hostile trees, foreign
locks, blobs that no index knows. Made from the written format (docs/format.md), not from either program.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import hashlib
import hmac
import json
import os
import struct
import time
from collections.abc import Iterable, Iterator
from typing import Any

import zstandard
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from . import storage

OVERHEAD = 32
DATA, TREE = "data", "tree"
_TYPE_OF_CODE = {0: DATA, 1: TREE, 2: DATA, 3: TREE}
EMPTY_TREE = "ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8"
#: cheap scrypt settings: a command needs half a second for restic's own and nothing for these
FAST_SCRYPT = 128


class FormatError(Exception):
    pass


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- crypto -------------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Key:
    encrypt: bytes
    mac_k: bytes
    mac_r: bytes

    @staticmethod
    def from_bytes(raw: bytes) -> Key:
        return Key(raw[:32], raw[32:48], raw[48:64])

    @staticmethod
    def from_json(text: bytes) -> Key:
        value = json.loads(text)
        return Key(*(base64.b64decode(part) for part in (value["encrypt"], value["mac"]["k"], value["mac"]["r"])))

    def to_json(self) -> bytes:
        b64 = lambda raw: base64.b64encode(raw).decode()
        return json.dumps({"mac": {"k": b64(self.mac_k), "r": b64(self.mac_r)}, "encrypt": b64(self.encrypt)},
                          separators=(",", ":")).encode()

    def _tag(self, iv: bytes, ciphertext: bytes) -> bytes:
        aes = Cipher(algorithms.AES(self.mac_k), modes.ECB()).encryptor()
        return Poly1305.generate_tag(self.mac_r + aes.update(iv) + aes.finalize(), ciphertext)

    def seal(self, plain: bytes, iv: bytes | None = None) -> bytes:
        iv = iv or os.urandom(16)
        ctr = Cipher(algorithms.AES(self.encrypt), modes.CTR(iv)).encryptor()
        ciphertext = ctr.update(plain) + ctr.finalize()
        return iv + ciphertext + self._tag(iv, ciphertext)

    def open(self, sealed: bytes) -> bytes:
        if len(sealed) < OVERHEAD:
            raise FormatError(f"{len(sealed)} bytes are too few for a box")
        iv, ciphertext, tag = sealed[:16], sealed[16:-16], sealed[-16:]
        if not hmac.compare_digest(tag, self._tag(iv, ciphertext)):
            raise FormatError("wrong MAC")
        ctr = Cipher(algorithms.AES(self.encrypt), modes.CTR(iv)).decryptor()
        return ctr.update(ciphertext) + ctr.finalize()


def user_key(password: str, salt: bytes, n: int, r: int, p: int) -> Key:
    return Key.from_bytes(hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, dklen=64,
                                         maxmem=256 * n * r + (1 << 24)))


# ---- what names a tree entry --------------------------------------------------------------------------------------------

_ESCAPES = {7: r"\a", 8: r"\b", 12: r"\f", 10: r"\n", 13: r"\r", 9: r"\t", 11: r"\v", 34: r"\"", 92: r"\\"}


def go_quote(raw: bytes) -> str:
    """Go's strconv.Quote without the outer quotes, for ASCII, invalid UTF-8 and characters that Python also finds printable."""
    out = []
    for char in raw.decode("utf-8", "surrogateescape"):
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif code in _ESCAPES:
            out.append(_ESCAPES[code])
        elif code < 0x20 or code == 0x7F:
            out.append(f"\\x{code:02x}")
        elif char.isprintable():
            out.append(char)
        else:
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return "".join(out)


def go_unquote(text: str) -> bytes:
    simple = {v[1]: bytes([k]) for k, v in _ESCAPES.items()}
    out, at = bytearray(), 0
    while at < len(text):
        char = text[at]
        if char != "\\":
            out += char.encode("utf-8", "surrogatepass")
            at += 1
            continue
        kind = text[at + 1]
        if kind in simple:
            out += simple[kind]
            at += 2
        else:
            digits = {"x": 2, "u": 4, "U": 8}[kind]
            code = int(text[at + 2: at + 2 + digits], 16)
            out += bytes([code]) if kind == "x" else chr(code).encode()
            at += 2 + digits
    return bytes(out)


def go_json(value: Any) -> str:
    """JSON as Go's encoding/json writes it: no spaces, and < > & U+2028 U+2029 escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def node(name: bytes | str, kind: str = "file", **fields: Any) -> dict:
    """A tree entry in restic's field order. `name`: raw bytes (quoted here) or the quoted text itself."""
    modes = {"file": 0o644, "dir": 0o755 | 1 << 31, "symlink": 0o777 | 1 << 27, "fifo": 0o644 | 1 << 25,
             "dev": 0o600 | 1 << 26, "chardev": 0o600 | 1 << 26 | 1 << 21, "socket": 0o755 | 1 << 24}
    when = "2024-01-02T03:04:05.6Z"
    values = {"name": go_quote(name) if isinstance(name, bytes) else name, "type": kind, "mode": modes.get(kind, 0o644),
              "mtime": when, "atime": when, "ctime": when, "uid": 0, "gid": 0}
    if kind == "file":
        values.setdefault("content", [])
    values.update(fields)
    order = ("name type mode mtime atime ctime uid gid user group inode device_id size links linktarget linktarget_raw "
             "extended_attributes generic_attributes device content subtree error").split()
    values.setdefault("content", None)
    ordered = {key: values.pop(key) for key in order if key in values}
    return {**ordered, **values}


def tree_json(nodes: Iterable[dict]) -> bytes:
    return (go_json({"nodes": list(nodes)}) + "\n").encode("utf-8", "surrogateescape")


# ---- the repository -----------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Place:
    """Where a blob lies."""

    pack: str
    offset: int
    length: int
    uncompressed: int


@dataclasses.dataclass
class Entry:
    """A node of a tree with its path, as `walk` yields it."""

    path: bytes
    node: dict


class Repo:
    """An opened repository."""

    def __init__(self, path: storage.Place, password: str = "geheim"):
        self.path = storage.as_place(path)
        self.key, self.key_id = self._unlock(password)
        self.config = json.loads(self.key.open((self.path / "config").read_bytes()))
        self.version = self.config["version"]
        self.reads_marked = False  #: also what packs that are marked for deletion hold, if no other pack does
        self._index: dict[tuple[str, str], list[Place]] | None = None

    def _unlock(self, password: str) -> tuple[Key, str]:
        for file in sorted((self.path / "keys").iterdir()):
            value = json.loads(file.read_bytes())
            key = user_key(password, base64.b64decode(value["salt"]), value["N"], value["r"], value["p"])
            try:
                return Key.from_json(key.open(base64.b64decode(value["data"]))), file.name
            except FormatError:
                continue
        raise FormatError("no key opens with this password")

    # -- creating

    @staticmethod
    def create(path: storage.Place, version: int = 2, password: str = "geheim",
               polynomial: str = "3da3358b4dc173", config: dict | None = None) -> Repo:
        """A new repository with cheap key derivation, without any other program. `config`: more or other keys in it."""
        path = storage.as_place(path)
        for folder in ["keys", "index", "snapshots", "locks", "data"] + [f"data/{i:02x}" for i in range(256)]:
            (path / folder).mkdir(parents=True, exist_ok=True)
        master = Key.from_bytes(os.urandom(64))
        _write(path / "keys", _key_file(master, password))
        value = {"version": version, "id": os.urandom(32).hex(), "chunker_polynomial": polynomial} | (config or {})
        (path / "config").write_bytes(master.seal(json.dumps(value, separators=(",", ":")).encode()))
        return Repo(path, password)

    def add_key(self, password: str, n: int = FAST_SCRYPT) -> str:
        return _write(self.path / "keys", _key_file(self.key, password, n))

    def replace_keys(self, password: str, n: int = FAST_SCRYPT) -> None:
        """Leaves one key file, with cheap key derivation."""
        old = [file for file in (self.path / "keys").iterdir()]
        self.add_key(password, n)
        for file in old:
            file.unlink()

    def write_config(self, text: bytes) -> None:
        file = self.path / "config"
        file.unlink(missing_ok=True)
        file.write_bytes(self.key.seal(text))

    # -- unpacked files

    def names(self, kind: str) -> list[str]:
        return sorted(name for name in storage.files_below(self.path / kind) if len(name) == 64)

    def load(self, kind: str, name: str) -> Any:
        raw = (self.path / kind / name).read_bytes()
        if sha256(raw) != name:
            raise FormatError(f"{kind}/{name}: contents do not match the name")
        body = self.key.open(raw)
        if body[:1] == b"\x02":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body[1:])
        return json.loads(body)

    def save_body(self, kind: str, body: bytes) -> str:
        """Seals and stores `body` as it is: what it says need not be right."""
        return _write(self.path / kind, self.key.seal(body))

    def save(self, kind: str, value: Any) -> str:
        return self.save_body(kind, json.dumps(value, separators=(",", ":")).encode())

    def snapshots(self) -> dict[str, dict]:
        return {name: self.load("snapshots", name) for name in self.names("snapshots")}

    # -- blobs

    def index(self) -> dict[tuple[str, str], list[Place]]:
        """(type, id) -> every place that the indexes give."""
        if self._index is None:
            files = [self.load("index", name) for name in self.names("index")]
            self._index = self._places(pack for file in files for pack in file["packs"])
            if self.reads_marked:
                stored = self.pack_sizes()
                marked = self._places(pack for file in files for pack in file.get("packs_to_delete", []) if pack["id"] in stored)
                self._index = marked | self._index
        return self._index

    @staticmethod
    def _places(packs: Iterable[dict]) -> dict[tuple[str, str], list[Place]]:
        found: dict[tuple[str, str], list[Place]] = collections.defaultdict(list)
        for pack in packs:
            for blob in pack["blobs"] or []:
                place = Place(pack["id"], blob["offset"], blob["length"], blob.get("uncompressed_length", 0))
                if place not in found[blob["type"], blob["id"]]:
                    found[blob["type"], blob["id"]].append(place)
        return dict(found)

    def marks(self) -> dict[str, dict]:
        """Packs that are marked for deletion and do not count, with what their marks say."""
        files = [self.load("index", name) for name in self.names("index")]
        counted = {pack["id"] for file in files for pack in file["packs"]}
        return {pack["id"]: pack for file in files for pack in file.get("packs_to_delete", []) if pack["id"] not in counted}

    def refresh(self) -> Repo:
        self._index = None
        return self

    def pack_path(self, pack: str) -> storage.Place:
        return self.path / "data" / pack[:2] / pack

    def blob(self, kind: str, name: str) -> bytes:
        places = self.index().get((kind, name))
        if not places:
            raise FormatError(f"{kind} blob {name} is in no index")
        place = places[0]
        plain = self.key.open(storage.read_part(self.pack_path(place.pack), place.offset, place.length))
        if place.uncompressed:
            plain = zstandard.ZstdDecompressor().decompressobj().decompress(plain)
            if len(plain) != place.uncompressed:
                raise FormatError(f"{kind} blob {name}: {len(plain)} bytes instead of {place.uncompressed}")
        if sha256(plain) != name:
            raise FormatError(f"{kind} blob {name}: contents do not match the name")
        return plain

    def tree(self, name: str) -> list[dict]:
        return json.loads(self.blob(TREE, name))["nodes"]

    def walk(self, tree: str, prefix: bytes = b"") -> Iterator[Entry]:
        for item in self.tree(tree):
            path = prefix + b"/" + go_unquote(item["name"])
            yield Entry(path, item)
            if item["type"] == "dir":
                yield from self.walk(item["subtree"], path)

    def pack_blobs(self, pack: str) -> list[tuple[str, str, Place]]:
        """(type, id, place) from a pack's own header."""
        raw = self.pack_path(pack).read_bytes()
        if sha256(raw) != pack:
            raise FormatError(f"pack {pack}: contents do not match the name")
        (length,) = struct.unpack("<I", raw[-4:])
        if not OVERHEAD <= length <= len(raw) - 4:
            raise FormatError(f"pack {pack}: header of {length} bytes in {len(raw)}")
        header, found, offset, at = self.key.open(raw[-4 - length:-4]), [], 0, 0
        while at < len(header):
            code, stored = struct.unpack_from("<BI", header, at)
            at += 5
            plain = 0
            if code in (2, 3):
                (plain,) = struct.unpack_from("<I", header, at)
                at += 4
            found.append((_TYPE_OF_CODE[code], header[at:at + 32].hex(), Place(pack, offset, stored, plain)))
            at += 32
            offset += stored
        if offset + length + 4 != len(raw):
            raise FormatError(f"pack {pack}: blobs and header have {offset + length + 4} bytes, the file {len(raw)}")
        return found

    def packs(self) -> list[str]:
        return sorted(self.pack_sizes())

    def pack_sizes(self) -> dict[str, int]:
        files = ((name.rpartition("/")[2], size) for name, size in storage.files_below(self.path / "data").items())
        return {name: size for name, size in files if len(name) == 64}

    # -- writing data

    def writer(self) -> Writer:
        return Writer(self)

    def save_snapshot(self, tree: str, paths: Iterable[str] = ("/x",), **fields: Any) -> str:
        value = {"time": "2024-01-02T03:04:05.6Z", "tree": tree, "paths": list(paths), "hostname": "interop",
                 "username": "root"}
        return self.save("snapshots", value | fields)

    def save_lock(self, pid: int, exclusive: bool = False, host: str | None = None, age: float = 0, **fields: Any) -> str:
        """`pid` is no default: restic sends SIGHUP to a process of this host to see whether it lives."""
        when = time.gmtime(time.time() - age)
        value = {"time": time.strftime("%Y-%m-%dT%H:%M:%S.5Z", when), "exclusive": exclusive,
                 "hostname": os.uname().nodename if host is None else host, "username": "root",
                 "pid": pid}
        return self.save("locks", value | fields)

    # -- judging

    def problems(self) -> list[str]:
        """What is wrong with the repository, by its own bytes: the rules that no crash may break.

        Every file but temporary ones has contents that match its name; every indexed blob lies within an existing pack; every
        tree and blob that a snapshot needs is indexed.
        """
        found = []
        for kind in ("index", "snapshots", "keys"):
            for name in self.names(kind):
                if sha256((self.path / kind / name).read_bytes()) != name:
                    found.append(f"{kind}/{name}: contents do not match the name")
        sizes = self.pack_sizes()
        if found:
            return found
        index = self.refresh().index()
        for (kind, name), places in index.items():
            for place in places:
                if place.offset + place.length > sizes.get(place.pack, -1):
                    found.append(f"{kind} blob {name}: not within pack {place.pack}")
        seen: set[str] = set()
        for name, snapshot in self.snapshots().items():
            found += [f"snapshot {name[:8]}: {text}" for text in self._tree_problems(snapshot["tree"], seen)]
        return found

    def _tree_problems(self, root: str, seen: set[str]) -> list[str]:
        found, waiting = [], [root]
        while waiting:
            tree = waiting.pop()
            if tree in seen:
                continue
            seen.add(tree)
            try:
                nodes = self.tree(tree)
            except (FormatError, OSError, ValueError) as why:
                found.append(f"tree {tree}: {why}")
                continue
            for item in nodes:
                if item["type"] == "dir":
                    waiting.append(item["subtree"])
                for blob in item.get("content") or []:
                    if (DATA, blob) not in self.index():
                        found.append(f"tree {tree}: data blob {blob} of {item['name']} is in no index")
        return found

    def index_and_headers_differ(self) -> list[str]:
        """Each pack file's own header against what the indexes say about it."""
        by_pack: dict[str, set] = collections.defaultdict(set)
        for (kind, name), places in self.index().items():
            for place in places:
                by_pack[place.pack].add((kind, name, place))
        found = []
        for pack in self.packs():
            said = set(self.pack_blobs(pack))
            if said != by_pack[pack]:
                found.append(f"pack {pack}: header {sorted(said - by_pack[pack], key=repr)[:3]}, "
                             f"index {sorted(by_pack[pack] - said, key=repr)[:3]}")
            if len({kind for kind, _, _ in said}) > 1:
                found.append(f"pack {pack} mixes trees and data")
        return found

    def stored_twice(self) -> dict[tuple[str, str], list[str]]:
        """Blobs that more than one pack *file* holds, indexed or not, with these packs."""
        where: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
        for pack in self.packs():
            for kind, name, _ in self.pack_blobs(pack):
                where[kind, name].append(pack)
        return {blob: packs for blob, packs in where.items() if len(packs) > 1}


class Writer:
    """Collects blobs, then writes one pack for data, one for trees, and an index."""

    def __init__(self, repo: Repo):
        self.repo = repo
        self.waiting: dict[str, dict[str, bytes]] = {DATA: {}, TREE: {}}

    def add(self, kind: str, plain: bytes, name: str | None = None) -> str:
        """Returns the blob's id. `name`: a wrong id to store it under."""
        name = name or sha256(plain)
        self.waiting[kind][name] = plain
        return name

    def file(self, name: bytes, content: bytes = b"", **fields: Any) -> dict:
        blobs = [self.add(DATA, content)] if content else []
        return node(name, "file", size=len(content), content=blobs, **fields)

    def folder(self, name: bytes, nodes: Iterable[dict], **fields: Any) -> dict:
        return node(name, "dir", subtree=self.tree(nodes), **fields)

    def tree(self, nodes: Iterable[dict]) -> str:
        return self.add(TREE, tree_json(nodes))

    def finish(self, index: bool = True) -> str | None:
        packs = [self._pack(kind, blobs) for kind, blobs in self.waiting.items() if blobs]
        self.waiting = {DATA: {}, TREE: {}}
        self.repo.refresh()
        return self.repo.save("index", {"packs": packs}) if index else None

    def _pack(self, kind: str, blobs: dict[str, bytes]) -> dict:
        body, header, entries = bytearray(), bytearray(), []
        for name, plain in blobs.items():
            compressed = self.repo.version == 2 and len(plain) > 0
            stored = zstandard.ZstdCompressor().compress(plain) if compressed else plain
            sealed = self.repo.key.seal(stored)
            code = (0 if kind == DATA else 1) + (2 if compressed else 0)
            header += struct.pack("<BI", code, len(sealed))
            entry = {"id": name, "type": kind, "offset": len(body), "length": len(sealed)}
            if compressed:
                header += struct.pack("<I", len(plain))
                entry["uncompressed_length"] = len(plain)
            header += bytes.fromhex(name)
            entries.append(entry)
            body += sealed
        sealed_header = self.repo.key.seal(bytes(header))
        raw = bytes(body) + sealed_header + struct.pack("<I", len(sealed_header))
        pack = sha256(raw)
        _write(self.repo.path / "data" / pack[:2], raw)
        return {"id": pack, "blobs": entries}


def _key_file(master: Key, password: str, n: int = FAST_SCRYPT) -> bytes:
    salt = os.urandom(64)
    data = user_key(password, salt, n, 8, 1).seal(master.to_json())
    b64 = lambda raw: base64.b64encode(raw).decode()
    return json.dumps({"created": "2024-01-02T03:04:05.6Z", "username": "root", "hostname": "interop", "kdf": "scrypt",
                       "N": n, "r": 8, "p": 1, "salt": b64(salt), "data": b64(data)}, separators=(",", ":")).encode()


def _write(folder: storage.Place, raw: bytes) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    name = sha256(raw)
    file = folder / name
    file.unlink(missing_ok=True)
    file.write_bytes(raw)
    return name
