"""`backup --also`: one reading fills several repositories, as if each had been backed up into by itself. Real restic is the judge."""

import os
import pathlib
import shutil
import signal

import pytest

from support import format, trees
from support.commands import backup, check_clean, explain, restore
from support.compare import assert_same
from support.programs import HOST, PASSWORD, Repository, wait_until
from support.storage import place
from support.trees import noise, write
from test_resume import Opened, bytes_read, journals, make_source, size_of

pytestmark = pytest.mark.recoup_only


def also(recoup, repo, *args, others, code=0, **run):
    """Backs up into `repo` and the others. The result, and the snapshots as our own reader sees them, the first one's first."""
    flags = [flag for other in others for flag in ("--also", other.path)]
    result = recoup.run("backup", "--json", "--host", HOST, *flags, *args, repo=repo, code=code, **run)
    found = {summary.get("repository", ""): summary for summary in result.messages("summary")}
    made = []
    for each in (repo, *others):
        summary = found.get("" if each is repo else str(each.path).removeprefix("local:"))
        made.append(summary and format.Repo(each.path, each.password).load("snapshots", summary["snapshot_id"]) | {"id": summary["snapshot_id"], "said": summary})
    return result, made


@pytest.fixture
def same_cuts(recoup, new_repo, tmp_path):
    """same_cuts(2): repositories with the same chunker parameters, of which restic made the first."""
    def make(count: int, version: int = 2):
        first = new_repo("repo0", version)
        return [first] + [made_like(recoup, first, tmp_path / f"repo{number}", version) for number in range(1, count)]
    return make


def made_like(recoup, first, where: pathlib.Path, version: int = 2) -> Repository:
    made = Repository(place(where), version)
    recoup.run("init", "--repository-version", version, "--from-repo", first.path, "--copy-chunker-params", repo=made,
               env={"RESTIC_FROM_PASSWORD": PASSWORD})
    return made


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path / "source", "also", files=400, large=1)


def test_equal_to_single_backups(recoup, restic, same_cuts, tmp_path, source, version):
    a, b, by_restic = same_cuts(3, version)
    expected = backup(restic, by_restic, "source", cwd=tmp_path)
    with recoup.start("backup", "--json", "--host", HOST, "--also", b.path, "source", repo=a, cwd=tmp_path) as running:
        read = bytes_read(running)
        running.finish(code=0)
    total = size_of(source)
    print(f"{total} bytes, {read} read")
    # No more than one pack that is joined with another in the end, for each repository.
    assert read < total * 1.1 + 2 * 16_000_000
    for repo in (a, b):
        (name,) = repo.ids("snapshots")
        made = format.Repo(repo.path).load("snapshots", name)
        assert made["tree"] == expected.tree, explain(repo, made["tree"], by_restic, expected.tree)
        assert made["summary"]["files_new"] == 401 and made["summary"]["total_bytes_processed"] == total
        assert set(format.Repo(repo.path).index()) == set(format.Repo(by_restic.path).index())
        assert format.Repo(repo.path).stored_twice() == {}
        check_clean(restic, repo)
        restore(restic, repo, name, tmp_path / "out" / repo.path.name)
        assert_same(source, tmp_path / "out" / repo.path.name / "source")
    assert a.ids("snapshots") != b.ids("snapshots")


def test_unchanged_files_are_not_opened(recoup, same_cuts, tmp_path, source):
    a, b, c = same_cuts(3)
    with Opened(source) as opened:
        also(recoup, a, "source", others=[b, c], cwd=tmp_path)
    assert len(opened.files) == 401
    with Opened(source) as opened:
        _, made = also(recoup, a, "source", others=[b, c], cwd=tmp_path)
    assert opened.files == set()
    assert [each["said"]["files_unmodified"] for each in made] == [401] * 3


def test_own_parents_and_counts(recoup, restic, same_cuts, tmp_path, source):
    """Each snapshot continues its own repository's history, and counts against it."""
    a, b = same_cuts(2)
    first = backup(restic, a, "source", cwd=tmp_path)
    write(os.fsencode(source / "d1/f1"), b"changed")
    second = backup(restic, b, "source", cwd=tmp_path)
    write(os.fsencode(source / "new"), b"new")
    _, (in_a, in_b) = also(recoup, a, "source", others=[b], cwd=tmp_path)
    assert (in_a["parent"], in_b["parent"]) == (first.id, second.id)
    assert in_a["tree"] == in_b["tree"]
    count = lambda made: [made["said"][f"files_{kind}"] for kind in ("new", "changed", "unmodified")]
    assert count(in_a) == [1, 1, 400]
    assert count(in_b) == [1, 0, 401]
    expected = restic.run("backup", "--json", "--dry-run", "--host", HOST, "source", repo=b, cwd=tmp_path).summary
    assert (expected["files_new"], expected["files_changed"]) == (0, 0)
    for repo in (a, b):
        check_clean(restic, repo)


def test_one_that_is_behind_gets_all_it_lacks(recoup, restic, same_cuts, tmp_path, source):
    a, new = same_cuts(2)
    backup(restic, a, "source", cwd=tmp_path)
    with Opened(source) as opened:
        _, (in_a, in_new) = also(recoup, a, "source", others=[new], cwd=tmp_path)
    assert len(opened.files) == 401, "what one repository lacks is read"
    assert in_a["said"]["files_unmodified"] == 401 and in_new["said"]["files_new"] == 401
    assert in_a["said"]["data_added"] < 10_000 and in_new["said"]["data_added"] >= size_of(source)
    check_clean(restic, new)
    restore(restic, new, in_new["id"], tmp_path / "out")
    assert_same(source, tmp_path / "out/source")
    with Opened(source) as opened:
        also(recoup, a, "source", others=[new], cwd=tmp_path)
    assert opened.files == set()


def test_lost_packs_of_one_are_stored_again(recoup, restic, same_cuts, tmp_path, source):
    a, b = same_cuts(2)
    also(recoup, a, "source", others=[b], cwd=tmp_path)
    for kind in ("data", "index"):
        for name in b.files(kind):
            (b.path / name).unlink()
    result, (in_a, in_b) = also(recoup, a, "--force", "source", others=[b], cwd=tmp_path)
    assert in_a["tree"] == in_b["tree"]
    (old,) = b.ids("snapshots") - {in_b["id"]}
    (b.path / "snapshots" / old).unlink()
    check_clean(restic, b)


def test_mixed_versions(recoup, restic, new_repo, tmp_path, source):
    """Compression is each repository's own affair."""
    old = new_repo("old", 1)
    new = made_like(recoup, old, tmp_path / "new")
    write(os.fsencode(source / "text"), trees.text(3_000_000, 1))
    for first, second in ((old, new), (new, old)):
        _, (one, two) = also(recoup, first, "source", others=[second], cwd=tmp_path)
        assert one["tree"] == two["tree"]
    for repo in (old, new):
        check_clean(restic, repo)
    stored = {repo.version: sum(repo.files("data").values()) for repo in (old, new)}
    assert stored[2] < stored[1] - 1_000_000
    restore(restic, old, "latest", tmp_path / "out")
    assert_same(source, tmp_path / "out/source")


def test_other_chunker_parameters_are_refused(recoup, new_repo, tmp_path, source):
    a, other = new_repo(), new_repo("other", 1)
    with Opened(source) as opened:
        result = recoup.run("backup", "--also", other.path, "source", repo=a, cwd=tmp_path, code=1)
    assert "--copy-chunker-params" in result.errors and "init --from-repo" in result.errors
    assert opened.files == set() and a.ids("snapshots") == set() == other.ids("snapshots")
    assert a.files("locks") == {} == other.files("locks")


def test_the_same_repository_twice_is_refused(recoup, repo, tmp_path, source):
    said = recoup.run("backup", "--also", repo.path, "source", repo=repo, cwd=tmp_path, code=1)
    assert "the same repository" in said.errors


def test_dry_run(recoup, same_cuts, tmp_path, source):
    a, b = same_cuts(2)
    before = a.files(), b.files()
    result = recoup.run("backup", "--json", "--dry-run", "--also", b.path, "source", repo=a, cwd=tmp_path)
    one, two = result.messages("summary")
    assert one["dry_run"] and two["dry_run"] and one["data_added"] == two["data_added"] > size_of(source)
    assert (a.files(), b.files()) == before
    said = recoup.run("backup", "--dry-run", "--also", b.path, "source", repo=a, cwd=tmp_path).text
    assert "Would add" in said and str(b.path).removeprefix("s3:") in said


def test_stdin(recoup, restic, same_cuts, tmp_path, version):
    a, b, by_restic = same_cuts(3, version)
    content = noise(5_000_000, 1)
    expected = backup(restic, by_restic, "--stdin", "--stdin-filename=dump", "--time=2024-01-01 10:00:00", stdin=content)
    _, made = also(recoup, a, "--stdin", "--stdin-filename=dump", "--time=2024-01-01 10:00:00", others=[b], stdin=content)
    assert [each["tree"] for each in made] == [expected.tree] * 2
    for repo in (a, b):
        check_clean(restic, repo)
        assert restic.run("dump", "latest", "/dump", repo=repo).out == content


def test_stdin_from_a_command(recoup, restic, same_cuts):
    a, b = same_cuts(2)
    _, made = also(recoup, a, "--stdin-from-command", "--", "printf", "hello", others=[b])
    assert made[0]["tree"] == made[1]["tree"]
    for repo in (a, b):
        assert restic.run("dump", "latest", "/stdin", repo=repo).text == "hello"


def test_skip_if_unchanged(recoup, same_cuts, tmp_path, source):
    a, b = same_cuts(2)
    also(recoup, a, "source", others=[b], cwd=tmp_path)
    recoup.run("backup", "--host", HOST, "--skip-if-unchanged", "source", "--also", b.path, repo=a, cwd=tmp_path)
    assert len(a.ids("snapshots")) == len(b.ids("snapshots")) == 1


def test_passwords(recoup, same_cuts, tmp_path, source):
    """Without a flag of its own, what opens the first repository opens the others too."""
    a, b, c = same_cuts(3)
    for number, repo in enumerate((b, c)):
        (tmp_path / f"new{number}").write_text(f"other{number}\n")
        recoup.run("key", "passwd", "--new-password-file", tmp_path / f"new{number}", repo=repo)
    one, two = tmp_path / "new0", tmp_path / "new1"
    base = ["backup", "--host", HOST, "source"]
    run = lambda *args, code=0, env=None: recoup.run(*base, *args, repo=a, cwd=tmp_path, code=code, env=env)
    assert "--also" in run("--also", b.path, code=12).errors
    run("--also", b.path, "--also-password-file", one)
    run("--also", b.path, "--also-password-command", f"cat {one}")
    run("--also", b.path, env={"RESTIC_ALSO_PASSWORD_FILE": one})
    run("--also", b.path, env={"RESTIC_ALSO_PASSWORD": "other0"})
    run(env={"RESTIC_ALSO_PASSWORD_COMMAND": f"cat {one}", "RESTIC_ALSO_REPOSITORY": b.path})
    run("--also", b.path, "--also", c.path, "--also-password-file", one, "--also-password-file", two)
    assert run("--also", b.path, "--also", c.path, "--also-password-file", one, code=12).errors.count("--also")
    assert "once for each" in run("--also", b.path, "--also-password-file", one, "--also-password-file", two, code=1).errors
    assert "there is none" in run("--also-password-file", one, code=1).errors
    assert len(b.ids("snapshots")) == 6 and len(c.ids("snapshots")) == 1


def test_one_that_cannot_be_opened_stops_all(recoup, new_repo, tmp_path, source):
    a = new_repo()
    with Opened(source) as opened:
        said = recoup.run("backup", "--also", tmp_path / "nowhere", "source", repo=a, cwd=tmp_path, code=10)
    assert "nowhere" in said.errors and opened.files == set() and a.ids("snapshots") == set()


@pytest.mark.local_only
@pytest.mark.parametrize("failing", ["first", "second"])
def test_one_that_fails_meanwhile(recoup, restic, new_repo, tmpfs, tmp_path, failing):
    """A full disk under one of two: the other gets its snapshot, and what failed is made good by the next backup."""
    source = make_source(tmp_path / "source", "full", files=500, large=2)
    small = tmpfs("small", "size=9m")
    full = new_repo(where=small)
    good = made_like(recoup, full, tmp_path / "good")
    first, second = (full, good) if failing == "first" else (good, full)
    result = recoup.run("backup", "--json", "--host", HOST, "--also", second.path, "--pack-size=4", "source", repo=first, cwd=tmp_path, code=1)
    errors = [message["error"]["message"] for message in result.messages("error")]
    assert any(str(full.path) in text and "goes on without it" in text and "copy" in text for text in errors), result
    assert len(result.messages("summary")) == 1
    assert "1 of 2 repositories got no snapshot" in result.errors
    (name,) = good.ids("snapshots")
    assert full.ids("snapshots") == set()
    check_clean(restic, good)
    restore(restic, good, name, tmp_path / "out")
    assert_same(source, tmp_path / "out/source")
    assert format.Repo(full.path).problems() == []
    said = recoup.run("backup", "--host", HOST, "--also", second.path, "--pack-size=4", "source", repo=first, cwd=tmp_path, code=1)
    assert "error: the backup into" in said.errors and "snapshot" in said.text

    roomy = Repository(tmp_path / "roomy", 2)
    shutil.copytree(full.path, roomy.path, ignore=lambda folder, names: [n for n in names if folder.endswith("locks")])
    first, second = (roomy, good) if failing == "first" else (good, roomy)
    _, made = also(recoup, first, "source", others=[second], cwd=tmp_path)
    assert made[0]["tree"] == made[1]["tree"]
    restic.run("unlock", repo=roomy)
    check_clean(restic, roomy)


def test_interrupted(recoup, restic, same_cuts, tmp_path):
    """No repository has a snapshot then; the next run goes on in both."""
    source = make_source(tmp_path / "source", "interrupted", files=2000, large=0)
    a, b = same_cuts(2)
    # Some ten seconds: to look at what a bucket holds may take one of them.
    with recoup.start("backup", "--limit-upload=3000", "--pack-size=4", "--host", HOST, "--also", b.path, "source", repo=a, cwd=tmp_path) as running:
        wait_until(lambda: sum(b.files("data").values()) > size_of(source) * 0.5 or not running.is_running(), what="packs")
        running.kill(signal.SIGINT)
        running.finish(code=130)
    assert a.ids("snapshots") == set() == b.ids("snapshots")
    assert len(journals(recoup)) == 1
    with Opened(source) as opened:
        _, made = also(recoup, a, "source", others=[b], cwd=tmp_path)
    taken = made[0]["said"].get("files_taken_over", 0)
    print(f"{taken} taken over")
    assert taken + len(opened.files) == 2000 and taken > 100
    assert made[0]["tree"] == made[1]["tree"]
    for repo in (a, b):
        check_clean(restic, repo)
        restore(restic, repo, "latest", tmp_path / "out" / repo.path.name)
        assert_same(source, tmp_path / "out" / repo.path.name / "source")


def test_killed_in_one_adopted_in_both(recoup, restic, same_cuts, tmp_path):
    make_source(tmp_path / "source", "killed", files=2000, large=0)
    a, b = same_cuts(2)
    for _ in range(3):
        with recoup.start("backup", "--limit-upload=8000", "--pack-size=4", "--host", HOST, "--also", b.path, "source", repo=a, cwd=tmp_path) as running:
            start = sum(b.files("data").values())
            wait_until(lambda: sum(b.files("data").values()) - start > 6_000_000 or not running.is_running(), what="packs")
            running.kill()
            running.finish()
    _, made = also(recoup, a, "source", others=[b], cwd=tmp_path)
    assert made[0]["tree"] == made[1]["tree"]
    for repo in (a, b):
        assert format.Repo(repo.path).stored_twice() == {}
        restic.run("unlock", repo=repo)
        check_clean(restic, repo)


def test_called_restic_json_is_restics(recoup, same_cuts, tmp_path, source):
    a, b = same_cuts(2)
    link = tmp_path / "bin/restic"
    link.parent.mkdir()
    link.symlink_to(recoup.path)
    restic_named = type(recoup)("restic", link)
    restic_named.home = recoup.home
    result = restic_named.run("backup", "--json", "--also", b.path, "source", repo=a, cwd=tmp_path)
    assert "repository" not in result.summary
    assert len(b.ids("snapshots")) == 1


def test_what_is_said(recoup, same_cuts, tmp_path, source):
    a, b = same_cuts(2)
    said = recoup.run("backup", "--also", b.path, "source", repo=a, cwd=tmp_path).text.splitlines()
    (name,) = b.ids("snapshots")
    assert said[-1].startswith(f"snapshot {name[:8]} saved in ") and "stored)" in said[-1]
    (name,) = a.ids("snapshots")
    assert said[-2] == f"snapshot {name[:8]} saved"
