"""`forget`: what both programs keep, for which reasons, and what they say about it."""

from __future__ import annotations

import datetime
import json
import os
import random
import subprocess

import pytest

from support import format

# Snapshots are files that our own writer makes: a hundred of them cost nothing, and their times can have any offset.


def snapshots(repo, tree, times, **fields):
    """Saves a snapshot for each RFC 3339 time; returns their ids."""
    writer = format.Repo(repo.path, repo.password)
    return [writer.save_snapshot(tree, time=time, **fields) for time in times]


@pytest.fixture
def small(sound):
    """A repository without snapshots and the id of a tree in it."""
    writer, repo, tree = sound()
    for name in writer.names("snapshots"):
        (repo.path / "snapshots" / name).unlink()
    return repo, tree


# ---- any snapshots, any policy -------------------------------------------------------------------------------------------

SEED = int(os.environ.get("RECOUP_SEED") or 1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "Europe/London"]
#: where calendars go wrong: ends of years, leap days, the nights when clocks change in Europe, America and Australia
CORNERS = ["2023-12-31T23:30:00", "2024-01-01T00:30:00", "2020-12-31T12:00:00", "2021-01-03T23:59:59", "2024-02-29T08:00:00",
           "2024-03-31T01:15:00", "2024-10-27T00:45:00", "2024-03-10T06:59:00", "2024-11-03T05:59:00", "2024-04-06T15:10:00",
           "2026-05-31T12:00:00", "2034-07-01T00:00:00"]
OFFSETS = [0, 60, 120, -300, -240, 330, 345, 630, 660, -210, -150, -720, 840]


def random_time(rng: random.Random) -> str:
    near = datetime.datetime.fromisoformat(rng.choice(CORNERS))
    moment = near + datetime.timedelta(seconds=int(rng.choice([1, 3600, 86400, 86400 * 30, 86400 * 400]) * rng.uniform(-3, 3)))
    minutes = rng.choice(OFFSETS)
    fraction = rng.choice(["", "", ".5", ".123456789"])
    sign = "-" if minutes < 0 else "+"
    return moment.isoformat() + fraction + ("Z" if minutes == 0 else f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}")


def random_snapshots(rng: random.Random, writer: format.Repo, tree: str, count: int) -> None:
    seen = set()
    while len(seen) < count:
        time = random_time(rng)
        # restic orders those of the same time by chance.
        instant = datetime.datetime.fromisoformat(time.replace("Z", "+00:00")[:19] + time.replace("Z", "+00:00")[-6:]), "." in time
        if instant in seen:
            continue
        seen.add(instant)
        fields = {"hostname": rng.choice(["nas", "nas", "web"]), "paths": rng.choice([["/srv"], ["/srv", "/etc"], ["/etc", "/srv"]])}
        if tags := rng.choice([[], [], ["a"], ["b", "a"], ["a", "b", "c"]]):
            fields["tags"] = tags
        writer.save_snapshot(tree, time=time, **fields)


def random_policy(rng: random.Random) -> list[str]:
    words = []
    for kind in ("last", "hourly", "daily", "weekly", "monthly", "yearly"):
        if rng.random() < 0.3:
            words += [f"--keep-{kind}", rng.choice(["1", "2", "3", "5", "12", "unlimited"])]
    for kind in ("", "-hourly", "-daily", "-weekly", "-monthly", "-yearly"):
        if rng.random() < 0.2:
            spans = [f"{rng.randrange(3)}y", f"{rng.randrange(1, 15)}m", f"{rng.randrange(1, 70)}d", f"{rng.randrange(1, 100)}h"]
            words += [f"--keep-within{kind}", "".join(rng.sample(spans, rng.randrange(1, 4)))]
    if rng.random() < 0.2:
        words += ["--keep-tag", rng.choice(["a", "a,b", "c", "", ",a"])]
    if not words:
        words = ["--keep-last", "2"]
    return words + rng.choice([[], [], ["--group-by", ""], ["--group-by", "host"], ["-g", "tags,paths"]])


def groups_of(result) -> list:
    return sorted(result.json() if result.out else [], key=lambda group: json.dumps([group["host"], group["paths"], group["tags"]]))


@pytest.mark.recoup_only
@pytest.mark.storage_blind
@pytest.mark.parametrize("zone", ZONES)
def test_any_policy_keeps_the_same_for_the_same_reasons(recoup, restic, small, zone):
    repo, tree = small
    rng = random.Random(f"{SEED} {zone}")
    random_snapshots(rng, format.Repo(repo.path, repo.password), tree, 60)
    for _ in range(25):
        words = ["forget", "--dry-run", "--no-lock", "--json", *random_policy(rng)]
        theirs, ours = (program.run(*words, repo=repo, code=None, env={"TZ": zone}) for program in (restic, recoup))
        assert ours.code == theirs.code, f"{ours}\n{theirs}"
        assert groups_of(ours) == groups_of(theirs), f"TZ={zone}\n{ours}\n{theirs}"
        if ours.code == 0:
            # Objects, too, are written alike: fields in the same order.
            one, other = (sorted(json.dumps(group) for group in result.json()) for result in (ours, theirs))
            assert one == other


@pytest.mark.recoup_only
@pytest.mark.storage_blind
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/Paris", "Africa/Cairo", "Asia/Kolkata", "UTC", "CET-1CEST"])
def test_months_back_across_summer_time(recoup, restic, small, zone):
    """Six months before noon in summer is noon in winter, an hour off: where the newest has the offset of the process's zone."""
    repo, tree = small
    snapshots(repo, tree, ["2024-07-01T12:00:00+02:00"] +
              [f"2024-01-01T{hour:02}:{minute}:00Z" for hour in range(8, 13) for minute in ("00", "30")])
    snapshots(repo, tree, ["2024-04-01T02:30:00+02:00", "2024-03-31T00:15:00Z", "2024-03-31T00:45:00Z", "2024-03-31T01:15:00Z",
                           "2024-03-31T01:45:00Z"], hostname="night")
    for words in (["--keep-within", "6m"], ["--keep-within-hourly", "6m"], ["--keep-within", "1d"], ["--keep-within", "24h"]):
        theirs, ours = (program.run("forget", "-n", "--no-lock", "--json", *words, repo=repo, env={"TZ": zone})
                        for program in (restic, recoup))
        assert groups_of(ours) == groups_of(theirs), f"TZ={zone}\n{ours}\n{theirs}"


# ---- what is said --------------------------------------------------------------------------------------------------------

@pytest.fixture
def few(small):
    """One group of several days and paths, another host, and one snapshot with a summary."""
    repo, tree = small
    summary = {"backup_start": "2024-01-03T12:00:00Z", "backup_end": "2024-01-03T12:00:01Z",
               **dict.fromkeys(["files_new", "files_changed", "files_unmodified", "dirs_new", "dirs_changed", "dirs_unmodified",
                                "data_blobs", "tree_blobs", "data_added", "data_added_packed", "total_files_processed"], 1),
               "total_bytes_processed": 4000}
    ids = snapshots(repo, tree, ["2024-01-01T10:00:00Z", "2024-01-02T23:00:00-05:00", "2024-01-02T10:00:00Z"], paths=["/b", "/a"],
                    tags=["b", "a"], hostname="nas")
    ids += snapshots(repo, tree, ["2024-01-03T12:00:00Z"], paths=["/a", "/b"], hostname="nas", summary=summary)
    return repo, tree, ids


#: one group each, or an answer in which groups have no part: restic goes through groups in whatever order
SAME = """
forget
forget --keep-last 1 -n
forget --keep-last 2 -n -v
forget --keep-last 2 -n -vv --compact
forget --keep-last 1 -n -q
forget --keep-last 1 -n --json
forget --keep-daily 1 --keep-hourly 3 --keep-within 1d --keep-tag b,a --keep-tag, -n -g host
forget -l1 -H2 -d2 -w1 -m1 -y1 -n -g host
forget --keep-last unlimited -n -v --group-by=
forget --keep-last 1 -n --tag a,b
forget --keep-last 1 -n --host nobody
forget --keep-last 1 -n --host nobody --json
forget --keep-last 1 -n --hostname nas -q
forget --keep-last 1 -n -g tags,host --tag a
forget --keep-tag c -n
forget --keep-tag c -n --json
forget --keep-tag c -n --tag a -g host,paths,tags
forget --unsafe-allow-remove-all -n
forget --unsafe-allow-remove-all -n --host nas -v
forget --unsafe-allow-remove-all -n --tag a --json
forget --keep-last 1 --no-lock
forget --keep-last -1
forget --keep-last x
forget -l 99999999999999999999
forget --keep-within 1
forget --keep-within z
forget --keep-within 1z
forget --keep-within=-d
forget --keep-within -1d
forget --keep-within 0d
forget --keep-yearly 0 --json
forget -g hosts,x
forget FIRST -n
forget FIRST SECOND FIRST -n
forget FIRST -n --json
forget FIRST -n -q
forget latest -n --host nas
""".strip().splitlines()


@pytest.mark.recoup_only
@pytest.mark.storage_blind
def test_same_answers(recoup, restic, few):
    repo, _, ids = few
    named = {"FIRST": ids[0], "SECOND": ids[1][:12], "--keep-tag,": "--keep-tag="}
    for line in SAME:
        words = [named.get(word, word) for word in line.split()]
        if "-n" in words:
            words.append("--no-lock")
        theirs, ours = (program.run(*words, repo=repo, code=None, env={"TZ": "Europe/Paris"}) for program in (restic, recoup))
        assert (ours.code, ours.out, ours.err) == (theirs.code, theirs.out, theirs.err), f"{line}\n{ours}\n{theirs}"
    assert repo.ids("snapshots") == set(ids)


@pytest.mark.recoup_only
def test_both_say_the_same_of_what_they_remove(recoup, restic, new_repo):
    """Each on its own copy, without --dry-run."""
    said = {}
    for program in (recoup, restic):
        repo = new_repo(program.name)
        snapshots(repo, format.EMPTY_TREE, [f"2024-01-{day:02}T10:00:00Z" for day in range(1, 6)])
        said[program.name] = [program.run("forget", "--keep-last", 3, repo=repo), program.run("forget", "-l2", "-q", repo=repo),
                              program.run("forget", "-l1", "-vv", "-c", repo=repo), program.run("forget", "-l1", repo=repo),
                              program.run("forget", "latest", "-v", repo=repo), program.run("forget", "-l1", repo=repo)]
        assert repo.ids("snapshots") == set() and repo.ids("locks") == set()

    def without_ids_and_times(result):
        words = result.text.split()
        return [word for word in words if not word.startswith("[") and not any(word.endswith(name) for name in shown)]

    shown = set()
    for results in said.values():
        for result in results:
            shown |= {word for word in result.text.split() if len(word) in (8, 73) and set(word[-8:]) <= set("0123456789abcdef")}
    for ours, theirs in zip(said["recoup"], said["restic"]):
        assert ours.err == theirs.err == b""
        assert without_ids_and_times(ours) == without_ids_and_times(theirs), f"{ours}\n{theirs}"


# ---- what is done --------------------------------------------------------------------------------------------------------

@pytest.mark.recoup_only
def test_restic_agrees_with_what_is_left(recoup, restic, small):
    repo, tree = small
    kept = snapshots(repo, tree, ["2024-03-31T00:30:00Z", "2024-03-30T23:00:00Z", "2024-02-01T10:00:00Z"])
    gone = snapshots(repo, tree, ["2024-03-30T10:00:00Z", "2024-02-01T09:00:00Z"])
    tagged = snapshots(repo, tree, ["2024-01-01T00:00:00Z"], tags=["keep", "other"])
    # The oldest of all is tagged, so it is kept by either rule.
    recoup.run("forget", "--keep-daily", 3, "--keep-tag", "keep", "--group-by", "host", repo=repo)
    assert repo.ids("snapshots") == {*kept, *tagged} and not repo.ids("snapshots") & set(gone)
    assert {each["id"] for each in restic.run("snapshots", "--json", repo=repo).json()} == {*kept, *tagged}
    restic.run("check", "--read-data", repo=repo)

    recoup.run("forget", kept[0], kept[1][:10], repo=repo)
    assert repo.ids("snapshots") == {kept[2], *tagged}
    recoup.run("forget", "--unsafe-allow-remove-all", "--tag", "keep", repo=repo)
    assert repo.ids("snapshots") == {kept[2]} and repo.ids("locks") == set()
    restic.run("prune", repo=repo)
    recoup.run("check", "--read-data", repo=repo)


@pytest.mark.recoup_only
def test_a_name_that_is_unknown_removes_nothing(recoup, small):
    """restic 0.19.1 goes on with the others, and ends with 0; its next version does as we do."""
    repo, tree = small
    ids = snapshots(repo, tree, ["2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z"])
    for name in ("nosuch", "", ids[0][:-1] + ("0" if ids[0][-1] != "0" else "1"), "latest:/a"):
        assert recoup.run("forget", ids[0], name, repo=repo, code=1).errors.startswith("Fatal: ")
    recoup.run("forget", "latest", "--host", "nobody", repo=repo, code=1)
    assert repo.ids("snapshots") == set(ids)


@pytest.mark.recoup_only
def test_a_snapshot_that_cannot_be_read_is_passed_over_and_kept(recoup, restic, small):
    repo, tree = small
    ids = snapshots(repo, tree, [f"2024-01-{day:02}T10:00:00Z" for day in range(1, 5)])
    broken = repo.path / "snapshots" / ids[3]
    raw = bytearray(broken.read_bytes())
    raw[40] ^= 1
    broken.unlink()
    broken.write_bytes(bytes(raw))
    words = ("forget", "--keep-last", 1, "--no-lock", "--dry-run", "--json")
    ours, theirs = recoup.run(*words, repo=repo), restic.run(*words, repo=repo)
    assert groups_of(ours) == groups_of(theirs)
    assert ids[3] in ours.errors and ids[3] in theirs.errors
    recoup.run("forget", "--keep-last", 1, repo=repo)
    assert repo.ids("snapshots") == {ids[2], ids[3]}
    recoup.run("forget", ids[3], repo=repo, code=1)


@pytest.mark.recoup_only
@pytest.mark.local_only
def test_what_cannot_be_removed(recoup, small):
    """A folder that is read-only: exit code 3, and each snapshot is named. restic tries for a quarter of an hour."""
    repo, tree = small
    ids = snapshots(repo, tree, [f"2024-01-{day:02}T10:00:00Z" for day in range(1, 4)])
    folder = str(repo.path / "snapshots")
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        said = recoup.run("forget", "--keep-last", 1, repo=repo, code=3)
        as_json = recoup.run("forget", "--keep-last", 1, "--json", repo=repo, code=3)
    finally:
        subprocess.run(["umount", folder], check=True)
    for name in ids[:2]:
        assert f"unable to remove snapshot/{name} from the repository: " in said.errors
    assert said.errors.endswith("failed to remove one or more snapshots\n")
    assert "0 / 2 files deleted" in said.text
    assert as_json.json()[0]["remove"] and as_json.messages("exit_error")[0]["code"] == 3
    assert repo.ids("snapshots") == set(ids)


@pytest.mark.recoup_only
@pytest.mark.local_only
def test_on_read_only_media(recoup, small):
    repo, tree = small
    ids = snapshots(repo, tree, ["2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z"])
    folder = str(repo.path)
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        recoup.run("forget", "--keep-last", 1, repo=repo, code=1)
        planned = recoup.run("forget", "--keep-last", 1, "--dry-run", "--json", repo=repo)
        recoup.run("forget", "--keep-last", 1, "--dry-run", "--no-lock", repo=repo)
    finally:
        subprocess.run(["umount", folder], check=True)
    assert [each["id"] for each in planned.json()[0]["remove"]] == ids[:1]
    assert repo.ids("snapshots") == set(ids)


@pytest.mark.recoup_only
def test_others_are_locked_out(recoup, small):
    repo, tree = small
    (only,) = snapshots(repo, tree, ["2024-01-01T10:00:00Z"])
    lock = format.Repo(repo.path, repo.password).save_lock(1, host="elsewhere")
    for words in (["--keep-last", 1], ["--keep-last", 1, "--dry-run"], [only]):
        recoup.run("forget", *words, repo=repo, code=11)
    recoup.run("forget", "--keep-last", 1, "--dry-run", "--no-lock", repo=repo)
    assert repo.ids("locks") == {lock} and repo.ids("snapshots") == {only}
