"""`copy` between repositories, with real restic as judge and as the one who goes on."""

import os
import random
import re
import shutil

import pytest

from support import format, storage, trees
from support.commands import backup, check_clean, restore
from support.compare import assert_same
from support.killer import Killer
from support.programs import PASSWORD, Repository, stand_in
from support.trees import noise

SEED = int(os.environ.get("RECOUP_SEED", "1"))
KILLS = max(5, int(os.environ.get("RECOUP_KILLS", "200")) // 8)


def copy(program, source, destination, *args, env=None, **run):
    return program.run("copy", "--from-repo", source.path, *args, repo=destination,
                       env={"RESTIC_FROM_PASSWORD": source.password} | (env or {}), **run)


def snapshots_by_original(repo):
    """Every field of each snapshot as stored, by the snapshot that it is a copy of."""
    return {value.get("original", name): value for name, value in format.Repo(repo.path).snapshots().items()}


def blobs(repo):
    return set(format.Repo(repo.path).index())


def assert_whole(repo):
    made = format.Repo(repo.path)
    assert made.problems() == []
    assert made.stored_twice() == {}


@pytest.fixture(scope="module")
def tree(stable_root):
    return trees.odd_tree(stable_root / "copied", large=2_000_000, hard_linked_specials=False, sockets=False)


@pytest.fixture(scope="module")
def sources(tree, template, tmp_path_factory):
    """Repositories v1 and v2 with the same four snapshots, made by restic. Nobody changes them."""
    from support import programs
    home = tmp_path_factory.mktemp("sources")
    restic, made = programs.restic().at(home), {}
    trees.small_tree(home / "small")
    for version in (1, 2):
        repo = Repository(home / f"v{version}", version)
        shutil.copytree(template[version].path, repo.path)
        save = lambda *args, **kw: backup(restic, repo, *args, cwd=home, **kw).id
        ids = [save(tree, "--tag=b,a", "--exclude=*.o", "--time=2024-01-01 10:00:00"),
               save(tree, "small", "--tag=a", "--time=2024-01-02 10:00:00"),
               save("small", "--host=second", "--time=2024-01-03 10:00:00.123456", host=None),
               save("--stdin", "--stdin-filename=dump.sql", "--time=2023-01-04 10:00:00", stdin=b"select 1;\n" * 1000)]
        made[version] = repo, ids
    return made


@pytest.mark.parametrize("to", [1, 2], ids=["to_v1", "to_v2"])
@pytest.mark.parametrize("of", [1, 2], ids=["v1", "v2"])
def test_whole_and_the_same_as_restic_copies(recoup, restic, sources, new_repo, tree, tmp_path, of, to):
    source, ids = sources[of]
    ours, theirs = new_repo("ours", to), new_repo("theirs", to)
    copy(recoup, source, ours)
    copy(restic, source, theirs)
    check_clean(restic, ours)
    assert_whole(ours)
    assert blobs(ours) == blobs(theirs) == blobs(source)
    assert snapshots_by_original(ours) == snapshots_by_original(theirs)
    assert set(snapshots_by_original(ours)) == set(ids)
    (first,) = [name for name, value in format.Repo(ours.path).snapshots().items() if value["original"] == ids[0]]
    restore(restic, ours, f"{first}:{tree.parent}", tmp_path / "out")
    assert_same(tree, tmp_path / "out/copied")


@pytest.mark.parametrize("order", ["recoup first", "restic first"])
def test_each_takes_the_others_copies_for_copies(recoup, restic, sources, new_repo, tmp_path, order):
    one, two = (recoup, restic) if order == "recoup first" else (restic, recoup)
    source, ids = sources[2]
    middle, last = new_repo("middle"), new_repo("last")
    copy(one, source, middle)
    before = middle.files()
    again = copy(two, source, middle, "-v")
    assert again.text.count("skipping source snapshot") == 4 and "saved" not in again.text
    assert {n for n in middle.files() if not n.startswith("locks")} == set(before)
    # A copy of a copy remembers where it came from, so it is not copied back.
    copy(two, middle, last)
    assert set(snapshots_by_original(last)) == set(ids)
    back = new_repo("back")
    storage.remove_tree(back.path)
    storage.copy_tree(source.path, back.path)
    for program in (one, two):
        assert "saved" not in copy(program, last, back).text
    assert back.ids("snapshots") == set(ids)
    # Both add what is new.
    grown = trees.small_tree(tmp_path / "grown", 7)
    for number, program in enumerate((two, one, two)):
        (grown / "turn").write_bytes(noise(50_000, number))
        backup(restic, back, "grown", cwd=tmp_path)
        assert copy(program, back, middle).text.count("saved") == 1
    check_clean(restic, middle)
    assert_whole(middle)
    assert blobs(middle) == blobs(back)


def test_same_chunks_after_init_with_the_same_parameters(recoup, restic, sources, tmp_path):
    source, _ = sources[2]
    (tmp_path / "large").write_bytes(noise(6_000_000, "chunks"))
    from_env = {"RESTIC_FROM_PASSWORD": PASSWORD, "RESTIC_FROM_REPOSITORY": str(source.path)}
    own = Repository(tmp_path / "own")
    shutil.copytree(source.path, own.path)
    backup(restic, own, "large", cwd=tmp_path)
    for version in (1, 2):
        repo = Repository(tmp_path / f"fresh{version}", version)
        said = recoup.run("init", "--copy-chunker-params", "--repository-version", version, repo=repo, env=from_env)
        assert " with chunker parameters copied from secondary repository" in said.text.splitlines()
        assert restic.run("cat", "config", repo=repo).json()["chunker_polynomial"] == \
            restic.run("cat", "config", repo=source).json()["chunker_polynomial"]
        backup(recoup, repo, "large", cwd=tmp_path)
        before = {blob for blob in blobs(repo) if blob[0] == "data"}
        copy(recoup, own, repo, "latest")
        assert {blob for blob in blobs(repo) if blob[0] == "data"} == before
        assert_whole(repo)


#: what differs from run to run: seconds, and the names of new snapshots
CHANGING = re.compile(r"\[\d+:\d\d\]|(?<=^snapshot )[0-9a-f]{8}(?= saved)|(?<=copied to snapshot )[0-9a-f]{8}", re.M)

SAME = ["ID0", "ID1 ID0 -v", "latest", "latest latest ID2 --verbose=2", "-q ID0", "--json ID0 ID3", "ID3 ID3 ID1", "--host second -v",
        "latest --host second", "--tag a,b", "--tag b --tag c", "--path /nowhere", "--host nobody -v", "ID2 -vv --no-lock"]


@pytest.mark.recoup_only
@pytest.mark.parametrize("line", SAME)
def test_same_text(recoup, restic, sources, new_repo, line):
    """With ids both take them in their order; without, restic's is that of the storage, so no such case has two."""
    source, ids = sources[2]
    words = [re.sub(r"ID(\d)", lambda m: ids[int(m.group(1))], word) for word in line.split()]
    said = {}
    for program in (recoup, restic):
        repo = new_repo(program.name)
        said[program] = [CHANGING.sub("", copy(program, source, repo, *words).text) for _ in range(2)]
    assert said[recoup] == said[restic]


@pytest.mark.recoup_only
def test_same_lines_without_ids(recoup, restic, sources, new_repo):
    source, _ = sources[2]
    said = [sorted(CHANGING.sub("", copy(program, source, new_repo(program.name)).text).splitlines())
            for program in (recoup, restic)]
    progress = re.compile(r"packs copied|^$")  # which snapshot brings what depends on the order
    assert [line for line in said[0] if not progress.search(line)] == [line for line in said[1] if not progress.search(line)]
    assert sum("packs copied" in line for line in said[0]) == 4


# ---- which repositories, which passwords -----------------------------------------------------------------------------

MISTAKES = [
    ("copy -r DST", {}),
    ("copy --from-repo SRC", {}),
    ("copy -r DST --from-repo SRC --from-repository-file FILE", {}),
    ("copy -r DST --from-repo SRC --repo2 SRC", {}),
    ("copy -r DST --from-repo SRC", {"RESTIC_KEY_HINT2": "x"}),
    ("copy -r DST --from-repo NOWHERE", {}),
    ("copy -r NOWHERE --from-repo SRC", {}),
    ("copy -r DST --from-repo SRC", {"RESTIC_FROM_PASSWORD": "wrong"}),
    ("copy -r DST --from-repo SRC", {"RESTIC_PASSWORD": "wrong"}),
    ("copy -r DST --from-repo SRC --json", {"RESTIC_FROM_PASSWORD": "wrong"}),
    ("copy -r DST --from-repo SRC --from-insecure-no-password", {"RESTIC_FROM_PASSWORD": None}),
    ("copy -r DST --from-repo SRC --from-password-file NOWHERE", {"RESTIC_FROM_PASSWORD": None}),
    ("init -r NEW --from-repo SRC", {}),
    ("init -r NEW", {"RESTIC_FROM_REPOSITORY": "SRC"}),
    ("init -r NEW --copy-chunker-params", {}),
    ("init -r NEW --copy-chunker-params --from-repo NOWHERE", {}),
    ("init -r NEW --copy-chunker-params --from-repo SRC", {"RESTIC_FROM_PASSWORD": "wrong"}),
    ("init -r NEW --copy-chunker-params --from-repo SRC --repo2 SRC", {}),
]


@pytest.mark.parametrize("line, env", MISTAKES, ids=[f"{line} {list(env)}" for line, env in MISTAKES])
def test_mistakes(recoup, restic, sources, new_repo, tmp_path, line, env):
    source, _ = sources[2]
    (tmp_path / "file").write_text(str(source.path))
    places = {"SRC": source.path, "DST": new_repo("dst").path, "NOWHERE": tmp_path / "nowhere", "NEW": tmp_path / "new",
              "FILE": tmp_path / "file"}
    put = lambda word: str(places.get(word, word))
    env = {"RESTIC_PASSWORD": PASSWORD, "RESTIC_FROM_PASSWORD": PASSWORD} | {k: v and put(v) for k, v in env.items()}
    ours, theirs = (program.run(*map(put, line.split()), env=env, code=None) for program in (recoup, restic))
    assert ours.code == theirs.code != 0, f"{ours}\n{theirs}"
    assert ours.out == theirs.out == b""
    assert not (tmp_path / "new").exists() and source.ids("locks") == set()
    if "NOWHERE" not in line:
        assert ours.errors == theirs.errors
    else:
        assert str(tmp_path / "nowhere") in ours.errors


@pytest.mark.parametrize("how", ["flags", "environment", "files", "command", "old flags", "old environment"])
def test_ways_to_name_the_source(recoup, restic, sources, new_repo, tmp_path, how):
    source, ids = sources[2]
    destination = new_repo("dst")
    (tmp_path / "place").write_text(f"{source.path}\n")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    ways = {
        "flags": (["--from-repo", source.path, "--from-password-file", tmp_path / "password", "--from-key-hint", "00"], {}),
        "environment": ([], {"RESTIC_FROM_REPOSITORY": source.path, "RESTIC_FROM_PASSWORD": PASSWORD}),
        "files": ([], {"RESTIC_FROM_REPOSITORY_FILE": tmp_path / "place", "RESTIC_FROM_PASSWORD_FILE": tmp_path / "password"}),
        "command": (["--from-repository-file", tmp_path / "place", "--from-password-command", f"cat {tmp_path}/password"], {}),
        # There -r is the source, and the other one is the destination.
        "old flags": (["--repo2", destination.path, "--password-file2", tmp_path / "password"], {"RESTIC_REPOSITORY": source.path}),
        "old environment": ([], {"RESTIC_REPOSITORY": source.path, "RESTIC_REPOSITORY2": destination.path, "RESTIC_PASSWORD2": PASSWORD}),
    }
    args, env = ways[how]
    said = [program.run("copy", ids[3], *args, repo=destination, env=env) for program in (recoup, restic)]
    assert said[0].errors == said[1].errors
    assert "saved, copied from source snapshot" in said[0].text and said[1].text == ""
    assert len(destination.ids("snapshots")) == 1


@pytest.mark.recoup_only
def test_passwords_from_standard_input(recoup, sources, new_repo):
    """Both, one a line, in the order in which the repositories are opened."""
    source, ids = sources[2]
    destination = new_repo("dst", 2)
    format.Repo(destination.path).replace_keys("other")
    recoup.run("copy", ids[3], "--from-repo", source.path, repo=destination,
               env={"RESTIC_PASSWORD": None}, stdin=f"{PASSWORD}\nother\n".encode())


@pytest.mark.recoup_only
def test_a_snapshot_that_does_not_exist_copies_nothing(recoup, sources, new_repo):
    """restic says that it ignores it, copies the others, and calls that success."""
    source, ids = sources[2]
    destination = new_repo("dst")
    for name in ("ffffffff", f"{ids[0]}:/dir", "latest:/"):
        result = copy(recoup, source, destination, ids[3], name, code=1)
        assert "snapshot" in result.errors and result.text == ""
    assert destination.ids("snapshots") == destination.ids("data") == destination.ids("locks") == set()


@pytest.mark.recoup_only
def test_into_itself(recoup, sources, tmp_path):
    source, _ = sources[2]
    (tmp_path / "alias").symlink_to(source.path)
    for alias in (source, Repository(tmp_path / "alias")):
        assert "same repository" in copy(recoup, source, alias, code=1).errors
    twin = Repository(tmp_path / "twin")
    shutil.copytree(source.path, twin.path)
    assert copy(recoup, source, twin, "-v").text.count("skipping") == 4


# ---- locks, damage, kills --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("which", ["source", "destination"])
@pytest.mark.parametrize("exclusive", [False, True], ids=["shared", "exclusive"])
def test_locks(recoup, restic, sources, new_repo, tmp_path, which, exclusive):
    original, ids = sources[2]
    source, destination = Repository(tmp_path / "src"), new_repo("dst")
    shutil.copytree(original.path, source.path)
    locked = source if which == "source" else destination
    held = format.Repo(locked.path).save_lock(os.getpid(), exclusive)
    for program in (recoup, restic):
        copy(program, source, destination, ids[3], code=11 if exclusive else 0)
        copy(program, source, destination, ids[3], "--no-lock", code=11 if exclusive and which == "destination" else 0)
    assert locked.ids("locks") == {held}
    assert (source.ids("locks") | destination.ids("locks")) == {held}


def test_damaged_pack(recoup, restic, sources, new_repo, tmp_path):
    """What needs it is not copied, with exit code 1, and by recoup all others are."""
    original, ids = sources[2]
    source = Repository(tmp_path / "src")
    shutil.copytree(original.path, source.path)
    made = format.Repo(source.path)
    (blob,) = [entry for entry in made.walk(made.load("snapshots", ids[3])["tree"]) if entry.path.endswith(b"dump.sql")][0].node["content"]
    (place,) = made.index()["data", blob]
    pack = made.pack_path(place.pack)
    raw = bytearray(pack.read_bytes())
    raw[place.offset + 20] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(raw)
    ours, theirs = new_repo("ours"), new_repo("theirs")
    copy(restic, source, theirs, code=1)
    result = copy(recoup, source, ours, code=1)
    check_clean(restic, ours)
    if stand_in():
        return
    assert blob in result.errors and ids[3][:8] in result.errors and place.pack in result.errors
    assert set(snapshots_by_original(ours)) == set(ids[:3])
    assert_whole(ours)
    messages = copy(recoup, source, new_repo("json"), "--json", code=1).json_errors()
    assert [m["message_type"] for m in messages] == ["error", "exit_error"]
    # The blob comes back, for instance from a backup of the same file: then the rest is copied.
    writer = made.writer()
    writer.add("data", b"select 1;\n" * 1000)
    writer.finish()
    copy(recoup, source, ours)
    assert set(snapshots_by_original(ours)) == set(ids)
    check_clean(restic, ours)


def test_kills(recoup, restic, new_repo, tmp_path):
    """Killed at any moment, the destination is whole; the next copy stores nothing that is stored already."""
    rng = random.Random(f"kill copy {SEED}")
    source = new_repo("src")
    for number in range(3):
        for file in range(150):
            folder = tmp_path / f"files/d{file % 11}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"f{file}").write_bytes(rng.randbytes(rng.randint(0, 60_000)))
        (tmp_path / "files/large").write_bytes(rng.randbytes(5_000_000))
        backup(restic, source, "files", cwd=tmp_path)
    kill = Killer(copy(recoup, source, new_repo("probe"), "--pack-size=4").seconds, rng, share=1 / 3)
    while kill.goes_on(KILLS):
        repo = new_repo(f"dst{kill.shots}")
        for number in range(5):
            running = recoup.start("copy", "--from-repo", source.path, "--pack-size=4", repo=repo,
                                   env={"RESTIC_FROM_PASSWORD": PASSWORD})
            moment = kill(running, is_whole=number == 0)
            assert format.Repo(repo.path).problems() == [], f"shot {kill.shots} after {moment:.3f} s"
            if not kill.goes_on(KILLS):
                break
        restic.run("unlock", "--remove-all", repo=repo)
        copy(recoup, source, repo)
        assert len(repo.ids("snapshots")) == 3
        assert_whole(repo)
        check_clean(restic, repo)
        storage.remove_tree(repo.path)
    print(kill)
    assert kill.has_hit, kill
    restic.run("unlock", "--remove-all", repo=source)
    check_clean(restic, source)


def test_two_copies_into_one_and_a_backup_beside_them(recoup, restic, sources, new_repo, tmp_path, small_tree):
    destination = new_repo("dst")
    started = [program.start("copy", "--from-repo", sources[version][0].path, repo=destination,
                             env={"RESTIC_FROM_PASSWORD": PASSWORD})
               for program, version in ((recoup, 1), (recoup, 2), (restic, 2))]
    backup(restic, destination, "small", cwd=tmp_path)
    for running in started:
        running.finish(0)
    assert format.Repo(destination.path).problems() == []
    check_clean(restic, destination)
