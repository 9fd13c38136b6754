"""recoup-velero restore-pvc and its like, from a real MinIO: tools/s3-servers.sh builds the server."""

from __future__ import annotations

import os
import select
import signal
import time

import pytest
from velero_commands import good, restore_all, run, start
from velero_volumes import MadeBucket, noise, on_disk

from support import faults
from support.programs import wait_until
from support.proxy import Proxy

DB = "db/data-postgres-0"
# Until long after the signal, however slow the machine is.
STALL = 600


@pytest.fixture
def uploaded(minio, readable_bucket, tmp_path):
    """uploaded(directory): the bucket, and arguments for commands that read it, with rights to read only."""

    def upload(directory, prefix="", endpoint=None):
        bucket, user = readable_bucket(directory, prefix)
        location = minio.location(bucket.name, prefix.rstrip("/"), *([endpoint] if endpoint else []))
        home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home/cache")}
        return bucket, {"bucket": location, "env": {**minio.environment(user), **home}}

    return upload


@pytest.mark.parametrize("which", ["quick", "quick_after_crash"])
def test_every_volume_of_every_backup_is_restored_as_it_was(which, request, uploaded, tmp_path):
    genuine = request.getfixturevalue(which)
    bucket, there = uploaded(genuine.path, "clusters/home/")
    before = bucket.sizes()
    assert restore_all(there["bucket"], genuine.expected, tmp_path / "restored", env=there["env"]) == 11
    assert bucket.sizes() == before  # and nobody had the right to write
    assert not (tmp_path / "home").exists()  # nothing is kept on this machine


def test_lists_and_files_are_those_of_a_directory(quick, uploaded, tmp_path):
    _, there = uploaded(quick.path)
    for arguments in (("volumes",), ("--json", "volumes", "--all"), ("ls", DB, "-R", "-l"), ("--json", "ls", DB, "/uploads"),
                      ("dump", DB, "/pgdata/base/13395/random.bin")):  # fmt: skip
        assert good(*arguments, **there).raw == good(*arguments, bucket=quick.path).raw


def test_volume_is_mounted_from_the_bucket(quick, uploaded, tmp_path):
    _, there = uploaded(quick.path)
    good("restore-pvc", DB, "-t", tmp_path / "restored", **there)
    (tmp_path / "mount").mkdir()
    process = start("mount", DB, tmp_path / "mount", **there)
    try:
        said = b""
        while not said.endswith(b"ends it\n"):
            assert select.select([process.stdout], [], [], 600)[0]
            more = os.read(process.stdout.fileno(), 1 << 16)
            assert more, (said, process.stderr.read())
            said += more
        found = {path: facts for path, facts in on_disk(tmp_path / "mount").items() if facts["type"] != "socket"}
        assert found == on_disk(tmp_path / "restored")
    finally:
        process.terminate()
        process.communicate(timeout=600)
    assert process.returncode == 0 and os.listdir(tmp_path / "mount") == []


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_restore_that_is_stopped_says_so_and_goes_on(minio, uploaded, tmp_path, how, code):
    """The second of two packs does not come whole: meanwhile it is stopped."""
    made = MadeBucket(tmp_path / "made")

    def tree(writer):
        first = [writer.file(b"a%d" % number, noise(10_000, number)) for number in range(3)]
        writer.finish()
        return [*first, writer.file(b"b", noise(3_000_000))]

    made.volume("b", tree=tree)
    made.finish("b")
    large = max((each for each in (made.path / "restic/db/data").rglob("*") if each.is_file()), key=lambda each: each.stat().st_size)
    with Proxy(minio.endpoint) as proxy:
        _, there = uploaded(made.path, endpoint=proxy.endpoint)
        proxy.add(faults.stall(STALL, where="answer", after=1_000_000), method="GET", key=large.name, times=None)
        target = tmp_path / "target"
        process = start("restore-pvc", DB, "-t", target, **there)
        wait_until(lambda: (target / "a2").exists() and any(each.fault for each in proxy.requests(key=large.name)), what="the stall")
        begun = time.monotonic()
        process.send_signal(how)
        try:
            _, errors = process.communicate(timeout=600)
        finally:
            process.kill()
        said = errors.decode()
        assert time.monotonic() - begun < 120, "it waited for the answer"
        assert process.returncode == code and "Traceback" not in said
        assert f"stopped: {target} may hold only part of {DB}" in said and "--overwrite if-changed" in said
        assert set(os.listdir(target)) <= {"a0", "a1", "a2", "b"}  # nothing under another name
        proxy.clear()
        refused = run("restore-pvc", DB, "-t", target, **there)
        assert refused.code == 1 and "is not empty" in refused.errors
        good("restore-pvc", DB, "-t", target, "--overwrite", "if-changed", **there)
    contents = {name: (target / name).read_bytes() for name in os.listdir(target)}
    assert contents == {**{f"a{number}": noise(10_000, number) for number in range(3)}, "b": noise(3_000_000)}


def test_dump_that_is_stopped_leaves_no_file(minio, uploaded, tmp_path):
    made = MadeBucket(tmp_path / "made")
    made.volume("b", tree=lambda writer: [writer.file(b"b", noise(3_000_000))])
    made.finish("b")
    large = max((each for each in (made.path / "restic/db/data").rglob("*") if each.is_file()), key=lambda each: each.stat().st_size)
    (tmp_path / "out").mkdir()
    with Proxy(minio.endpoint) as proxy:
        _, there = uploaded(made.path, endpoint=proxy.endpoint)
        proxy.add(faults.stall(STALL, where="answer", after=1_000_000), method="GET", key=large.name, times=None)
        process = start("dump", DB, "/b", "-O", tmp_path / "out/b", **there)
        wait_until(lambda: os.listdir(tmp_path / "out") and any(each.fault for each in proxy.requests(key=large.name)), what="the stall")
        assert [name.startswith(".recoup-") for name in os.listdir(tmp_path / "out")] == [True]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=600)
        assert process.returncode == 143 and os.listdir(tmp_path / "out") == []
