"""What `backup`, `restore` and `check` say while they work and in the end, and what a snapshot says of them."""

import os
import re
import signal
import subprocess

from support import format, trees
from support.commands import restore
from support.programs import HOST, stand_in, wait_until
from support.same import same_json, same_text, without_times
from support.trees import noise, write

# ---- what backup says ------------------------------------------------------------------------------------------------

def messages_of(result):
    return {m["message_type"] for m in result.json_lines()}


def test_messages_of_backup(recoup, restic, new_repo, tmp_path):
    """The same kinds with the same fields; verbose messages for the same items with the same actions."""
    tree = trees.small_tree(tmp_path / "small", files=30, bytes_each=50_000)
    said = {}
    for program in (restic, recoup):
        repo = new_repo(program.name)
        # Slow enough for the scan to finish first.
        rounds = [program.run("backup", "small", "--json", "-vv", "--host", HOST, "--limit-upload=400", repo=repo, cwd=tmp_path, env={"RESTIC_PROGRESS_FPS": "60"})]
        said[program.name] = [repo, rounds]
    write(os.fsencode(tree / "d0/f0"), b"changed")
    (tree / "d1/f1").unlink()
    write(os.fsencode(tree / "new"), b"new")
    (tree / "d2").chmod(0o700)
    for program in (restic, recoup):
        repo, rounds = said[program.name]
        rounds.append(program.run("backup", "small", "--json", "-vv", "--host", HOST, "--exclude=*9", repo=repo, cwd=tmp_path))
        rounds.append(program.run("backup", "small", "--json", "--host", HOST, "--dry-run", repo=repo, cwd=tmp_path))
    for theirs, ours in zip(said["restic"][1], said["recoup"][1]):
        verbose = lambda r: sorted((m["action"], m["item"], m["data_size"], m["metadata_size"]) for m in r.messages("verbose_status") if m["action"] != "scan_finished")
        assert verbose(ours) == verbose(theirs)
        finished = lambda r: [(m["total_files"], m["data_size"]) for m in r.messages("verbose_status") if m["action"] == "scan_finished"]
        # A scan that a short backup has overtaken is broken off, by either program, and says nothing.
        if ours is said["recoup"][1][0] or (finished(ours) and finished(theirs)):
            assert finished(ours) == finished(theirs)
        for kind in messages_of(theirs) & messages_of(ours):
            fields = lambda r: set().union(*(m.keys() for m in r.messages(kind)))
            if kind != "status":
                assert fields(ours) == fields(theirs), kind
            else:
                allowed = set("message_type seconds_elapsed seconds_remaining percent_done total_files files_done total_bytes bytes_done error_count current_files dry_run".split())
                assert fields(ours) <= allowed
        numbers = lambda r: {k: v for k, v in r.summary.items() if k not in ("total_duration", "backup_start", "backup_end", "snapshot_id", "data_added_packed")}
        assert numbers(ours) == numbers(theirs)
        # 0.19.1 does not yet tell what it excluded
        assert messages_of(ours) - {"status", "excluded_item"} == messages_of(theirs) - {"status", "excluded_item"}


def test_text_of_backup(recoup, restic, new_repo, tmp_path):
    tree = trees.small_tree(tmp_path / "small")
    outs = {}
    for program in (restic, recoup):
        repo = new_repo(program.name, 1)
        outs[program.name] = [program.run("backup", "small", "--host", HOST, *flags, repo=repo, cwd=tmp_path).text
                              for flags in ([], ["-v"], ["--dry-run"], ["-q"], ["--force"], ["--tag=x", "-q", "--force"])]
    # A scan that a short backup has overtaken is broken off, by either program, and says nothing.
    edit = lambda text: re.sub(r"snapshot [0-9a-f]{8}", "snapshot <id>", without_times(re.sub(r"^scan finished .*\n", "", text, flags=re.M)))
    for ours, theirs in zip(outs["recoup"], outs["restic"]):
        assert sorted(edit(ours).splitlines()) == sorted(edit(theirs).splitlines())
    scanned = [[re.findall(r"^scan finished in .*: (.*)$", text, re.M) for text in texts] for texts in outs.values()]
    assert all(not ours or not theirs or ours == theirs for ours, theirs in zip(*scanned))
    del tree


def test_silence_in_a_pipe(recoup, repo, tmp_path):
    """No progress, no colours, no carriage returns where nobody looks."""
    write(os.fsencode(tmp_path / "large"), noise(40_000_000, "pipe"))
    result = recoup.run("backup", "large", repo=repo, cwd=tmp_path)
    assert "\r" not in result.everything and "\x1b" not in result.everything and result.errors == ""
    assert recoup.run("backup", "large", "--force", "-q", repo=repo, cwd=tmp_path).everything == ""
    result = recoup.run("restore", "latest", "--target", tmp_path / "out", repo=repo)
    assert "\x1b" not in result.everything
    assert recoup.run("check", "-q", repo=repo).everything == ""


def test_progress_as_json(recoup, repo, tmp_path):
    """Status lines come as often as RESTIC_PROGRESS_FPS says, with numbers that only grow."""
    with open(tmp_path / "large", "wb") as file:
        for number in range(20):
            file.write(noise(10_000_000, ("progress", number)))
    result = recoup.run("backup", "large", "--json", repo=repo, cwd=tmp_path, env={"RESTIC_PROGRESS_FPS": "60"})
    status = result.messages("status")
    assert status, result
    done = [m.get("bytes_done", 0) for m in status]
    assert done == sorted(done) and done[-1] <= 200_000_000
    assert all(0 <= m["percent_done"] <= 1 for m in status)


def has_pending(pid: int, number: int) -> bool:
    """Whether a signal was sent to the process that it has not taken yet."""
    with open(f"/proc/{pid}/status") as status:
        (pending,) = [line.split()[1] for line in status if line.startswith("ShdPnd:")]
    return bool(int(pending, 16) >> number - 1 & 1)


def test_sigusr1_prints_a_status(recoup, repo, tmp_path):
    with recoup.start("backup", "--stdin", repo=repo, stdin=subprocess.PIPE) as running:
        running.process.stdin.write(noise(3_000_000, "usr1"))
        running.process.stdin.flush()
        wait_until(lambda: repo.ids("locks"), what="the backup works")
        os.kill(running.pid, signal.SIGUSR1)
        wait_until(lambda: not running.is_running() or not has_pending(running.pid, signal.SIGUSR1), what="the signal is taken")
        assert running.is_running()
        result = running.finish(0)
    assert "/stdin" in result.text.split("\n\n")[0]  # the file that is read, which the summary does not name


# ---- which files, which snapshot -------------------------------------------------------------------------------------

def test_dry_run_writes_nothing(recoup, restic, repo, small_tree, tmp_path):
    before = repo.files()
    result = recoup.run("backup", "small", "--dry-run", "--json", repo=repo, cwd=tmp_path)
    assert repo.files() == before
    assert result.summary["dry_run"] is True and result.summary["files_new"] == 20 and result.summary["data_added"] > 100_000
    assert result.summary.keys() == restic.run("backup", "small", "--dry-run", "--json", repo=repo, cwd=tmp_path).summary.keys()
    assert "Would add to the repository" in recoup.run("backup", "small", "-n", repo=repo, cwd=tmp_path).text
    assert repo.files() == before


def test_skip_if_unchanged(recoup, restic, repo, small_tree, tmp_path):
    flags = ["--skip-if-unchanged", "--host", HOST]
    first = recoup.run("backup", "small", "--json", *flags, repo=repo, cwd=tmp_path)
    assert len(first.summary["snapshot_id"]) == 64
    for program in (recoup, restic):
        result = program.run("backup", "small", "--json", *flags, repo=repo, cwd=tmp_path)
        assert "snapshot_id" not in result.summary and result.summary["files_unmodified"] == 20
    assert len(repo.ids("snapshots")) == 1
    assert "skipped" in recoup.run("backup", "small", *flags, repo=repo, cwd=tmp_path).text
    (small_tree / "d0/f0").chmod(0o600)
    assert "snapshot_id" in recoup.run("backup", "small", "--json", *flags, repo=repo, cwd=tmp_path).summary
    result = recoup.run("backup", "small", "--json", *flags, "--tag=other", repo=repo, cwd=tmp_path)
    theirs = restic.run("backup", "small", "--json", *flags, "--tag=another", repo=repo, cwd=tmp_path)
    assert ("snapshot_id" in result.summary) == ("snapshot_id" in theirs.summary)


def test_what_a_snapshot_says(recoup, restic, new_repo, small_tree, tmp_path):
    """Stored as restic stores it: the same fields in the same order, and the program's own version."""
    stored = {}
    for program in (restic, recoup):
        repo = new_repo(program.name)
        args = ["small", "--host", HOST, "--tag=a,b", "--tag=c", "--time=2024-01-02 03:04:05", "--exclude=x", "--exclude=y z", "--iexclude=W"]
        program.run("backup", *args, repo=repo, cwd=tmp_path)
        (name,) = format.Repo(repo.path).names("snapshots")
        stored[program.name] = format.Repo(repo.path).load("snapshots", name)
    ours, theirs = stored["recoup"], stored["restic"]
    assert list(ours) == list(theirs) and list(ours["summary"]) == list(theirs["summary"])
    changing = ("program_version", "summary")
    assert {k: v for k, v in ours.items() if k not in changing} == {k: v for k, v in theirs.items() if k not in changing}
    assert ours["program_version"].startswith("restic" if stand_in() else "recoup")
    numbers = lambda s: {k: v for k, v in s["summary"].items() if not k.startswith("backup_") and k != "data_added_packed"}
    assert numbers(ours) == numbers(theirs)


def test_times(recoup, restic, repo, small_tree, tmp_path):
    for text, zone in (("2024-01-02 03:04:05", "UTC"), ("2024-07-02 03:04:05", "Europe/Berlin"), ("2024-01-02 03:04", "UTC"), ("2024-01-02", "UTC"), ("now", "UTC"),
                       ("2024-13-02 03:04:05", "UTC"), ("2024-01-02T03:04:05Z", "UTC"), ("1", "UTC"), ("0001-01-01 00:00:00", "UTC"), ("9999-12-31 23:59:59", "UTC")):
        theirs = restic.run("backup", "small", "--time", text, repo=repo, cwd=tmp_path, env={"TZ": zone}, code=None)
        before = repo.ids("snapshots")
        recoup.run("backup", "small", "--time", text, repo=repo, cwd=tmp_path, env={"TZ": zone}, code=theirs.code)
        if theirs.code == 0:
            made = format.Repo(repo.path)
            (new,) = repo.ids("snapshots") - before
            times = [s["time"] for n, s in made.snapshots().items()]
            assert text == "now" or times.count(made.load("snapshots", new)["time"]) >= 2, text


# ---- restore's and check's words -------------------------------------------------------------------------------------

def test_messages_of_restore(recoup, restic, history, tmp_path):
    repo, ids, _ = history
    said = {p.name: restore(p, repo, ids[2], tmp_path / p.name, "--json", "-vv") for p in (restic, recoup)}
    verbose = lambda r: sorted((m["action"], m["item"], m["size"]) for m in r.messages("verbose_status"))
    assert verbose(said["recoup"]) == verbose(said["restic"])
    drop = lambda m: {k: v for k, v in m.items() if k not in ("seconds_elapsed",)}
    assert drop(said["recoup"].summary) == drop(said["restic"].summary)
    again = {p.name: restore(p, repo, ids[2], tmp_path / p.name, "--json", "-vv") for p in (restic, recoup)}
    assert verbose(again["recoup"]) == verbose(again["restic"])
    text = {p.name: without_times(restore(p, repo, ids[2], tmp_path / f"text-{p.name}").text).replace(str(tmp_path / f"text-{p.name}"), "<target>") for p in (restic, recoup)}
    assert text["recoup"] == text["restic"]


def test_words_of_check(recoup, restic, history):
    repo, _, _ = history
    edit = lambda text: [line for line in without_times(text).splitlines() if not line.startswith("using temporary cache")]
    same_text(recoup, restic, repo, "check", edit=edit)
    same_text(recoup, restic, repo, "check", "--read-data", edit=edit)
    same_json(recoup, restic, repo, "check")


def test_no_lock(recoup, repo, history):
    made, _, _ = history
    lock = format.Repo(repo.path).save_lock(1, exclusive=True, host="elsewhere")
    for args in (["snapshots"], ["stats"], ["list", "packs"], ["check"], ["key", "list"]):
        recoup.run(*args, "--no-lock", repo=repo)
    assert repo.ids("locks") == {lock}
    del made
