"""prune: the same decisions as restic's, all that is kept is whole, and both programs agree on what is left."""

import os
import random
import re
import shutil
import signal
import subprocess

import pytest

from support import format, storage, trees
from support.commands import backup, check_clean, restore
from support.compare import assert_same
from support.programs import Repository, wait_until
from support.storage import place
from support.trees import noise, write

SEED = int(os.environ.get("RECOUP_SEED", "1"))
MODES = {
    "default": [], "nothing unused": ["--max-unused=0"], "unlimited": ["--max-unused=unlimited"], "percent": ["--max-unused=30%"],
    "bytes": ["--max-unused=2M"], "little at a time": ["--max-unused=0", "--max-repack-size=9M"], "nothing repacked": ["--max-repack-size=0"],
    "trees": ["--max-unused=0", "--repack-cacheable-only"], "small packs": ["--repack-smaller-than=4M"],
}


@pytest.fixture(scope="module", params=[1, 2], ids=["v1", "v2"])
def worn(request, template, tmp_path_factory):
    """A repository that both programs wrote to in turn, and of whose six snapshots four are forgotten. With what was backed up
    for the other two. Every test works on a copy."""
    from support import programs
    home = tmp_path_factory.mktemp("prune")
    repo = Repository(place(home / "repo"), request.param)
    storage.copy_tree(template[request.param].path, repo.path)
    writers = [programs.recoup().at(home), programs.restic().at(home)]
    rng = random.Random(SEED)
    tree = trees.small_tree(home / "tree", ("prune", SEED), files=40, bytes_each=300_000)
    kept = {}
    for turn in range(6):
        for number in rng.sample(range(40), 14):
            write(os.fsencode(tree / f"d{number % 4}/f{number}"), noise(rng.randrange(400_000), (turn, number)))
        write(os.fsencode(tree / "text"), b"a line of text %d\n" % turn * 20_000)
        made = backup(writers[turn % 2], repo, "tree", "--pack-size=4", cwd=home)
        if turn in (1, 4):
            shutil.copytree(tree, home / f"state{turn}", symlinks=True)
            kept[made.id] = home / f"state{turn}"
        else:
            (repo.path / "snapshots" / made.id).unlink()
    return repo, kept


@pytest.fixture
def copies(worn, tmp_path):
    """Two copies of the worn repository, and the trees of the snapshots in it."""
    repo, kept = worn
    made = [Repository(place(tmp_path / name), repo.version) for name in ("one", "two")]
    for each in made:
        storage.copy_tree(repo.path, each.path)
    return *made, kept


def unused(repo):
    """Bytes of what no snapshot needs or what lies twice, and of what is needed: by our own reader."""
    made = format.Repo(repo.path)
    needed = set()
    for snapshot in made.snapshots().values():
        needed.add(("tree", snapshot["tree"]))
        for entry in made.walk(snapshot["tree"]):
            if entry.node.get("subtree"):
                needed.add(("tree", entry.node["subtree"]))
            needed.update(("data", blob) for blob in entry.node.get("content") or [])
    used = waste = 0
    for blob, places in made.index().items():
        for number, at in enumerate(places):
            if blob in needed and number == 0:
                used += at.length
            else:
                waste += at.length
    return waste, used


def plan_lines(result):
    """What a dry run says, without the ids of packs: their order is nobody's concern, and their choice not among equals."""
    return [re.sub(r"\{.*\}", lambda list: f"{{{len(list[0].split())}}}", line) for line in result.text.splitlines() if not line.startswith("[")]


def assert_whole(program, repo, kept, tmp_path):
    for number, (name, tree) in enumerate(kept.items()):
        restore(program, repo, name, tmp_path / f"out{number}")
        assert_same(tree, tmp_path / f"out{number}" / "tree")
        shutil.rmtree(tmp_path / f"out{number}")


def total(repo):
    return sum(size for name, size in repo.files().items() if not name.startswith("locks/"))


@pytest.mark.parametrize("mode", MODES)
def test_beside_restic(recoup, restic, copies, tmp_path, mode):
    ours, theirs, kept = copies
    flags = MODES[mode] + ["--pack-size=4"]
    planned = [plan_lines(program.run("prune", "--dry-run", "-vv", *flags, repo=repo)) for program, repo in ((recoup, ours), (restic, theirs))]
    if mode != "little at a time":  # which of equal packs comes first decides how many fit
        assert planned[0] == planned[1]
    before = ours.files()
    assert before == theirs.files()  # a dry run changes nothing
    recoup.run("prune", *flags, repo=ours)
    restic.run("prune", *flags, repo=theirs)
    check_clean(restic, ours)
    check_clean(recoup, ours)
    assert format.Repo(ours.path).problems() == [] and format.Repo(ours.path).index_and_headers_differ() == []
    assert_whole(restic, ours, kept, tmp_path)
    assert abs(total(ours) - total(theirs)) < 0.01 * total(theirs)
    if mode == "nothing unused":
        assert unused(ours)[0] == 0
    if mode in ("default", "percent"):
        share = 5 if mode == "default" else 30
        waste, used = unused(ours)
        assert waste <= share / (100 - share) * used
    # What one has pruned, the other has nothing to do with.
    left = recoup.run("prune", "--json", *flags, repo=ours).summary
    assert left["blobs"]["remove"] == 0
    if mode not in ("little at a time", "nothing repacked"):
        restic.run("prune", *flags, repo=ours)
        assert abs(total(ours) - total(theirs)) < 0.01 * total(theirs)
    assert ours.ids("locks") == set()


def test_json_says_what_the_text_says(recoup, copies):
    ours, _, _ = copies
    report = recoup.run("prune", "--dry-run", "--json", repo=ours)
    assert len(report.json_lines()) == 1
    text = recoup.run("prune", "--dry-run", "-v", repo=ours).text
    said = report.summary
    for word, count in (("used:", said["blobs"]["used"]), ("unused:", said["blobs"]["unused"]), ("to repack:", said["blobs"]["repack"]),
                        ("this removes:", said["blobs"]["repack_remove"]), ("to delete:", said["blobs"]["remove"]), ("remaining:", said["blobs"]["remaining"])):
        assert re.search(rf"^{word}\s+{count} blobs", text, re.M), (word, count, text)
    assert said["packfiles"]["total"] == len(ours.ids("data"))


def test_compresses_what_was_not(recoup, restic, new_repo, tmp_path):
    """From version 1 to 2, then all of it compressed: by `migrate` and `prune`, and restic reads it."""
    repo = new_repo("old", 1)
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(30):
        write(os.fsencode(tree / f"text{number}"), b"%d bottles of beer on the wall\n" % number * 5000)
    made = backup(restic, repo, "tree", cwd=tmp_path)
    before = total(repo)
    recoup.run("migrate", "upgrade_repo_v2", repo=repo)
    assert restic.run("cat", "config", repo=repo).json()["version"] == 2
    recoup.run("prune", "--repack-uncompressed", repo=repo)
    assert total(repo) < before / 5
    check_clean(restic, repo)
    assert_whole(restic, repo, {made.id: tree}, tmp_path)
    assert "not yet compressed" not in restic.run("prune", "--dry-run", repo=repo).text


def test_no_free_space(recoup, restic, copies, tmp_path):
    ours, _, kept = copies
    result = recoup.run("prune", "--unsafe-recover-no-free-space", "x", repo=ours, code=1)
    config = restic.run("cat", "config", repo=ours).json()["id"]
    assert f"must pass id '{config}'" in result.errors
    before = total(ours)
    recoup.run("prune", "--unsafe-recover-no-free-space", config, repo=ours)
    assert total(ours) < before
    check_clean(restic, ours)
    assert_whole(restic, ours, kept, tmp_path)


@pytest.mark.parametrize("flags", [["--max-unused=x"], ["--max-unused=-1%"], ["--max-unused=100%"], ["--max-unused="], ["--repack-smaller-than=0"],
                                   ["--repack-smaller-than=x"], ["--repack-smaller-than=64M"], ["--max-repack-size=x"], ["--no-lock"],
                                   ["--repack-uncompressed", "--compression=off"], ["--wrong"], ["extra"]], ids=" ".join)
def test_flags_that_make_no_sense(recoup, restic, repo, flags):
    before = repo.files()
    theirs = restic.run("prune", *flags, repo=repo, code=None)
    ours = recoup.run("prune", *flags, repo=repo, code=theirs.code if flags != ["extra"] else 1)
    assert ours.errors.strip() != ""
    assert repo.files() == before


def test_a_missing_pack(recoup, restic, copies):
    """One that is needed stops both programs, and nothing is removed."""
    ours, theirs, kept = copies
    needed = set()
    made = format.Repo(ours.path)
    for name in kept:
        for entry in made.walk(made.load("snapshots", name)["tree"]):
            needed.update(entry.node.get("content") or [])
    pack = next(places[0].pack for (kind, blob), places in sorted(made.index().items()) if blob in needed)
    for repo in (ours, theirs):
        format.Repo(repo.path).pack_path(pack).unlink()
    before = ours.files()
    result = recoup.run("prune", repo=ours, code=1)
    assert pack in result.errors and "repair index" in result.errors
    restic.run("prune", repo=theirs, code=1)
    assert ours.files() == before


@pytest.mark.local_only
def test_killed_again_and_again(recoup, restic, copies, tmp_path):
    """At moments spread over the run; the next prune finishes what was begun."""
    ours, _, kept = copies
    rng = random.Random(SEED)
    seconds = recoup.run("prune", "--dry-run", "--max-unused=0", repo=ours).seconds * 2
    for turn in range(12):
        copy = Repository(tmp_path / f"copy{turn}", ours.version)
        shutil.copytree(ours.path, copy.path)
        with recoup.start("prune", "--max-unused=0", "--pack-size=4", repo=copy) as running:
            try:
                running.process.wait(rng.uniform(0, seconds))
            except subprocess.TimeoutExpired:  # it still runs, as it should
                running.kill(signal.SIGKILL)
            running.finish()
        assert format.Repo(copy.path).problems() == []
        restic.run("unlock", repo=copy)
        check_clean(restic, copy)
        recoup.run("prune", "--max-unused=0", "--pack-size=4", repo=copy)
        assert unused(copy)[0] == 0
        check_clean(restic, copy)
        shutil.rmtree(copy.path)


def test_stopped_by_a_signal(recoup, restic, copies, tmp_path):
    ours, _, kept = copies
    running = recoup.start("prune", "--max-unused=0", "--limit-upload=500" if storage.is_bucket() else "-q", repo=ours)
    wait_until(lambda: ours.ids("locks") or not running.is_running(), what="prune's lock", step=0.001)
    running.process.send_signal(signal.SIGINT)
    result = running.finish((0, 130))
    assert ours.ids("locks") == set(), result
    check_clean(restic, ours)
    assert_whole(recoup, ours, kept, tmp_path)


# ---- the index and packs repaired ------------------------------------------------------------------------------------------

def break_index(repo, how):
    made = format.Repo(repo.path)
    names = made.names("index")
    if how == "all gone":
        for name in names:
            (repo.path / "index" / name).unlink()
    elif how == "one gone":
        (repo.path / "index" / names[0]).unlink()
    elif how == "damaged":
        (repo.path / "index" / names[0]).chmod(0o600)
        (repo.path / "index" / names[0]).write_bytes(b"x" * 300)
    elif how == "a pack gone":
        made.pack_path(made.packs()[0]).unlink()
    elif how == "wrong lengths":
        index = made.load("index", names[0])
        index["packs"][0]["blobs"].pop()
        (repo.path / "index" / names[0]).unlink()
        made.save("index", index)


@pytest.mark.parametrize("flags", [[], ["--read-all-packs"]], ids=["", "all packs"])
@pytest.mark.parametrize("how", ["nothing", "all gone", "one gone", "damaged", "a pack gone", "wrong lengths"])
def test_repair_index(recoup, restic, copies, how, flags):
    """Both programs make an index that says the same."""
    ours, theirs, _ = copies
    for repo in (ours, theirs):
        break_index(repo, how)
    recoup.run("repair", "index", *flags, repo=ours)
    restic.run("repair", "index", *flags, repo=theirs)
    contents = [{blob: sorted((at.pack, at.offset, at.length) for at in places) for blob, places in format.Repo(repo.path).index().items()}
                for repo in (ours, theirs)]
    assert contents[0] == contents[1]
    if how != "a pack gone":
        check_clean(restic, ours)
    assert ours.ids("locks") == set()


def test_repair_packs(recoup, restic, copies, tmp_path):
    """Of damaged packs both programs save the same blobs; a copy of each pack is left in the current directory."""
    ours, theirs, _ = copies
    made = format.Repo(ours.path)
    data = sorted({places[0].pack for (kind, _), places in made.index().items() if kind == "data"})[:2]
    for repo in (ours, theirs):
        for number, pack in enumerate(data):
            path = format.Repo(repo.path).pack_path(pack)
            raw = bytearray(path.read_bytes())
            for at in range(100, len(raw) - 5000, 700_000):
                raw[at] ^= 1
            path.chmod(0o600)
            path.write_bytes(raw if number == 0 else raw[: len(raw) // 2])
    left = []
    for program, repo in ((recoup, ours), (restic, theirs)):
        work = tmp_path / program.name
        work.mkdir()
        program.run("repair", "packs", *data, repo=repo, cwd=work)
        assert {each.name for each in work.iterdir()} == {f"pack-{pack}" for pack in data}
        stored = format.Repo(repo.path)
        left.append(set(stored.index()))
        assert not set(data) & set(stored.packs())
        program.run("repair", "packs", *data, repo=repo, cwd=work, code=None)
    assert left[0] == left[1] and left[0] < set(made.index())
    assert recoup.run("repair", "packs", repo=ours, code=1).errors.strip() == "Fatal: no ids specified"
    recoup.run("repair", "packs", "abc", repo=ours, code=1)


def test_migrations(recoup, restic, new_repo):
    for version in (1, 2):
        ours, theirs = new_repo(f"ours{version}", version), new_repo(f"theirs{version}", version)
        for words in ([], ["nonsense"], ["upgrade_repo_v2"], ["upgrade_repo_v2"], ["-f", "upgrade_repo_v2"], []):
            results = [program.run("migrate", *words, repo=repo, code=None) for program, repo in ((recoup, ours), (restic, theirs))]
            assert results[0].code == results[1].code, words
            if not words or words == ["nonsense"]:
                assert results[0].text == results[1].text and results[0].errors == results[1].errors
        assert recoup.run("cat", "config", repo=ours).json() == restic.run("cat", "config", repo=theirs).json() | {
            "id": recoup.run("cat", "config", repo=ours).json()["id"]}
        check_clean(restic, ours)
