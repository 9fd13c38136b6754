"""Volumes as tar archives: unpacked by GNU tar and by BusyBox's, as root."""

from __future__ import annotations

import os
import pathlib
import shutil
import stat
import subprocess

import hypothesis
import pytest
from hypothesis import strategies
from velero_volumes import MadeBucket, expected_entries, noise, on_disk

import recoup
from recoup.velero import Repositories, find_volume, open_volume, volumes_of
from recoup.velero.volume_tar import VolumeTar

GNU = ("tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "-")
BUSYBOX = ("busybox", "tar", "-xpf", "-")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files their owners")
needs_busybox = pytest.mark.skipif(not shutil.which("busybox"), reason="apt install busybox-static")


def unpack(tar: VolumeTar, into: pathlib.Path, command=GNU) -> bytes:
    """Through a pipe, as in a cluster. What tar said."""
    into.mkdir(parents=True)
    with subprocess.Popen(command, cwd=into, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        written = 0
        for piece in tar:
            assert len(piece) <= (1 << 20) + (1 << 17)
            written += len(piece)
            running.stdin.write(piece)
        running.stdin.close()
        said = running.stderr.read()
    assert running.returncode == 0, said
    assert written == tar.totals().size and written % 10240 == 0
    return said


def stored(genuine):
    """(what expected.json says of it, opened volume) of each volume that was stored."""
    repositories = Repositories(genuine.bucket)
    for backup in genuine.expected["backups"]:
        found = {(each.namespace, each.pod, each.volume): each for each in volumes_of(genuine.bucket, genuine.bucket.backup(backup["name"]))}
        for each in backup["volumes"]:
            if each["phase"] == "Completed":
                yield each, open_volume(repositories, found[each["namespace"], each["pod"], each["volume"]])


@needs_root
def test_every_volume_unpacked_by_gnu_tar_is_as_it_was(genuine, tmp_path):
    for number, (each, volume) in enumerate(stored(genuine)):
        tar = VolumeTar(volume)
        assert unpack(tar, tmp_path / str(number)) == b""
        expected = expected_entries(genuine.expected, each)
        assert on_disk(tmp_path / str(number)) == expected, volume.volume.name
        totals = tar.totals()
        assert totals.entries == len(expected)
        assert totals.content == sum(facts.get("size", 0) for facts in expected.values())
        assert totals.left_out == ()  # restic stores no sockets
    assert number == 10


@needs_root
@needs_busybox
def test_unpacked_by_busybox_only_what_it_lacks_is_missing(genuine, tmp_path):
    for number, (each, volume) in enumerate(stored(genuine)):
        top = tmp_path / str(number)
        unpack(VolumeTar(volume), top, BUSYBOX)
        expected, found = expected_entries(genuine.expected, each), on_disk(top)
        # It makes links that lead out of their directory last, and as whoever runs it.
        late = {path for path, facts in expected.items() if facts["type"] == "symlink"}
        for path, facts in expected.items():
            facts.pop("xattrs_b64", None)
            # BusyBox sets no fractions of seconds.
            facts["mtime_ns"] -= facts["mtime_ns"] % 10**9
            if path in late or path in {os.path.dirname(link) for link in late}:
                for each_facts in (facts, found[path]):
                    for name in ("mtime_ns", *(("uid", "gid") if path in late else ())):
                        each_facts.pop(name, None)
        assert found == expected, volume.volume.name


# ---- made by hand --------------------------------------------------------------------------------------------------------


def volume_of(path, tree):
    made = MadeBucket(path)
    made.volume("b", tree=tree)
    bucket = made.finish("b").bucket
    return open_volume(Repositories(bucket), find_volume(bucket, "db/data-postgres-0").volume)


def time_of(seconds, nanoseconds=0):
    from datetime import datetime, timedelta, timezone

    return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanoseconds:09d}Z"


@needs_root
@pytest.mark.parametrize("command", [GNU, pytest.param(BUSYBOX, marks=needs_busybox)])
@pytest.mark.parametrize("length", [97, 98, 99, 100, 101, 155, 255])
def test_long_names_and_targets(tmp_path, length, command):
    name, target = b"n" * length, b"../" + b"t" * (length - 3)

    def tree(writer):
        inner = [writer.file(b"f" * length, b"x"), {**node_of(b"l" * length, "symlink"), "linktarget": target.decode()}]
        return [writer.folder(name, [writer.folder(name, inner)])]

    unpack(VolumeTar(volume_of(tmp_path / "bucket", tree)), tmp_path / "out", command)
    folder = tmp_path / "out" / os.fsdecode(name) / os.fsdecode(name)
    assert (folder / ("f" * length)).read_bytes() == b"x"
    assert os.readlink(folder / ("l" * length)) == os.fsdecode(target)


def node_of(name, kind, **fields):
    from support import format

    return format.node(name, kind, **fields)


@needs_root
def test_what_numbers_and_times_can_be(tmp_path):
    times = [(-1, 0), (-2, 750_000_000), (-62_135_596_800 + 86400, 1), (0, 0), (0, 1), (2**31, 999_999_999), (8**11, 5)]
    if not on_this_disk_times_reach(tmp_path, -62_135_000_000):
        times = [each for each in times if -2_000_000_000 < each[0] < 15_000_000_000]

    def tree(writer):
        return [
            writer.file(b"%02d" % number, b"x", mtime=time_of(*each), uid=4_294_967_294 - number, gid=2_097_152 + number)
            for number, each in enumerate(times)
        ]

    unpack(VolumeTar(volume_of(tmp_path / "bucket", tree)), tmp_path / "out")
    for number, (seconds, nanoseconds) in enumerate(times):
        facts = os.stat(tmp_path / "out" / f"{number:02d}")
        assert (facts.st_mtime_ns, facts.st_uid, facts.st_gid) == (seconds * 10**9 + nanoseconds, 4_294_967_294 - number, 2_097_152 + number)


def on_this_disk_times_reach(directory, seconds):
    file = directory / "probe"
    file.touch()
    os.utime(file, (seconds, seconds))
    return os.stat(file).st_mtime == seconds


@needs_root
def test_devices_pipes_and_links_of_all_kinds(tmp_path):
    from support import format

    same = {"inode": 7, "device_id": 1, "links": 2}

    def tree(writer):
        shared = writer.file(b"a", b"shared", **same)
        return [
            shared,
            {**shared, "name": "b"},
            {**writer.file(b"c", b"another file system", inode=7, device_id=2, links=2)},
            format.node(b"null", "chardev", mode=0o666 | 1 << 26 | 1 << 21, device=os.makedev(1, 3), links=1),
            format.node(b"pipe", "fifo", mode=0o640 | 1 << 25, inode=9, device_id=1, links=2),
            format.node(b"pipe2", "fifo", mode=0o640 | 1 << 25, inode=9, device_id=1, links=2),
            format.node(b"socket", "socket", mode=0o640 | 1 << 24, links=1),
        ]

    tar = VolumeTar(volume_of(tmp_path / "bucket", tree))
    unpack(tar, tmp_path / "out")
    top = tmp_path / "out"
    assert os.stat(top / "a").st_ino == os.stat(top / "b").st_ino != os.stat(top / "c").st_ino
    null = os.lstat(top / "null")
    assert stat.S_ISCHR(null.st_mode) and null.st_rdev == os.makedev(1, 3)
    assert os.lstat(top / "pipe").st_ino == os.lstat(top / "pipe2").st_ino and stat.S_ISFIFO(os.lstat(top / "pipe").st_mode)
    assert tar.totals().left_out == ("/socket",) and not (top / "socket").exists()


@needs_root
def test_attributes_with_any_name_and_value(tmp_path):
    import base64

    wanted = {"user.a=b%c": b"\0=\n", "user.empty": b"", "user.long": noise(3000)}
    attributes = [{"name": name, "value": base64.b64encode(value).decode()} for name, value in wanted.items()]
    tar = VolumeTar(volume_of(tmp_path / "bucket", lambda writer: [writer.file(b"x", b"x", extended_attributes=attributes)]))
    assert unpack(tar, tmp_path / "out") == b"" and tar.totals().with_attributes == 1
    file = tmp_path / "out/x"
    assert {name: os.getxattr(file, name) for name in os.listxattr(file)} == wanted


@pytest.mark.parametrize("name", [b"..", b".", b"../../outside", b"a/b", b""])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    tar = VolumeTar(volume_of(tmp_path / "bucket", lambda writer: [writer.file(name, b"x")]))
    with pytest.raises(recoup.DamagedError, match=r"no file can have|name"):
        list(tar)
    with pytest.raises(recoup.DamagedError, match=r"no file can have|name"):
        tar.totals()


@pytest.mark.parametrize("depth", [0, 1])
def test_a_name_twice_is_refused(tmp_path, depth):
    """The first a symlink, the second a directory: what is in that would be written where the link leads."""

    def tree(writer):
        nodes = [{**node_of(b"a", "symlink"), "linktarget": "/etc"}, writer.folder(b"a", [writer.file(b"passwd", b"x")])]
        return [writer.folder(b"d", nodes)] if depth else nodes

    with pytest.raises(recoup.DamagedError, match="twice"):
        list(VolumeTar(volume_of(tmp_path / "bucket", tree)))


def test_a_file_that_is_shorter_than_its_size_is_damage(tmp_path):
    tar = VolumeTar(volume_of(tmp_path / "bucket", lambda writer: [{**writer.file(b"x", b"content"), "size": 8}]))
    with pytest.raises(recoup.DamagedError):
        list(tar)


def test_files_are_told_with_their_checksums(quick):
    import hashlib

    found = find_volume(quick.bucket, "db/data-postgres-0")
    volume = open_volume(Repositories(quick.bucket), found.volume)
    told = {}
    for _ in VolumeTar(volume).pieces(told.__setitem__):
        pass
    links = [path for path, node in volume.walk() if node.type == "file" and node.links > 1]
    files = {b"." + os.fsencode(path): path for path, node in volume.walk() if node.type == "file" and path not in links[1:]}
    assert set(told) == set(files)
    for name, path in files.items():
        with volume.open(path) as source:
            assert told[name] == hashlib.sha256(source.read()).hexdigest()


_names = strategies.binary(min_size=1, max_size=120).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"0")).filter(lambda name: name not in (b".", b".."))
_files = strategies.tuples(strategies.integers(0, 0o7777), strategies.integers(0, 2**32 - 2), strategies.integers(0, 2**33 * 10**9), strategies.binary(max_size=2000))
_trees = strategies.recursive(
    _files, lambda below: strategies.dictionaries(_names, below, max_size=5), max_leaves=20
).filter(lambda tree: isinstance(tree, dict))


@needs_root
@hypothesis.settings(max_examples=40, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(tree=_trees)
def test_any_tree_comes_out_as_it_went_in(tmp_path_factory, tree):
    home = tmp_path_factory.mktemp("tree")

    def nodes(writer, below):
        made = []
        for name, what in sorted(below.items()):
            if isinstance(what, dict):
                made.append(writer.folder(name, nodes(writer, what), mtime=time_of(len(what), 7)))
            else:
                mode, owner, time, content = what
                special = (mode & 0o777) | (1 << 23 if mode & stat.S_ISUID else 0) | (1 << 22 if mode & stat.S_ISGID else 0) | (1 << 20 if mode & stat.S_ISVTX else 0)
                made.append(writer.file(name, content, mode=special, uid=owner, gid=owner, mtime=time_of(*divmod(time, 10**9))))
        return made

    try:
        unpack(VolumeTar(volume_of(home / "bucket", lambda writer: nodes(writer, tree))), home / "out")

        def check(top, below):
            assert sorted(os.listdir(top)) == sorted(below)
            for name, what in below.items():
                facts = os.lstat(os.path.join(top, name))
                if isinstance(what, dict):
                    check(os.path.join(top, name), what)
                    assert facts.st_mtime_ns == len(what) * 10**9 + 7
                else:
                    assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid, facts.st_mtime_ns) == (what[0], what[1], what[1], what[2])
                    assert pathlib.Path(os.fsdecode(os.path.join(top, name))).read_bytes() == what[3]

        check(os.fsencode(home / "out"), tree)
    finally:
        shutil.rmtree(home, ignore_errors=True)
