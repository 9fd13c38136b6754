"""recoup-velero ls and dump: run as a program; and names that a stranger chose, in all that is printed."""

from __future__ import annotations

import hashlib
import os
import stat

from velero_commands import good, run, start, volume_of
from velero_volumes import MadeBucket, expected_entries

DB = "db/data-postgres-0"
SECOND, THIRD = "backup-20260102-000000", "backup-20260103-000000"
HOSTILE = "evil\x1b[2J\n\u202e"


# ---- ls and dump -----------------------------------------------------------------------------------------------------------


def test_listing_agrees_with_what_was_stored(quick):
    wanted = expected_entries(quick.expected, volume_of(quick, SECOND, "data-postgres-0"))
    found = good("--json", "ls", DB, "--backup", SECOND, "-R", bucket=quick.path).document
    by_path = {os.fsencode(each["path"]).lstrip(b"/"): each for each in found}
    assert set(by_path) - set(wanted) <= {b"uploads/app.sock"} and set(wanted) <= set(by_path)
    for path, facts in wanted.items():
        each = by_path[path]
        assert (each["type"], each["permissions"], each["uid"], each["gid"]) == (facts["type"], facts["mode"], facts["uid"], facts["gid"])
        assert each["mtime_ns"] == facts["mtime_ns"] and each["size"] == facts.get("size", 0)
        assert each["link_target"] == facts.get("target")
        assert each["extended_attributes"] == sorted(facts.get("xattrs_b64", {}))


def test_tables_are_safe_for_terminals(quick):
    plain = good("ls", DB, "/uploads", bucket=quick.path).output.splitlines()
    assert "/uploads/new\\nline.txt" in plain and "/uploads/latin1-\\udce9.txt" in plain
    assert "/uploads/ümläut-日本語-🐘.txt" in plain
    long = good("ls", DB, "/uploads", "--long", bucket=quick.path, env={"TZ": "UTC"}).output.splitlines()
    [line] = [each for each in long if each.endswith("/uploads/hard-a")]
    assert line.split() == ["-rw-r--r--", "1000", "1000", "21", "2025-06-16", "15:26:08", "/uploads/hard-a"]
    assert any(each.endswith("/uploads/abs -> /etc/passwd") for each in long)
    assert [each.split()[0] for each in long if each.endswith("/uploads/pipe")] == ["prw-r-----"]
    assert good("ls", DB, "/uploads/hard-a", bucket=quick.path).output == "/uploads/hard-a\n"
    assert good("--json", "ls", "db/empty-claim", bucket=quick.path).document == []


def test_hostile_names_steer_nothing(tmp_path):
    made = MadeBucket(tmp_path / "made")

    def tree(writer):
        name = HOSTILE.encode()
        return [writer.file(name, b"x"), writer.file("c1\u009b2J".encode(), b"y"), writer.file(b"\xff\xfe", b"z")]

    made.volume("b", tree=tree, volume=HOSTILE, claim="evil\x1b[2J", tags=MadeBucket.tags("b", "db", "postgres-0", HOSTILE, "evil\x1b[2J"))
    made.finish("b", failureReason=HOSTILE)
    for arguments in (("volumes",), ("volumes", "--all"), ("ls", "db/evil\x1b[2J"), ("ls", "db/evil\x1b[2J", "-l"),
                      ("restore-pvc", "db/evil\x1b[2J", "--dry-run", "-t", tmp_path / "t\x1bt"), ("restore-pvc", "db/no\x1b[2J", "-t", "x"),
                      ("dump", "db/evil\x1b[2J", "/evil\x1b[2J"), ("--json", "volumes"), ("--json", "ls", "db/evil\x1b[2J")):  # fmt: skip
        done = run(*arguments, bucket=made.path)
        said = done.raw.decode() + done.errors
        assert "evil" in said and not {"\x1b", "\x9b"} & set(said), arguments
        if "--json" not in arguments:
            assert "\u202e" not in said, arguments
    names = [each["path"] for each in good("--json", "ls", "db/evil\x1b[2J", bucket=made.path).document]
    assert set(names) == {f"/{HOSTILE}", "/c1\u009b2J", "/\udcff\udcfe"}
    assert good("dump", "db/evil\x1b[2J", b"/\xff\xfe", bucket=made.path).raw == b"z"
    [volume] = good("--json", "volumes", bucket=made.path).document["volumes"]
    assert (volume["claim"], volume["volume"]) == ("evil\x1b[2J", HOSTILE)


def test_dump_gives_every_file_as_it_was(quick, tmp_path):
    wanted = expected_entries(quick.expected, volume_of(quick, THIRD, "data-postgres-0"))
    for path in (b"pgdata/base/13395/random.bin", b"uploads/latin1-\xe9.txt", b"uploads/-rf", b"pgdata/postmaster.opts"):
        content = good("dump", DB, b"/" + path, bucket=quick.path).raw
        assert (len(content), hashlib.sha256(content).hexdigest()) == (wanted[path]["size"], wanted[path]["sha256"])


def test_dump_into_a_file_is_whole_or_not_there(quick, tmp_path):
    into = tmp_path / "PG_VERSION"
    done = good("--json", "dump", DB, "/pgdata/PG_VERSION", "--output", into, bucket=quick.path).document
    assert (done["bytes"], done["output"], done["backup"]) == (3, str(into), THIRD)
    assert into.read_bytes() == b"16\n" and stat.S_IMODE(into.stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to(into)
    good("dump", DB, "/uploads/-rf", "-O", tmp_path / "link", bucket=quick.path)
    assert (tmp_path / "link").is_symlink() and into.stat().st_size == 5
    failed = run("dump", DB, "/no", "-O", into, bucket=quick.path)
    assert failed.code == 1 and into.stat().st_size == 5
    assert sorted(os.listdir(tmp_path)) == ["PG_VERSION", "link"]
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    good("dump", DB, "/pgdata/PG_VERSION", "-O", tmp_path / "pipe", bucket=quick.path)
    assert os.read(reading, 100) == b"16\n" and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    os.close(reading)
    assert good("dump", DB, "/pgdata/PG_VERSION", "-O", "/dev/stdout", bucket=quick.path).raw == b"16\n"
    good("dump", DB, "/pgdata/PG_VERSION", "-O", "/dev/null", bucket=quick.path)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_reader_that_has_seen_enough_is_no_error(quick):
    process = start("dump", DB, "/pgdata/base/13395/random.bin", bucket=quick.path)
    assert len(process.stdout.read(1000)) == 1000
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(600), said) == (0, b"")
