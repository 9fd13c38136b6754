"""`schedule`: what a run leaves in the repository as restic sees it, its exit codes, where its secrets are, and its files.

What needs a running systemd is in the container tests; here a run is started as its unit would start it.
"""

import json
import os
import shutil
import signal
import stat
import subprocess

import pytest

from support import format, trees
from support.commands import backup, check_clean
from support.programs import HOST, PASSWORD, Repository, wait_until
from support.trees import noise, write

pytestmark = [pytest.mark.recoup_only, pytest.mark.local_only]
PARTIAL, MISSING, LOCKED, WRONG_PASSWORD, INTERRUPTED = 3, 10, 11, 12, 130


class Schedule:
    """A definition in a file, and runs of it with an environment file beside it."""

    def __init__(self, recoup, repo, folder, **members):
        self.recoup, self.folder = recoup, folder
        self.env_file = folder / "restic.env"
        self.write_environment(RESTIC_REPOSITORY=repo.path, RESTIC_PASSWORD=repo.password)
        self.definition = {"name": "nightly", "environment_file": str(self.env_file), "calendar": ["0 2 * * *"], "retry_lock": "0s",
                           "backup": {"paths": [str(folder / "tree")], "host": HOST, "tags": ["production"]}, **members}

    def write_environment(self, **variables):
        self.env_file.write_text("".join(f'{name}="{value}"\n' for name, value in variables.items()))
        self.env_file.chmod(0o600)

    @property
    def environment(self):
        return {"RECOUP_RUNTIME_DIRECTORY": str(self.folder / "run")}

    def file(self):
        path = self.folder / "nightly.json"
        path.write_text(json.dumps(self.definition))
        return path

    def run(self, *args, code=0, env=None):
        return self.recoup.run("schedule", "run", "--file", self.file(), *args, code=code, env={**self.environment, **(env or {})})

    def start(self, *args, env=None):
        return self.recoup.start("schedule", "run", "--file", self.file(), *args, env={**self.environment, **(env or {})})


@pytest.fixture
def schedule(recoup, repo, tmp_path):
    trees.small_tree(tmp_path / "tree")
    return lambda **members: Schedule(recoup, repo, tmp_path, **members)


def snapshots(restic, repo):
    return restic.run("snapshots", "--json", repo=repo).json()


def test_restic_reads_what_a_run_makes(schedule, restic, repo, tmp_path):
    result = schedule().run()
    assert "schedule nightly: done" in result.text and not result.errors, result
    (made,) = snapshots(restic, repo)
    assert (made["hostname"], made["tags"], made["paths"]) == (HOST, ["production"], [str(tmp_path / "tree")])
    check_clean(restic, repo)
    restic.run("restore", made["id"], "--target", tmp_path / "back", repo=repo)
    assert subprocess.run(["diff", "-r", tmp_path / "tree", f"{tmp_path}/back{tmp_path}/tree"]).returncode == 0
    assert not repo.files("locks")


def test_members_of_the_definition_are_the_backups_flags(schedule, restic, repo, tmp_path):
    write(os.fsencode(tmp_path / "tree/skipped.tmp"), b"x")
    write(os.fsencode(tmp_path / "tree/LARGE"), noise(40_000, "large"))
    write(os.fsencode(tmp_path / "tree/empty/.nobackup"), b"")
    write(os.fsencode(tmp_path / "tree/empty/inside"), b"x")
    plan = schedule()
    plan.definition["backup"] |= {"exclude": ["*.tmp"], "exclude_larger_than": "30k", "exclude_if_present": [".nobackup"], "arguments": ["--with-atime"]}
    plan.run()
    listed = restic.run("ls", "latest", repo=repo).text
    assert "skipped.tmp" not in listed and "LARGE" not in listed and "inside" not in listed and "/tree/" in listed


POLICIES = [{"keep_last": 3}, {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12}, {"keep_within": "40d", "keep_tags": [["keep"]]},
            {"keep_yearly": -1, "keep_hourly": 2}]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: "-".join(p))
def test_keeps_what_restic_keeps_and_leaves_others_alone(schedule, recoup, restic, repo, tmp_path, policy):
    plan = schedule(retention={**policy, "prune": False})
    tree = str(tmp_path / "tree")
    first = backup(restic, repo, tree, "--tag=production")
    stored = format.Repo(repo.path, repo.password)
    save = lambda time, **fields: stored.save_snapshot(first.tree, time=time, **{"hostname": HOST, "paths": [tree], "tags": ["production"], **fields})
    for number in range(60):
        save(f"{2024 + number // 24}-{number // 2 % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:00:00Z",
             tags=["production", "keep"] if number % 9 == 0 else ["production"])
    others = [save("2020-01-01T00:00:00Z", hostname="other"), save("2020-01-01T00:00:00Z", tags=["test"]), save("2020-01-01T00:00:00Z", tags=[]),
              save("2020-01-01T00:00:00Z", paths=[tree, "/etc"]), save("2020-01-01T00:00:00Z", paths=[tree + "/d0"])]
    before = Repository(tmp_path / "before")
    shutil.copytree(repo.path, before.path)
    plan.run()
    kept = repo.ids("snapshots")
    (new,) = kept - before.ids("snapshots")
    shutil.copy(repo.path / "snapshots" / new, before.path / "snapshots")  # the same snapshots as the run had before it forgot
    flags = [f"--{name.replace('_', '-')}={'unlimited' if value == -1 else value}" for name, value in policy.items() if name != "keep_tags"]
    flags += [f"--keep-tag={','.join(tags)}" for tags in policy.get("keep_tags", [])]
    groups = restic.run("forget", "--dry-run", "--json", f"--host={HOST}", "--tag=production", f"--path={tree}", *flags, repo=before).json()
    (ours,) = [group for group in groups if group["paths"] == [tree]]
    removed = {snapshot["id"] for snapshot in ours["remove"]}
    assert removed and set(others).isdisjoint(removed)
    assert before.ids("snapshots") - kept == removed


def test_without_tags_only_snapshots_without_tags_are_its_own(schedule, restic, repo, tmp_path):
    plan = schedule(retention={"keep_last": 1, "prune": False})
    del plan.definition["backup"]["tags"]
    kept = backup(restic, repo, tmp_path / "tree", "--tag=before-upgrade").id
    backup(restic, repo, tmp_path / "tree")
    plan.run()
    assert kept in repo.ids("snapshots") and len(repo.ids("snapshots")) == 2


def test_prunes_in_two_phases(schedule, restic, recoup, repo, tmp_path):
    plan = schedule(retention={"keep_last": 1})
    plan.run()
    shutil.rmtree(tmp_path / "tree")
    trees.small_tree(tmp_path / "tree", ("other", 1))
    result = plan.run()
    assert "1 removed" in result.text, result
    assert len(repo.ids("snapshots")) == 1
    assert format.Repo(repo.path, repo.password).marks(), "packs are marked, not gone, so that others' backups may go on"
    check_clean(restic, repo, read_data=False)
    again = plan.run()  # there is something to look after though nothing... is forgotten: the new one replaces the old one
    assert "waiting for deletion" in again.text, again
    assert not repo.files("locks")


def test_checks_afterwards(schedule, restic, repo):
    plan = schedule(check={"read_data_subset": "100%"})
    result = plan.run()
    assert "check: no errors were found" in result.text, result
    assert "read 100.0% of packfiles" in plan.run("--verbose").text


def test_in_the_journal_each_step_is_a_line(schedule, tmp_path):
    plan = schedule(check={}, retention={"keep_last": 1})
    plan.run()
    shutil.rmtree(tmp_path / "tree")
    trees.small_tree(tmp_path / "tree", ("other", 1))
    result = plan.run()
    assert [line.split(":")[0] for line in result.text.splitlines()] == ["backup", "forget", "prune", "check", "schedule nightly"], result
    assert "1 snapshots kept, 1 removed; policy: keep 1 latest snapshots" in result.text and not result.errors


# ---- what goes wrong -----------------------------------------------------------------------------------------------------

def test_a_missing_path_among_several_is_partial(schedule, restic, repo, tmp_path):
    plan = schedule(retention={"keep_last": 1})
    plan.definition["backup"]["paths"].append("/does/not/exist")
    result = plan.run(code=PARTIAL)
    assert len(snapshots(restic, repo)) == 1
    assert "/does/not/exist" in result.errors, result


def test_no_snapshot_no_forgetting(schedule, restic, repo, tmp_path):
    plan = schedule(retention={"keep_last": 1})
    plan.run()
    backup(restic, repo, tmp_path / "tree", "--tag=production")
    shutil.rmtree(tmp_path / "tree")
    result = plan.run(code=1)
    assert "backup" in result.errors and len(snapshots(restic, repo)) == 2, result


def test_exit_codes_where_there_is_no_snapshot(schedule, repo, restic, tmp_path):
    plan = schedule()
    plan.write_environment(RESTIC_REPOSITORY=repo.path, RESTIC_PASSWORD="wrong")
    plan.run(code=WRONG_PASSWORD)
    plan.write_environment(RESTIC_REPOSITORY=tmp_path / "nowhere", RESTIC_PASSWORD=PASSWORD)
    plan.run(code=MISSING)
    plan.write_environment(RESTIC_PASSWORD=PASSWORD)
    plan.run(code=1)
    plan.env_file.unlink()
    result = plan.run(code=1)
    assert f"{plan.env_file} does not exist" in result.errors and "RESTIC_REPOSITORY" in result.errors, result
    plan.env_file.write_text("RESTIC_PASSWORD='a\nB C=geheim\n")
    assert not repo.ids("snapshots")


def test_a_locked_repository(schedule, repo):
    format.Repo(repo.path, repo.password).save_lock(4711, exclusive=True, host="elsewhere")
    assert "PID 4711 on elsewhere" in schedule().run(code=LOCKED).errors
    assert not repo.ids("snapshots")


def test_somebody_elses_backup_delays_only_forgetting(schedule, repo, tmp_path):
    """Snapshots are removed by who is alone: the snapshot is there, and the next run makes up for what was not removed."""
    plan = schedule(retention={"keep_last": 1})
    plan.run()
    write(os.fsencode(tmp_path / "tree/new"), b"new")
    lock = format.Repo(repo.path, repo.password).save_lock(4711, host="elsewhere")
    result = plan.run(code=1)
    assert "forget: " in result.errors and "PID 4711 on elsewhere" in result.errors and len(repo.ids("snapshots")) == 2, result
    (repo.path / "locks" / lock).unlink()
    plan.run()
    assert len(repo.ids("snapshots")) == 1


def test_the_second_at_the_same_time_says_who_runs(schedule):
    plan = schedule(commands_before=[["/bin/sleep", "600"]])
    with plan.start() as first:
        wait_until(lambda: (plan.folder / "run/nightly.lock").exists() and (plan.folder / "run/nightly.lock").read_text(), what="the first run")
        second = plan.run(code=LOCKED)
        assert f"PID {first.pid} since" in second.errors, second
        first.kill(signal.SIGTERM)
        ended = first.finish()
        # The command that it runs may be told of it first, and so be a command that has failed.
        assert ended.code in (INTERRUPTED, -signal.SIGTERM) or (ended.code == 1 and "/bin/sleep was ended by a signal" in ended.errors), ended
    plan.definition["commands_before"] = []
    plan.run()


def test_a_stop_stops_the_command_too_and_runs_those_afterwards(schedule, tmp_path, repo):
    plan = schedule(commands_before=[["/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 600"]], commands_after=[["/usr/bin/touch", str(tmp_path / "after")]])
    with plan.start() as run:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), what="the command")
        os.kill(run.pid, signal.SIGTERM)
        run.finish(code=[INTERRUPTED, -signal.SIGTERM])
    assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text().strip()}")
    assert (tmp_path / "after").exists() and not repo.ids("snapshots")


def test_a_command_that_fails_before_means_no_backup(schedule, tmp_path, repo):
    plan = schedule(commands_before=[["/bin/false"]], commands_after=[["/usr/bin/touch", str(tmp_path / "after")]])
    result = plan.run(code=1)
    assert "/bin/false failed with exit status 1" in result.errors and not repo.ids("snapshots")
    assert (tmp_path / "after").exists()
    plan.run("--no-commands")
    assert len(repo.ids("snapshots")) == 1


def test_one_error_does_not_hide_another(schedule, restic, repo):
    plan = schedule(check={}, commands_after=[["/bin/false"]], retention={"keep_last": 5})
    plan.run("--no-commands")
    victim = max(repo.files("data").items(), key=lambda item: item[1])[0]
    (repo.path / victim).unlink()
    plan.definition["backup"]["paths"].append("/does/not/exist")
    result = plan.run(code=1)
    assert "failed: check, command after the backup; some files could not be read" in result.errors, result
    assert len(repo.ids("snapshots")) == 2, "the backup itself was made"


# ---- secrets, settings ---------------------------------------------------------------------------------------------------

def test_secrets_are_nowhere_to_be_seen_while_it_runs(schedule, repo, tmp_path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    plan = schedule(commands_after=[["/bin/sleep", "600"]], environment={"RESTIC_PROCS": "1"})
    (credentials / "environment").write_text(plan.env_file.read_text())
    plan.env_file.unlink()
    with plan.start(env={"CREDENTIALS_DIRECTORY": str(credentials)}) as run:
        children = lambda: open(f"/proc/{run.pid}/task/{run.pid}/children").read().split()
        wait_until(lambda: children() and "sleep" in open(f"/proc/{children()[0]}/cmdline").read(), what="the command afterwards")
        for pid in [str(run.pid), *children()]:
            for name in ("environ", "cmdline"):
                content = open(f"/proc/{pid}/{name}", "rb").read()
                assert content and PASSWORD.encode() not in content and str(repo.path).encode() not in content, name
        allowed = [line.split()[1] for line in open(f"/proc/{run.pid}/status") if line.startswith("Cpus_allowed_list")]
        assert allowed[0].isdigit(), "RESTIC_PROCS=1: one processor"
        os.kill(run.pid, signal.SIGTERM)
        run.kill()
    assert len(repo.ids("snapshots")) == 1


def test_an_environment_file_that_others_may_read_is_warned_of(schedule):
    plan = schedule()
    plan.env_file.chmod(0o644)
    assert "chmod 600" in plan.run().errors


def test_errors_have_priorities_in_the_journal(schedule, tmp_path, recoup):
    plan = schedule()
    plan.write_environment(RESTIC_REPOSITORY=tmp_path / "nowhere", RESTIC_PASSWORD=PASSWORD)
    with open(tmp_path / "journal", "wb") as journal:
        status = os.fstat(journal.fileno())
        for stream, expected in ((f"{status.st_dev}:{status.st_ino}", True), ("1:2", False)):
            environment = recoup.environment(None, {**plan.environment, "JOURNAL_STREAM": stream})
            begin = journal.tell()
            subprocess.run(recoup.command(["schedule", "run", "--file", plan.file()]), env=environment, stderr=journal, stdout=subprocess.DEVNULL)
            journal.flush()
            lines = (tmp_path / "journal").read_bytes()[begin:].splitlines()
            journal.seek(0, os.SEEK_END)
            assert lines and all(line.startswith(b"<3>") == expected for line in lines), lines


@pytest.mark.parametrize("value, ok", [("1", True), ("1000", True), ("", True), ("0", False), ("two", False)])
def test_restic_procs(recoup, repo, value, ok):
    result = recoup.run("snapshots", repo=repo, env={"RESTIC_PROCS": value}, code=0 if ok else 1)
    assert ok or "RESTIC_PROCS" in result.errors


def test_a_unit_written_by_hand_goes_on_working(recoup, restic, repo, tmp_path, schedule):
    """EnvironmentFile=/etc/restic.env, ExecStart=restic backup …, ExecStart=restic forget …: as a shell sets the same variables."""
    plan = schedule()
    (tmp_path / "restic").symlink_to(recoup.path)
    script = f"set -a; . {plan.env_file}; {tmp_path}/restic backup --tag production {tmp_path}/tree && {tmp_path}/restic forget --keep-daily 7 --tag production"
    done = subprocess.run(["sh", "-ec", script], env=recoup.environment(None, {}), capture_output=True, text=True)
    assert done.returncode == 0, done
    assert [s["tags"] for s in snapshots(restic, repo)] == [["production"]]


# ---- files ---------------------------------------------------------------------------------------------------------------

INSTALL = ("schedule", "install", "nightly", "--path=/srv", "--path=/etc", "--tag=production", "--calendar=0 2 * * *", "--on-boot=15min",
           "--keep-daily=7", "--keep-weekly=4", "--keep-monthly=12", "--cpu-quota=50%", "--time-zone=UTC")
UNITS = ("etc/systemd/system/nightly.service", "etc/systemd/system/nightly.timer")


def test_install_below_another_root(recoup, tmp_path):
    root = tmp_path / "image"
    result = recoup.run(*INSTALL, f"--root={root}", "--write-environment", env={"RESTIC_REPOSITORY": "s3:http://h:9000/b", "RESTIC_PASSWORD": "ge$heim"})
    modes = {path: stat.S_IMODE((root / path).stat().st_mode) for path in ("etc/recoup/schedules/nightly.json", "etc/restic.env", *UNITS)}
    assert modes == {"etc/recoup/schedules/nightly.json": 0o644, "etc/restic.env": 0o600, **dict.fromkeys(UNITS, 0o644)}, result
    assert os.readlink(root / "etc/systemd/system/timers.target.wants/nightly.timer") == "/etc/systemd/system/nightly.timer"
    assert 'RESTIC_PASSWORD="ge\\$heim"' in (root / "etc/restic.env").read_text()
    assert not [path for path in root.rglob("*") if path.is_file() and path.name != "restic.env" and "heim" in path.read_text()]
    definition = json.loads((root / "etc/recoup/schedules/nightly.json").read_text())
    assert definition["backup"] == {"paths": ["/srv", "/etc"], "tags": ["production"]}
    assert definition["retention"] == {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12}
    # What is installed is changed by the flags; the rest stays.
    recoup.run("schedule", "install", "nightly", f"--root={root}", "--keep-daily=14", "--calendar=30 3 * * *")
    changed = json.loads((root / "etc/recoup/schedules/nightly.json").read_text())
    assert changed["retention"]["keep_daily"] == 14 and changed["calendar"] == ["30 3 * * *"] and changed["backup"] == definition["backup"]
    assert "OnCalendar=*-*-* 03:30:00 UTC" in (root / UNITS[1]).read_text()
    assert "unchanged" in recoup.run("schedule", "install", "nightly", f"--root={root}").text

    (listed,) = recoup.run("schedule", "list", "--json", f"--root={root}").json()
    assert listed["name"] == "nightly" and listed["state"] == "unknown" and listed["next"].endswith("03:30:00Z") and listed["result"] is None
    assert "nightly" in recoup.run("schedule", "list", f"--root={root}").text
    shown = recoup.run("schedule", "show", "nightly", "--json", f"--root={root}").json()
    assert shown["definition"] == changed and len(shown["next_runs"]) == 5
    assert "no schedule other" in recoup.run("schedule", "show", "other", f"--root={root}", code=1).errors

    removed = recoup.run("schedule", "remove", "nightly", f"--root={root}").text
    assert "repository with all its snapshots stays" in removed
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink()) == ["etc/restic.env"]


def test_units_of_others_are_not_overwritten(recoup, tmp_path):
    unit = tmp_path / UNITS[0]
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nEnvironmentFile=/etc/restic.env\nExecStart=restic backup /srv\n")
    result = recoup.run(*INSTALL, f"--root={tmp_path}", code=1)
    assert "--force" in result.errors and str(unit) in result.errors
    assert not (tmp_path / UNITS[1]).exists(), "nothing is written before everything was looked at"
    recoup.run(*INSTALL, f"--root={tmp_path}", "--force")
    assert "schedule run nightly" in unit.read_text()
    unit.write_text("[Service]\n")
    assert "--force" in recoup.run("schedule", "remove", "nightly", f"--root={tmp_path}", code=1).errors
    assert unit.exists() and (tmp_path / UNITS[1]).exists()


def test_render_prints_what_install_writes(recoup, tmp_path):
    root = tmp_path / "image"
    rendered = recoup.run("schedule", "render", *INSTALL[2:], f"--root={root}", "--json").json()
    assert not root.exists()
    recoup.run(*INSTALL, f"--root={root}")
    assert {file["path"]: file["content"] for file in rendered["files"]} == {
        f"/{path}": (root / path).read_text() for path in ("etc/recoup/schedules/nightly.json", *UNITS)}
    assert rendered["on_calendar"] == ["*-*-* 02:00:00 UTC"] and rendered["units"] == {"service": "nightly.service", "timer": "nightly.timer"}
    text = recoup.run("schedule", "render", *INSTALL[2:], f"--root={root}").text
    assert "### /etc/systemd/system/nightly.timer (0644)" in text
    result = recoup.run("schedule", "render", "nightly", "--path=/srv", "--calendar=0 25 * * *", code=1)
    assert "calendar[0]" in result.errors, result


# ---- the machine interface -----------------------------------------------------------------------------------------------

def ask(recoup, *requests):
    lines = "".join(json.dumps({"v": 1, "id": str(number), "method": method, "params": params}) + "\n" for number, (method, params) in enumerate(requests))
    answers = recoup.run("engine", stdin=lines.encode()).json_lines()
    assert {"schedule.render", "retention.preview"} <= set(answers[0]["methods"])
    return answers[1:]


def test_engine_renders(recoup):
    definition = {"name": "a", "backup": {"paths": ["/srv"]}, "calendar": ["0 2 * * *"], "time_zone": "UTC"}
    secrets = {"RESTIC_REPOSITORY": "s3:http://h:9000/b", "RESTIC_PASSWORD": 'a "b" $c'}
    with_secrets, without, unknown, bad_secret, bad_time = ask(
        recoup, ("schedule.render", {"schedule": definition, "secret_environment": secrets}), ("schedule.render", {"schedule": definition}),
        ("schedule.render", {"schedule": {**definition, "backup": {"paths": ["/srv"], "tag": []}}}),
        ("schedule.render", {"schedule": definition, "secret_environment": {"LD_PRELOAD": "x"}}),
        ("schedule.render", {"schedule": {**definition, "retention": {"keep_within": "forever"}}}))
    files = {file["path"]: file for file in with_secrets["result"]["files"]}
    assert set(files) == {"/etc/restic.env", "/etc/recoup/schedules/a.json", "/etc/systemd/system/a.service", "/etc/systemd/system/a.timer"}
    assert [path for path, file in files.items() if file["secret"]] == ["/etc/restic.env"] and files["/etc/restic.env"]["mode"] == "0600"
    assert 'RESTIC_PASSWORD="a \\"b\\" \\$c"\n' in files["/etc/restic.env"]["content"]
    assert with_secrets["result"]["on_calendar"] == ["*-*-* 02:00:00 UTC"] and len(with_secrets["result"]["next"]) == 5
    assert len(without["result"]["files"]) == 3
    assert [answer["error"]["attribute"] for answer in (unknown, bad_secret, bad_time)] == [
        "schedule.backup.tag", "secret_environment.LD_PRELOAD", "schedule.retention.keep_within"]


def test_engine_previews_retention(recoup):
    times = ["2026-11-27T02:00:00Z", "2026-11-27T14:00:00Z", "2026-11-26T02:00:00Z", "2026-10-01T02:00:00Z"]
    kept, nothing, wrong = ask(
        recoup, ("retention.preview", {"policy": {"keep_daily": 2}, "times": times, "now": "2026-11-27T15:00:00Z"}),
        ("retention.preview", {"policy": {}, "times": times}), ("retention.preview", {"policy": {"keep_daily": 1}, "times": ["x"]}))
    assert kept["result"] == {"keep": [{"time": times[1], "reasons": ["daily snapshot"]}, {"time": times[2], "reasons": ["daily snapshot"]}],
                              "remove": [times[0], times[3]]}
    assert nothing["error"]["attribute"] == "policy" and wrong["error"]["attribute"] == "times[0]"
