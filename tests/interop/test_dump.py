"""`dump`: files, and directories as tar and zip archives with the entries that restic's have."""

import io
import math
import os
import pathlib
import subprocess
import tarfile
import zipfile

import pytest

from support.compare import assert_same
from support.trees import noise


def test_dump_of_a_file(recoup, restic, history, tmp_path):
    repo, ids, home = history
    for args in ([ids[0], "/tree/contents/large"], [ids[1], "/tree/contents/text"], ["latest", "dump.sql"], ["latest", "/dump.sql"], [ids[0], "tree/contents/noise-0"],
                 [f"{ids[0]}:/tree/contents", "/zeros"], [ids[0], "/tree/names/with space"], [ids[0], "/tree/contents/none"], [ids[0], "/tree/links/dangling"], [ids[0], "/tree/specials/fifo"],
                 ["latest", "--host=second", "/small/d0/f0"], [ids[0], "/tree/links/relative"], [ids[0]]):
        theirs = restic.run("dump", *args, repo=repo, code=None)
        ours = recoup.run("dump", *args, repo=repo, code=theirs.code)
        assert ours.out == theirs.out, args
        assert theirs.code == 0 or ours.errors.strip()
    recoup.run("dump", ids[0], "/tree/contents/large", "--target", tmp_path / "out", repo=repo)
    assert (tmp_path / "out").read_bytes() == noise(2_000_000, "large")


def tar_as_data(raw):
    """Times in whole seconds, rounded as restic rounds them: it writes no more."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            content = archive.extractfile(member).read() if member.isreg() else b""
            pax = {k: v for k, v in member.pax_headers.items() if k not in ("path", "linkpath", "size", "mtime")}
            found.append((member.name, member.type, member.mode, member.uid, member.gid, member.uname, member.gname, member.linkname,
                          member.devmajor, member.devminor, math.floor(member.mtime + 0.5), pax, content))
    return found


@pytest.mark.parametrize("what", ["/tree", "/tree/links", "/tree/names", "/tree/attributes", "/", "/tree/structure/empty", "/tree/modes"], ids=lambda w: w.replace("/", "⁄"))
def test_dump_of_a_directory_as_tar(recoup, restic, history, tmp_path, what):
    """The same entries with the same headers; and GNU tar unpacks it."""
    repo, ids, home = history
    theirs = restic.run("dump", ids[0], what, repo=repo)
    ours = recoup.run("dump", ids[0], what, "--archive=tar", repo=repo)
    assert tar_as_data(ours.out) == tar_as_data(theirs.out)
    for who, raw in (("restic", theirs.out), ("recoup", ours.out)):
        (tmp_path / who).mkdir()
        done = subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "--same-owner", "-xpf", "-", "-C", tmp_path / who], input=raw, capture_output=True)
        assert done.returncode == 0 or who == "restic", done.stderr
    if not subprocess.run(["tar", "-tf", "-"], input=theirs.out, capture_output=True).returncode:
        above = [os.fsencode(str(folder)).lstrip(b"/") for folder in [pathlib.Path(what), *pathlib.Path(what).parents]]
        assert_same(tmp_path / "restic", tmp_path / "recoup", times=False, ignore=lambda path: path in above)  # no entries: made by tar


def test_dump_of_device_nodes_as_tar(recoup, restic, history):
    """restic leaves them out, but for those directly in the dumped directory: these it makes empty files. We leave out all."""
    repo, ids, _ = history
    assert {entry[1] for entry in tar_as_data(restic.run("dump", ids[0], "/tree/specials", repo=repo).out)} == {tarfile.REGTYPE}
    assert tar_as_data(recoup.run("dump", ids[0], "/tree/specials", repo=repo).out) == []


def zip_as_data(raw):
    """Without times: what lies before 1980 has none in a zip archive, and restic writes some day 128 years later."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        return [(i.filename, i.external_attr, i.create_system, i.file_size, i.is_dir(), archive.read(i)) for i in archive.infolist()]


@pytest.mark.parametrize("what", ["/tree/contents", "/tree/structure", "/tree/links", "/tree/names", "/"], ids=lambda w: w.replace("/", "⁄"))
def test_dump_of_a_directory_as_zip(recoup, restic, history, what):
    repo, ids, _ = history
    theirs = restic.run("dump", ids[1], what, "-a", "zip", repo=repo)
    ours = recoup.run("dump", ids[1], what, "-a", "zip", repo=repo)
    assert zip_as_data(ours.out) == zip_as_data(theirs.out)
