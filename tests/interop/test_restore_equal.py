"""What comes back equals what was saved, and every option of restore does what restic's does."""

import os
import shutil
import stat
import subprocess
import time

import pytest

from support import format, trees
from support.commands import backup, restore
from support.compare import assert_same, compare_trees, data_segments, listing, rsync_differences
from support.trees import noise, write

#: numbers of restore's summary that both must give alike
COUNTS = "total_files files_restored files_skipped files_deleted total_bytes bytes_restored bytes_skipped".split()


# ---- equal to the original ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("writer, reader", [("recoup", "recoup"), ("recoup", "restic"), ("restic", "recoup")])
def test_odd_tree(request, restorable_tree, new_repo, tmp_path, version, writer, reader):
    writer, reader = request.getfixturevalue(writer), request.getfixturevalue(reader)
    repo = new_repo(version=version)
    made = backup(writer, repo, restorable_tree.name, cwd=restorable_tree.parent)
    before = repo.files()
    result = restore(reader, repo, made.id, tmp_path / "out", "--json")
    restored = tmp_path / "out/restorable"
    assert_same(restorable_tree, restored, root=True)
    assert rsync_differences(restorable_tree, restored) == ""
    assert result.summary["files_restored"] == result.summary["total_files"] == len(listing(restorable_tree))
    assert repo.files() == before


def test_odd_tree_with_all_that_restic_changes(recoup, restic, odd_tree, new_repo, tmp_path):
    """Hard-linked symlinks and devices, sockets: not equal to the original, but equal to what restic makes of them."""
    repo = new_repo()
    made = backup(restic, repo, odd_tree.name, cwd=odd_tree.parent)
    restore(restic, repo, made.id, tmp_path / "restic")
    restore(recoup, repo, made.id, tmp_path / "recoup")
    assert_same(tmp_path / "restic", tmp_path / "recoup", ignore=lambda path: path == b".")


@pytest.mark.parametrize("number", range(3))
def test_random_trees(recoup, restic, new_repo, tmp_path, number):
    repo = new_repo(version=1 + number % 2)
    made = trees.RandomTree(tmp_path / "tree", ("restore", os.environ.get("RECOUP_SEED", "1"), number)).grow(150)
    saved = backup(recoup, repo, "tree", cwd=tmp_path)
    for program in (recoup, restic):
        restore(program, repo, saved.id, tmp_path / program.name)
        assert_same(tmp_path / "tree", tmp_path / program.name / "tree", root=True)
    del made


@pytest.mark.recoup_only
def test_times_after_2262(recoup, new_repo, tmp_path):
    """restic stores them and brings back 1901; they fit any 64-bit count of seconds."""
    repo = new_repo()
    tree = tmp_path / "tree"
    tree.mkdir()
    for number, when in enumerate(trees.LATE_TIMES):
        write(os.fsencode(tree / f"t{number}"), when=when)
    made = backup(recoup, repo, "tree", cwd=tmp_path)
    restore(recoup, repo, made.id, tmp_path / "out")
    assert_same(tree, tmp_path / "out/tree")


def test_absolute_paths_come_back_below_the_target(recoup, repo, stable, tmp_path):
    tree = trees.small_tree(stable / "tree")
    backup(recoup, repo, tree)
    restore(recoup, repo, "latest", tmp_path / "out")
    assert_same(tree, f"{tmp_path}/out{tree}")
    above = os.lstat(f"{tmp_path}/out{stable}")
    assert stat.S_IMODE(above.st_mode) == 0o755 and above.st_mtime_ns == os.lstat(stable).st_mtime_ns


def test_restore_onto_the_original_place(recoup, repo, stable):
    tree = trees.small_tree(stable / "tree")
    backup(recoup, repo, tree)
    shutil.copytree(tree, stable / "kept", symlinks=True)
    subprocess.run(["rsync", "-aHAX", f"{tree}/", f"{stable}/kept/"], check=True)
    shutil.rmtree(tree)
    restore(recoup, repo, "latest", "/")
    assert_same(stable / "kept", tree, root=True)


# ---- which snapshot, which part ------------------------------------------------------------------------------------------

@pytest.fixture
def history(restic, repo, tmp_path):
    """Three snapshots of one tree with the files 1, 2, 3 added in turn; others in between."""
    tree = trees.small_tree(tmp_path / "tree", files=6, bytes_each=500)
    ids = []
    for turn in (1, 2, 3):
        (tree / str(turn)).write_text(str(turn))
        ids.append(backup(restic, repo, "tree", f"--tag=turn{turn},t", f"--time=2024-0{turn}-01 00:00:00", cwd=tmp_path).id)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/4").write_text("4")
    ids.append(backup(restic, repo, "elsewhere", "--host=second", "--time=2024-04-01 00:00:00", host=None, cwd=tmp_path).id)
    return repo, tree, ids


def restored_turns(target):
    return sorted(p.name for p in target.rglob("[1-4]"))


@pytest.mark.parametrize("wanted, turns", [
    (["latest"], ["4"]), (["latest", "--host=interop"], ["1", "2", "3"]), (["latest", "--tag=turn2"], ["1", "2"]),
    (["latest", "--tag=turn1,t"], ["1"]), (["latest", "--tag=turn1", "--tag=turn2"], ["1", "2"]),
    (["latest", "--host=second", "--host=interop"], ["4"]), (["latest", "--path={}"], ["1", "2", "3"]),
    (["{id1}"], ["1"]), (["{short2}"], ["1", "2"]), (["latest:/tree", "--host=interop"], ["1", "2", "3"]), (["{id1}:tree"], ["1"]),
    (["{id2}:/tree/"], ["1", "2"]), (["latest:elsewhere"], ["4"]),
], ids=lambda v: " ".join(v))
def test_choosing_a_snapshot(recoup, history, tmp_path, wanted, turns):
    repo, tree, ids = history
    names = {"id1": ids[0], "id2": ids[1], "short2": ids[1][:8]}
    restore(recoup, repo, wanted[0].format(**names), tmp_path / "out", *(w.format(tree) for w in wanted[1:]))
    assert restored_turns(tmp_path / "out") == turns


@pytest.mark.recoup_only
@pytest.mark.parametrize("wanted, turns", [
    (["latest~0"], ["4"]), (["latest~1"], ["1", "2", "3"]), (["latest~2"], ["1", "2"]), (["latest~3"], ["1"]),
    (["latest~1", "--host=interop"], ["1", "2"]), (["latest~2:/tree"], ["1", "2"]), (["latest~1", "--tag=t"], ["1", "2"]),
], ids=lambda v: " ".join(v))
def test_snapshots_counted_back_from_the_latest(recoup, history, tmp_path, wanted, turns):
    repo, _, _ = history
    restore(recoup, repo, wanted[0], tmp_path / "out", *wanted[1:])
    assert restored_turns(tmp_path / "out") == turns


@pytest.mark.recoup_only
def test_counting_back_too_far(recoup, history, tmp_path):
    repo, _, _ = history
    result = recoup.run("restore", "latest~4", "--target", tmp_path / "out", repo=repo, code=1)
    assert "latest~4" in result.errors and not (tmp_path / "out").exists()


@pytest.mark.parametrize("wanted", [
    ["0000000000"], ["not-hex"], ["latest", "--host=nobody"], ["latest:/missing"], ["latest:/elsewhere/4"], ["latest", "--tag=none"],
    ["latest", "latest"], [], ["latest:"], ["latest", "--include=[bad"], ["latest", "--overwrite=sometimes"],
    ["latest", "--include=a", "--exclude=b"], ["latest", "--delete", "--overwrite=x"], ["latest", "--unknown-flag"],
], ids=lambda v: " ".join(v) or "none")
def test_what_cannot_be_chosen_is_refused_alike(recoup, restic, history, tmp_path, wanted):
    repo, _, _ = history
    theirs = restic.run("restore", *wanted, "--target", tmp_path / "restic", repo=repo, code=None)
    ours = recoup.run("restore", *wanted, "--target", tmp_path / "recoup", repo=repo, code=theirs.code)
    assert theirs.code == 0 or ours.errors.strip()
    # Neither may leave anything behind but perhaps the empty target.
    if theirs.code:
        assert not list((tmp_path / "recoup").rglob("*") if (tmp_path / "recoup").exists() else [])


def test_no_target(recoup, restic, history):
    repo, _, _ = history
    theirs = restic.run("restore", "latest", repo=repo, code=None)
    assert "target" in recoup.run("restore", "latest", repo=repo, code=theirs.code).errors


# ---- both programs, the same options, the same targets -------------------------------------------------------------------

@pytest.fixture
def both(recoup, restic, repo, tmp_path):
    """both(prepare, arguments…): two equal targets made by prepare(path); each program restores into one of them. The targets
    must be equal afterwards, and the summaries, and the exit codes. Returns recoup's target and summary."""
    turn = [0]

    def run(snapshot, prepare, *args, code=0, wrap=(), env=None):
        turn[0] += 1
        results = {}
        for program in (restic, recoup):
            place = tmp_path / f"turn{turn[0]}-{program.name}"
            place.mkdir()
            place.chmod(0o755)
            if prepare:
                prepare(place)
            results[program.name] = restore(program, repo, snapshot, place / "t", "--json", *args, code=code, wrap=wrap, env=env)
        ours = tmp_path / f"turn{turn[0]}-recoup"
        assert_same(tmp_path / f"turn{turn[0]}-restic", ours, root=True,
                    ignore=lambda path: path in (b".", b"t") or path.startswith(b"untimed"))
        theirs_said, ours_said = results["restic"].messages("summary"), results["recoup"].messages("summary")
        assert len(ours_said) == len(theirs_said)
        for a, b in zip(theirs_said, ours_said):
            assert [(k, a.get(k)) for k in COUNTS] == [(k, b.get(k)) for k in COUNTS]
        return ours, (ours_said[0] if ours_said else None)

    return run


@pytest.fixture
def source(restic, repo, tmp_path):
    """What is restored below: a snapshot of `s`."""
    top = tmp_path / "s"
    files = {"same": 3000, "changed": 3000, "same-size-and-time": 3000, "newer-there": 3000, "older-there": 3000, "longer-there": 3000,
             "shorter-there": 3000, "missing-there": 3000, "d/inner": 100, "d/e/deep": 100, "was-dir": 50, "was-link": 50,
             "readonly": 3000, "big": 3_000_000, "big-holey": 2_000_000, "empty": 0, "sub/keep.txt": 10, "sub/drop.log": 10,
             "Sub2/Upper.TXT": 10, "linked": 500}
    for name, size in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        write(os.fsencode(top / name), noise(size, name))
    write(os.fsencode(top / "big-holey"), noise(700_000, 1) + bytes(1_500_000) + noise(300_000, 2))
    os.link(top / "linked", top / "d/linked-too")
    for folder in ("was-file", "was-link-to-dir", "empty-dir"):
        (top / folder).mkdir()
        if folder != "empty-dir":
            write(os.fsencode(top / folder / "child"), b"child")
    (top / "link").symlink_to("same")
    (top / "link-changed").symlink_to("changed")
    os.mkfifo(top / "pipe")
    os.setxattr(top / "same", "user.kept", b"1")
    os.setxattr(top / "same", "user.other", b"2")
    os.setxattr(top / "d", "user.kept", b"3")
    (top / "readonly").chmod(0o400)
    for folder, _, _ in os.walk(top, topdown=False):
        os.utime(folder, ns=(1, 1_500_000_000_000_000_000))
    return backup(restic, repo, "s", cwd=tmp_path).id, top


def put_other_types_in_the_way(there):
    shutil.rmtree(there / "was-file")
    write(os.fsencode(there / "was-file"), b"a file where a directory goes")
    shutil.rmtree(there / "was-link-to-dir")
    (there / "was-link-to-dir").symlink_to("../../outside")
    (there / "was-link").unlink()
    (there / "was-link").symlink_to("../../outside/victim")
    (there / "was-dir").unlink()
    (there / "was-dir").mkdir()


def occupied(top, other_types=True):
    """Makes a target that already holds something of every kind in the way; with `other_types` also files where directories
    go and the other way round."""
    def prepare(place):
        outside = place / "outside"
        outside.mkdir()
        write(os.fsencode(outside / "victim"), b"must survive")
        write(os.fsencode(outside / "second-name"), b"shares its file")
        there = place / "t" / "s"
        (place / "t").mkdir()
        subprocess.run(["cp", "-a", top, there], check=True)
        (there / "missing-there").unlink()
        when = 1_700_000_000_123_456_789
        write(os.fsencode(there / "changed"), noise(3000, "other"), when=when - 10**9)
        write(os.fsencode(there / "same-size-and-time"), noise(3000, "unseen"), when=when)
        write(os.fsencode(there / "newer-there"), noise(3000, "new"), when=when + 10**9)
        write(os.fsencode(there / "older-there"), noise(3000, "old"), when=when - 10**9)
        write(os.fsencode(there / "longer-there"), noise(5000, "longer-there"), when=when - 1)
        write(os.fsencode(there / "shorter-there"), noise(3000, "shorter-there")[:100], when=when - 1)
        write(os.fsencode(there / "big"), noise(3_000_000, "big")[:2_000_000] + noise(1_000_000, "tail"), when=when - 1)
        write(os.fsencode(there / "big-holey"), noise(2_500_000, "full"), when=when - 1)
        write(os.fsencode(there / "empty"), b"not empty", when=when - 1)
        (there / "readonly").chmod(0o000)
        if other_types:
            put_other_types_in_the_way(there)
        (there / "link-changed").unlink()
        (there / "link-changed").symlink_to("elsewhere")
        (there / "linked").unlink()
        os.link(outside / "second-name", there / "linked")
        os.setxattr(there / "same", "user.extra", b"9")
        os.removexattr(there / "same", "user.kept")
        (there / "extra").write_text("extra")
        (there / "extra-dir/sub").mkdir(parents=True)
        (there / "extra-dir/sub/f").write_text("extra")
        (there / "d/extra.txt").write_text("extra")
        (there / "extra-link").symlink_to("../../outside")
        (there / "sub/extra.log").write_text("extra")
        fresh = time.time() - 3600  # made just now: gets a time that two targets can share
        for folder, folders, names in os.walk(place, topdown=False):
            for path in (os.path.join(folder, name) for name in folders + names):
                if os.lstat(path).st_mtime > fresh:
                    os.utime(path, ns=(1, 1_400_000_000_000_000_000), follow_symlinks=False)
    return prepare


@pytest.mark.parametrize("delete", [[], ["--delete"]], ids=["keep", "delete"])
@pytest.mark.parametrize("overwrite", ["always", "if-changed", "if-newer", "never", None])
def test_overwrite_and_delete(both, source, overwrite, delete):
    snapshot, top = source
    flags = ([f"--overwrite={overwrite}"] if overwrite else []) + delete
    ours, _ = both(snapshot, occupied(top), *flags)
    there = ours / "t/s"
    assert (ours / "outside/victim").read_bytes() == b"must survive"
    assert (ours / "outside/second-name").read_bytes() == b"shares its file"
    assert (there / "extra").exists() == (not delete)
    if overwrite in ("always", None):
        left = compare_trees(top, there, xattrs=False)
        assert [line for line in left if not (line.startswith(("b'extra", "b'd/extra", "b'sub/extra")) and not delete)] == []
    if overwrite == "if-changed":
        assert (there / "same-size-and-time").read_bytes() == noise(3000, "unseen")  # the option's price
        assert (there / "changed").read_bytes() == noise(3000, "changed")
    if overwrite == "if-newer":
        assert (there / "newer-there").read_bytes() == noise(3000, "new")
        assert (there / "older-there").read_bytes() == noise(3000, "older-there")
    if overwrite == "never":
        assert (there / "older-there").read_bytes() == noise(3000, "old")
        assert (there / "missing-there").read_bytes() == noise(3000, "missing-there")


def test_restoring_twice_changes_nothing(both, recoup, restic, repo, source, tmp_path):
    snapshot, top = source
    first, _ = both(snapshot, None)
    assert_same(top, first / "t/s", root=True)
    before = {path: (info.st_ino, info.st_mtime_ns) for path, info in listing(first / "t").items() if stat.S_ISREG(info.st_mode)}
    restore(recoup, repo, snapshot, first / "t")
    after = {path: (info.st_ino, info.st_mtime_ns) for path, info in listing(first / "t").items() if stat.S_ISREG(info.st_mode)}
    assert after == before or compare_trees(top, first / "t/s", root=True) == []
    assert_same(top, first / "t/s", root=True)


PATTERNS = [
    ["--include=*.txt"], ["--include=s/d"], ["--include=/s/d"], ["--include=/s/d/e"], ["--include=d/e/deep"], ["--include=/s/**/deep"],
    ["--include=nothing"], ["--include=sub", "--include=!sub/drop.log"], ["--include=*.log", "--include=*.txt"], ["--include=/s/d/*"],
    ["--include=/s/was-*"], ["--include=linked-too"], ["--include=/s/empty-dir"], ["--include=/s/pipe"], ["--include=/"], ["--include=s"],
    ["--exclude=*.txt"], ["--exclude=d"], ["--exclude=/s/d/e"], ["--exclude=*"], ["--exclude=*", "--exclude=!same"], ["--exclude=/s/sub/*", "--exclude=!keep.txt"],
    ["--exclude=linked"], ["--exclude=/s/*", "--exclude=!/s/same"], ["--iinclude=*.TXT"], ["--iexclude=*.txt"], ["--iinclude=/S/SUB2"],
    ["--exclude=big*", "--iexclude=SUB2"],
]


@pytest.mark.parametrize("patterns", PATTERNS, ids=lambda p: " ".join(p).replace("/", "⁄"))
def test_includes_and_excludes(both, source, patterns):
    both(source[0], None, *patterns)


@pytest.mark.parametrize("patterns", [["--include=/s/d"], ["--exclude=/s/d"], ["--include=*.txt"], ["--exclude=*.log"], ["--include=/s/sub/**"],
                                      ["--exclude=extra*"], ["--include=extra*"], ["--include=nothing"]], ids=lambda p: " ".join(p).replace("/", "⁄"))
def test_delete_spares_what_is_not_selected(both, source, patterns):
    snapshot, top = source
    ours, _ = both(snapshot, occupied(top), "--delete", *patterns)
    assert (ours / "outside/victim").read_bytes() == b"must survive"


@pytest.mark.parametrize("flag, content", [
    ("--include-file", "*.txt\n# no\n/s/d\n"), ("--exclude-file", "*.txt\n\n  d  \n"), ("--iinclude-file", "*.TXT\n"), ("--iexclude-file", "SUB*\n"),
    ("--exclude-file", "$WHERE\n!x\n")])
def test_pattern_files(both, source, tmp_path, flag, content):
    (tmp_path / "patterns").write_text(content)
    both(source[0], None, f"{flag}={tmp_path / 'patterns'}", env={"WHERE": "/s/sub"})


@pytest.mark.parametrize("flags", [["--include-xattr=user.k*"], ["--exclude-xattr=user.*"], ["--include-xattr=*"], ["--exclude-xattr=user.kept"],
                                   ["--include-xattr=security.*"], ["--include-xattr=user.kept", "--include-xattr=user.other"]], ids=" ".join)
def test_attributes_chosen_by_name(both, source, flags):
    snapshot, top = source
    both(snapshot, None, *flags)
    both(snapshot, occupied(top), *flags)


def test_attributes_that_the_snapshot_has_not(both, source, repo, recoup):
    """Left over attributes of an existing file go, as with restic."""
    snapshot, top = source
    ours, _ = both(snapshot, occupied(top))
    assert sorted(os.listxattr(ours / "t/s/same")) == ["user.kept", "user.other"]


@pytest.mark.parametrize("overwrite", ["always", "if-changed", "never"])
@pytest.mark.parametrize("present", [False, True], ids=["fresh", "occupied"])
def test_sparse(both, source, overwrite, present):
    snapshot, top = source
    ours, _ = both(snapshot, occupied(top) if present else None, "--sparse", f"--overwrite={overwrite}")
    if not present:
        info = (ours / "t/s/big-holey").stat()
        kept = sum(end - begin for begin, end in data_segments(ours / "t/s/big-holey"))
        assert kept < info.st_size and info.st_blocks * 512 < info.st_size


def test_sparse_makes_holes_of_zeros(recoup, repo, tmp_path):
    """A file of zeros alone, one with zeros at the end, one with a hole in the middle."""
    tree = tmp_path / "tree"
    tree.mkdir()
    write(os.fsencode(tree / "zeros"), bytes(12_000_000))
    write(os.fsencode(tree / "tail"), noise(600_000, "tail") + bytes(10_000_000))
    write(os.fsencode(tree / "middle"), noise(600_000, 1) + bytes(20_000_000) + noise(600_000, 2))
    write(os.fsencode(tree / "few zeros"), noise(10_000, 1) + bytes(3000) + noise(10_000, 2))
    backup(recoup, repo, "tree", cwd=tmp_path)
    restore(recoup, repo, "latest", tmp_path / "plain")
    restore(recoup, repo, "latest", tmp_path / "sparse", "--sparse")
    for target in ("plain", "sparse"):
        assert_same(tree, tmp_path / target / "tree")
    assert (tmp_path / "sparse/tree/zeros").stat().st_blocks == 0
    for name in ("tail", "middle"):
        assert (tmp_path / "sparse/tree" / name).stat().st_blocks * 512 < 12_000_000
        assert (tmp_path / "sparse/tree" / name).stat().st_blocks < (tmp_path / "plain/tree" / name).stat().st_blocks


def test_verify(recoup, source, repo, tmp_path):
    snapshot, top = source
    result = restore(recoup, repo, snapshot, tmp_path / "out", "--verify")
    assert "verif" in result.text.lower()
    assert_same(top, tmp_path / "out/s")
    for overwrite in ("if-changed", "if-newer", "never"):  # what was not restored is not looked at, or is found right
        restore(recoup, repo, snapshot, tmp_path / "out", "--verify", f"--overwrite={overwrite}")


def test_verify_finds_what_was_left_wrong(recoup, restic, source, repo, tmp_path):
    """if-changed leaves a file that only looks the same; --verify reads it."""
    snapshot, top = source
    codes = {}
    for program in (restic, recoup):
        place = tmp_path / program.name
        place.mkdir()
        occupied(top)(place)
        codes[program.name] = restore(program, repo, snapshot, place / "t", "--verify", "--overwrite=if-changed", code=None)
    assert codes["recoup"].code == codes["restic"].code
    assert ("same-size-and-time" in codes["recoup"].errors) == ("same-size-and-time" in codes["restic"].errors)


@pytest.mark.parametrize("flags", [[], ["--delete"], ["--overwrite=if-newer"], ["--include=/s/d"]], ids=lambda f: " ".join(f) or "plain")
def test_dry_run_touches_nothing(recoup, restic, repo, source, tmp_path, flags):
    snapshot, top = source
    place = tmp_path / "place"
    place.mkdir()
    occupied(top, other_types=False)(place)  # restic's dry run takes these for errors
    (place / "t").chmod(0o700)
    before = {path: (i.st_ino, i.st_mode, i.st_mtime_ns, i.st_ctime_ns, i.st_size) for path, i in listing(place).items()}
    theirs = restore(restic, repo, snapshot, place / "t", "--dry-run", "--json", "-vv", *flags)
    ours = restore(recoup, repo, snapshot, place / "t", "--dry-run", "--json", "-vv", *flags)
    after = {path: (i.st_ino, i.st_mode, i.st_mtime_ns, i.st_ctime_ns, i.st_size) for path, i in listing(place).items()}
    assert after == before
    said = lambda r: sorted((m["action"], m["item"], m["size"]) for m in r.messages("verbose_status"))
    assert said(ours) == said(theirs)
    assert [(k, ours.summary.get(k)) for k in COUNTS] == [(k, theirs.summary.get(k)) for k in COUNTS]
    restore(recoup, repo, snapshot, tmp_path / "fresh", "--dry-run", *flags)
    assert not (tmp_path / "fresh").exists()


def test_ownership_by_name(both, restic, repo, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, uid, gid in (("known", 33, 33), ("other", 1, 2)):
        write(os.fsencode(tree / name), name.encode())
        os.chown(tree / name, uid, gid)
    made = backup(restic, repo, "tree", cwd=tmp_path)
    both(made.id, None)
    both(made.id, None, "--ownership-by-name")
    # The same names with other numbers: the number of the name on this machine counts, and the stored one without the flag.
    stored = format.Repo(repo.path)
    nodes = stored.tree(stored.tree(made.tree)[0]["subtree"])
    for node in nodes:
        node["uid"], node["gid"] = 4000, 4001
    writer = stored.writer()
    changed = stored.save_snapshot(writer.tree([writer.folder(b"tree", nodes)]))
    writer.finish()
    ours, _ = both(changed, None, "--ownership-by-name")
    info = (ours / "t/tree/known").stat()
    assert (info.st_uid, info.st_gid) == (33, 33)
    ours, _ = both(changed, None)
    assert (ours / "t/tree/known").stat().st_uid == 4000


@pytest.mark.local_only
def test_without_root(recoup, restic, new_repo, stable, tmp_path):
    """An ordinary user gets everything but the owners: not an error, as with restic."""
    repo = new_repo(where=stable)
    tree = trees.small_tree(tmp_path / "tree")
    os.chown(tree / "d0/f0", 1000, 1000)
    (tree / "d1/f1").chmod(0o4755)
    (tree / "d2").chmod(0o555)
    (tree / "d3/f3").chmod(0o000)
    os.setxattr(tree / "d0/f4", "user.x", b"1")
    os.setxattr(tree / "d0/f8", "system.posix_acl_access", trees.ACCESS_ACL)
    backup(recoup, repo, "tree", cwd=tmp_path)
    subprocess.run(["chmod", "-R", "a+rX", repo.path], check=True)
    stable.chmod(0o777)
    for program in (restic, recoup):
        shutil.copy2(program.path, stable / program.name)  # where everybody can reach it
        program.path, program.home = stable / program.name, stable
        restore(program, repo, "latest", stable / f"out-{program.name}", "--no-lock", "--no-cache",
                wrap=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
        assert_same(tree, stable / f"out-{program.name}/tree", owners=False, root=True)
    assert_same(stable / "out-restic", stable / "out-recoup")
    assert os.lstat(stable / "out-recoup/tree/d0/f0").st_uid == 65534


def test_progress_of_a_large_restore_is_json(recoup, repo, tmp_path):
    write(os.fsencode(tmp_path / "large"), noise(60_000_000, "large"))
    backup(recoup, repo, "large", cwd=tmp_path)
    result = restore(recoup, repo, "latest", tmp_path / "out", "--json", env={"RESTIC_PROGRESS_FPS": "20"})
    kinds = {m["message_type"] for m in result.json_lines()}
    assert kinds <= {"status", "summary"} and "summary" in kinds
    for message in result.messages("status"):
        assert 0 <= message["percent_done"] <= 1
