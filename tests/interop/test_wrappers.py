"""Programs that run restic, run with recoup under the name `restic`: what they do, what they make of what it says, and what they record.

The wrappers from PyPI (resticpy, runrestic, crestic) and resticprofile (a Go module; tools/resticprofile.sh) really run, once with
restic and once with recoup. Of those that are not to be had there (backrest, autorestic, Velero's node agent) stand the command lines
that they build and the expressions by which they take the answers apart, as their sources have them; each must find the same in both
programs' answers.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from support import command_help, format, programs, storage
from support.commands import backup
from support.programs import HOST, PASSWORD, Program

pytestmark = [pytest.mark.local_only, pytest.mark.recoup_only]


class Named:
    """A program that is found as `restic` in PATH, with a home of its own and nothing of the caller's settings."""

    def __init__(self, program: Program, where: pathlib.Path):
        self.name, self.where = program.name, where / f"as-{program.name}"
        (self.where / "bin").mkdir(parents=True)
        (self.where / "home").mkdir()
        self.path = self.where / "bin/restic"
        self.path.symlink_to(program.path)
        (self.where / "password").write_text(PASSWORD + "\n")
        self.password_file = self.where / "password"

    def environment(self, **more) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RESTIC_", "AWS_", "XDG_"))}
        return kept | {"PATH": f"{self.where}/bin:{os.environ['PATH']}", "HOME": str(self.where / "home"), "TZ": "UTC", "XDG_CACHE_HOME": str(self.where / "cache"),
                       "LANG": "C.UTF-8"} | {key: str(value) for key, value in more.items()}

    def run(self, *words, code=0, cwd=None, env=None) -> subprocess.CompletedProcess:
        """`restic` itself, as a wrapper starts it."""
        return self.start([self.path, *words], code, cwd, env)

    def python(self, script: str, *words, code=0, cwd=None, env=None) -> subprocess.CompletedProcess:
        return self.start([sys.executable, "-c", script, *words], code, cwd, env)

    def start(self, command, code, cwd, env):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd, env=self.environment(**(env or {})), stdin=subprocess.DEVNULL, timeout=600)
        assert code is None or done.returncode == code, f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture
def both(recoup, restic, tmp_path) -> tuple[Named, Named]:
    return Named(recoup, tmp_path), Named(restic, tmp_path)


@pytest.fixture(scope="module")
def commands():
    """What recoup can do; commands that do not exist yet are left out, and run as soon as they do."""
    program = programs.recoup().at(pathlib.Path("/tmp"))
    return {command[0] for command in command_help.all_commands(program)}


CHANGING = {"id", "short_id", "snapshot_id", "time", "created", "backup_start", "backup_end", "total_duration", "program_version", "data_added", "data_added_packed", "parent", "tree", "mtime",
            "atime", "ctime", "inode", "chunker_polynomial", "compression_ratio", "compression_space_saving", "total_size", "mac", "encrypt", "current", "device_id", "repository"}


def told(value):
    """The answer with "*" for what is not the same twice, and without whole seconds: none are told if there are none."""
    if isinstance(value, dict):
        return {key: "*" if key in CHANGING else told(part) for key, part in value.items() if key != "seconds_elapsed"}
    if isinstance(value, list):
        return [told(part) for part in value]
    return re.sub(r"\b[0-9a-f]{8,64}\b|/as-\w+/", "*", value) if isinstance(value, str) else value


# ---- wrappers that really run ------------------------------------------------------------------------------------------

RESTICPY = r"""
import json, os, sys
import restic
from restic.errors import ResticFailedError

restic.binary_path, restic.password_file, where, can = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4].split(",")
restic.repository = where + "/repo"
answers = {}

def ask(name, function, *args, **kwargs):
    try:
        answers[name] = function(*args, **kwargs)
    except ResticFailedError as failure:
        answers[name] = "failed: " + str(failure).split(":")[0]

ask("version", restic.version)
ask("no repository", restic.snapshots)
ask("init", restic.init)
ask("init again", restic.init)
ask("backup", restic.backup, paths=["small"], tags=["a", "b"], host="wrapped")
ask("backup again", restic.backup, paths=["small"], host="wrapped", skip_if_unchanged=True, scan=False)
ask("backup dry", restic.backup, paths=["small"], host="wrapped", exclude_patterns=["*1"], dry_run=True, group_by=["host"])
ask("backup nothing", restic.backup, paths=["missing"])
ask("snapshots", restic.snapshots)
ask("snapshots grouped", restic.snapshots, group_by=["host", "paths"])
ask("snapshots filtered", restic.snapshots, tags=["a"], host="wrapped")
ask("latest", restic.snapshots, snapshot_id="latest")
for mode in ("restore-size", "files-by-contents", "blobs-per-file", "raw-data"):
    ask("stats " + mode, restic.stats, mode=mode)
ask("find", restic.find, "f1")
ask("config", restic.cat.config)
ask("master key", restic.cat.masterkey)
ask("locks", restic.list.locks)
ask("keys", restic.key.list)
open(where + "/second", "w").write("another\n")
ask("key add", restic.key.add, host="h", user="u", new_password_file=where + "/second")
ask("key remove", restic.key.remove, "00000000")
answers["number of keys"] = len(restic.key.list())
ask("check", lambda: (restic.check(read_data=True) or "").strip())
ask("restore", restic.restore, snapshot_id="latest", include="f1", target_dir=where + "/out")
ask("unlock", restic.unlock)
source, restic.repository = restic.repository, where + "/copy"
ask("init copy", restic.init, copy_chunker_params=True, from_repo=source, from_password_file=restic.password_file)
ask("copy", lambda: bool(restic.copy(from_repo=source, from_password_file=restic.password_file)))
answers["copied"] = len(restic.snapshots())
restic.repository = source
ask("generate", restic.generate, bash_completion_path=where + "/completion", man_directory=where + "/man")
answers["generated"] = [os.path.getsize(where + "/completion") > 100, len(os.listdir(where + "/man")) > 20, os.path.exists(where + "/man/restic-backup.1")]
ask("self-update", restic.self_update)
if "forget" in can:
    ask("forget dry", restic.forget, keep_last=1, dry_run=True)
    ask("forget", restic.forget, keep_last=1, group_by=["host"])
    answers["left"] = len(restic.snapshots())
if "rewrite" in can:
    ask("rewrite", lambda: bool(restic.rewrite(exclude=["*2"], dry_run=True)) or True)
print(json.dumps(answers))
"""


def test_resticpy(both, small_tree, tmp_path, commands):
    """Every function of the Python wrapper, which takes all answers apart as JSON."""
    said = []
    for program in both:
        os.makedirs(program.where / "man")
        done = program.python(RESTICPY, program.path, program.password_file, program.where, ",".join(commands), cwd=tmp_path)
        said.append(json.loads(done.stdout))
    ours, theirs = said
    assert ours.keys() == theirs.keys() and len(ours) > 30
    assert ours["version"].pop("go_version") and theirs["version"].pop("go_version")
    for name in ours:
        if name not in ("restore", "latest"):
            assert told(ours[name]) == told(theirs[name]), name
    assert ours["latest"][0].keys() == theirs["latest"][0].keys()


RUNRESTIC = "import sys; from runrestic.runrestic.runrestic import runrestic; sys.argv[0] = 'runrestic'; runrestic()"


def test_runrestic(both, small_tree, tmp_path, commands):
    """init, backup, check, stats, and forget and prune where they exist; its exit codes and its metrics file for Prometheus."""
    recorded = []
    for program in both:
        config = program.where / "config.toml"

        def configure(source, metrics):
            config.write_text(f"""
name = "wrapped"
repositories = ["{program.where}/repo"]
[execution]
retry_count = 0
[environment]
RESTIC_PASSWORD = "{PASSWORD}"
[backup]
sources = ["{source}"]
exclude_patterns = ["*9"]
[prune]
keep-last = 1
group-by = "host"
[check]
checks = ["read-data"]
[metrics.prometheus]
path = "{metrics}"
""")

        def run(*actions, code=0):
            # It asks whether it may download restic if there is none in PATH; and kills its group when it is signalled.
            return program.python(RUNRESTIC, "-c", config, *actions, code=code, cwd=tmp_path)

        actions = ["backup", *(["prune"] if {"forget", "prune"} <= commands else []), "check", "stats"]
        configure("small", program.where / "metrics")
        run("init")
        run("init")  # is there already: said, and no failure of the wrapper
        run(*actions)
        first = (program.where / "metrics").read_text()
        (small_tree / "d0/f0").write_bytes(b"changed")
        run(*actions)
        second = (program.where / "metrics").read_text()
        (small_tree / "d0/f0").write_bytes(b"as before")
        configure("missing", program.where / "failed")
        run("backup", "unlock", code=1)
        recorded.append([first, second, (program.where / "failed").read_text()])
    for ours, theirs in zip(*recorded):
        without = lambda text: sorted(re.sub(r"/as-\w+/", "/", line) for line in text.splitlines()
                                      if not re.search(r"duration|last_run|added_to_repo|_bytes|_size", line))
        assert without(ours) == without(theirs)
        names = lambda text: sorted(re.sub(r"\{.*|/as-\w+/", "", line) for line in text.splitlines())
        assert names(ours) == names(theirs)
    assert "restic_backup_files_new" in recorded[0][0] and "restic_check_rc" in recorded[0][0] and "restic_stats_total_file_count" in recorded[0][0]


def test_crestic(both, small_tree, tmp_path):
    """Presets from a file become flags, arguments and variables of one restic command."""
    answers = []
    for program in both:
        (program.where / "crestic.cfg").write_text(f"""
[global]
repo: {program.where}/repo
password-file: {program.password_file}
[global.backup]
exclude: *1
    *2
exclude-if-present: .nobackup
host: wrapped
[wrapped.backup]
tag: one
json
_arguments: small
[wrapped.snapshots]
json
compact
[wrapped.environ]
RESTIC_PROGRESS_FPS: 0.1
""")
        run = lambda *words, code=0: program.python("import sys, crestic; sys.exit(crestic.main(sys.argv[1:]))", *words, code=code, cwd=tmp_path,
                                                    env={"CRESTIC_CONFIG_FILE": program.where / "crestic.cfg", "CRESTIC_CONFIG_PATHS": program.where})
        run("wrapped", "snapshots", code=10)
        run("wrapped", "init")
        summary = [m for m in map(json.loads, run("wrapped", "backup").stdout.splitlines()) if m["message_type"] == "summary"]
        snapshots = json.loads(run("wrapped", "snapshots").stdout)
        text = run("snapshots", "--latest", "1").stdout
        code = run("wrapped", "backup", "missing", code=None).returncode
        answers.append([told(summary), told(snapshots), re.sub(r"\b[0-9a-f]{8}\b|\d\d:\d\d:\d\d", "*", text), code, run("wrapped", "ls", "latest").stdout.splitlines()[1:]])
    assert answers[0] == answers[1]
    assert answers[0][1][0]["tags"] == ["one"] and answers[0][1][0]["excludes"] == ["*1", "*2"]


RESTICPROFILE = """
version: "1"
global:
  restic-lock-retry-after: 1s
  restic-stale-lock-age: 2h
  initialize: {initialize}
default:
  repository: "local:{where}/repo"
  password-file: "{password}"
  status-file: "{where}/status.json"
  prometheus-save-to-file: "{where}/metrics"
  force-inactive-lock: true
  backup:
    extended-status: {extended}
    source: [ "{source}" ]
    host: wrapped
    tag: [ nightly, "two words" ]
    exclude: [ "f1" ]
    exclude-larger-than: 1G
    verbose: {verbose}
    check-after: true
    no-error-on-warning: true
  retention:
    after-backup: true
    keep-last: 2
    keep-within: 1d
    group-by: host
    prune: true
    host: wrapped
    tag: true
  forget:
    keep-last: 1
    host: wrapped
  check:
    read-data-subset: 100%
  copy:
    repository: "local:{where}/copy"
    password-file: "{password}"
    initialize: true
    initialize-copy-chunker-params: true
  diff:
    metadata: true
"""


@pytest.mark.parametrize("extended", [True, False], ids=["json", "text"])
def test_resticprofile(both, small_tree, tmp_path, extended):
    """Profiles become commands, and answers a status file and metrics; a lock that somebody left is seen and removed."""
    executable = os.environ.get("RESTICPROFILE") or next((pathlib.Path.home() / ".cache/recoup-test/bin").glob("resticprofile-*"), "resticprofile")
    recorded = []
    for program in both:
        config = program.where / "profiles.yaml"

        def configure(source, initialize=False):
            config.write_text(RESTICPROFILE.format(where=program.where, password=program.password_file, source=source, extended=str(extended).lower(),
                                                   verbose=str(not extended).lower(), initialize=str(initialize).lower()))

        def run(*words, code=0):
            done = program.start([executable, "--no-ansi", "-c", config, *words], code, tmp_path, {"LC_ALL": "C"})
            return re.sub(r"(?m)^\d{4}/\d\d/\d\d [\d:]+ ", "", done.stdout + done.stderr)

        def state():
            status = json.loads((program.where / "status.json").read_text())["profiles"]["default"]
            metrics = {line.split(" ")[0]: line.split(" ")[1] for line in (program.where / "metrics").read_text().splitlines() if not line.startswith("#")}
            # The directories above the source are in the snapshot, and whoever puts something there changes them.
            changing = re.compile("time|duration|bytes|added|dirs?_(changed|unmodified)")
            same = lambda table: {key: "*" if changing.search(key) else same(value) if isinstance(value, dict) else value for key, value in table.items()}
            return same(status), same(metrics)

        seen = []
        configure(small_tree, initialize=True)
        for content in (b"first", b"changed", b"again"):
            (small_tree / "d0/f0").write_bytes(content)
            run("backup")
            seen.append(state())
            configure(small_tree)
        snapshots = json.loads(program.start([executable, "--quiet", "--no-ansi", "-c", config, "snapshots", "--json"], 0, tmp_path, {}).stdout)
        run("forget")
        run("prune")
        run("check")
        run("copy")
        run("stats", "--mode", "raw-data")
        listed = [line for line in run("ls", "latest").splitlines() if line.startswith("/")]
        found = [line for line in run("find", "f0").splitlines() if line.startswith("/")]
        run("restore", "latest", "--target", program.where / "out")
        restored = sorted(str(path.relative_to(program.where / "out")) for path in (program.where / "out").rglob("*"))
        assert json.loads(program.run("-r", program.where / "copy", "-p", program.password_file, "snapshots", "--json").stdout)[0]["tags"] == ["nightly", "two words"]
        format.Repo(storage.place(program.where / "repo")).save_lock(os.getpid(), exclusive=True, age=3 * 3600, host="elsewhere")
        run("backup")  # it finds in the answer whose lock that is and how old, and unlocks
        seen.append(state())
        configure(small_tree / "missing")
        (program.where / "metrics").unlink()
        run("backup", code=1)
        seen.append(state())
        recorded.append((seen, told(snapshots), listed, found, restored))
    ours, theirs = recorded
    for our_state, their_state in zip(ours[0], theirs[0]):
        assert our_state == their_state
    assert ours[1:] == theirs[1:]
    assert len(theirs[3]) == 1 and len(theirs[1]) == 3 and theirs[0][0][0]["backup"]["success"] and not theirs[0][-1][0]["backup"]["success"]
    assert not extended or theirs[0][1][0]["backup"]["files_changed"] == 1


# ---- wrappers whose source says what they need ----------------------------------------------------------------------------

def test_the_version_is_found(both, recoup):
    """By resticprofile and backrest, also where they are given the program as recoup; by resticpy, of old and new restic."""
    for program in both:
        text = program.run("version").stdout
        assert len(text.splitlines()) == 1
        assert re.search(r"restic ([\d.]+)[ -].+", text).group(1) == "0.19.1"  # resticprofile restic/downloader.go
        assert re.search(r"restic\s+((\d+\.\d+\.\d+))", text).group(1) == "0.19.1"  # backrest internal/resticinstaller/version.go
        found = re.match(r"restic ([0-9\.]+) compiled with go([0-9\.]+) on ([a-zA-Z0-9]+)/([a-zA-Z0-9]+)", text)  # resticpy
        assert found.group(3) == "linux" and text.split()[1] == "0.19.1"
        assert re.fullmatch(r"restic \S+ compiled with go\S+ on \w+/\w+\n", text)
    own = recoup.run("version").text
    assert own.startswith("recoup ") and re.search(r"restic ([\d.]+)[ -].+", own).group(1) == "0.19.1"
    assert re.search(r"restic\s+((\d+\.\d+\.\d+))", own).group(1) == "0.19.1"
    assert "recoup " in both[0].run("version", "-v").stdout


@pytest.mark.parametrize("name, program", [("restic", "restic"), ("restic-0.19.1", "restic"), ("restic_0.19.1_linux_amd64", "restic"), ("restic.real", "restic"),
                                           ("recoup", "recoup"), ("resticprofile", "recoup"), ("my-restic", "recoup")])
def test_the_name_decides(recoup, tmp_path, name, program):
    """Help, usage and advice name the program as it was called; a link and a copy are the same."""
    (tmp_path / name).symlink_to(recoup.path)
    run = lambda *words: subprocess.run([tmp_path / name, *words], capture_output=True, text=True, env={"HOME": str(tmp_path)})
    assert run("version").stdout.startswith(f"{program} ")
    assert f"Usage:\n  {program} [command]" in run("--help").stdout and f'Use "{program} [command] --help"' in run().stdout
    assert f"Usage:\n  {program} key add [flags]" in run("key", "add", "--help").stdout
    assert run("nonsense").stderr.startswith(f'unknown command "nonsense" for "{program}"')
    assert f"`{program} help unlock`" in run("cache", "x").stderr.replace("help cache", "help unlock")
    assert run("generate", "--bash-completion", "-").stdout.endswith(f"complete -F _{program} {program}\n")


def test_velero(both, small_tree, tmp_path):
    """pkg/restic: the command lines of command_factory.go, and what exec_commands.go reads of the answers."""
    found = []
    for program in both:
        common = [f"--repo={program.where}/repo", f"--password-file={program.password_file}", f"--cache-dir={program.where}/scratch/.cache/restic"]
        restored = program.where / "restored"
        restored.mkdir()
        program.run("init", *common)
        tags = ["--tag=backup=nightly", "--tag=backup-uid=0-1-2", "--tag=ns=default", "--tag=pod=web-0", "--tag=volume=data"]
        backed_up = program.run("backup", *common, ".", *tags, "--host=velero", "--json", cwd=small_tree)
        (line,) = re.findall(r'^\{"message_type":"summary".*$', backed_up.stdout, re.M)
        filters = "--tag=backup=nightly,backup-uid=0-1-2,ns=default,pod=web-0,volume=data"
        snapshots = json.loads(program.run("snapshots", *common, "--json", "--latest=1", filters).stdout)
        assert len(snapshots) == 1
        name = snapshots[0]["short_id"]
        size = json.loads(program.run("stats", *common, name, "--json").stdout)["total_size"]
        program.run("restore", *common, name, "--target=.", cwd=restored)
        program.run("unlock", *common)
        program.run("snapshots", *common)
        assert json.loads(program.run("snapshots", *common, "--json", "--latest=1", "--tag=backup=nightly,ns=other").stdout) == []
        volume = sum(path.stat().st_size for path in restored.rglob("*") if path.is_file() and not path.is_symlink())
        found.append((json.loads(line)["total_bytes_processed"], size, volume, len(name), sorted(path.name for path in restored.rglob("*"))))
    assert found[0] == found[1]


def test_what_resticprofile_reads(both, small_tree, tmp_path):
    """shell/plain_summary.go, json_summary.go and analyser.go: what becomes its status file and its metrics."""
    found = []
    for program in both:
        common = ["-r", program.where / "repo", "-p", program.password_file]
        program.run("init", *common)
        text = program.run("backup", *common, "--verbose", "--host", HOST, "small", cwd=tmp_path).stdout
        counts = [re.search(rf"^{kind}: +(\d+) new, +(\d+) changed, +(\d+) unmodified", text, re.M).groups() for kind in ("Files", "Dirs")]
        assert re.search(r"^Added to the repository: ([\d.]+) (\w{1,3}) +\(([\d.]+) (\w{1,3}) +stored\)$", text, re.M)
        processed = re.search(r"^processed (\d+) files, ([\d.]+) (\w{1,3}) in (\S+)", text, re.M).groups()[:3]
        original = (small_tree / "d1/f1").read_bytes()
        (small_tree / "d1/f1").write_bytes(b"more")
        lines = program.run("backup", *common, "--json", "--host", HOST, "small", cwd=tmp_path).stdout.splitlines()
        assert all(line.startswith('{"message_type":"') and line.endswith("}") for line in lines)
        (summary,) = [json.loads(line) for line in lines if line.startswith('{"message_type":"summary",')]
        (small_tree / "d1/f1").write_bytes(original)
        format.Repo(storage.place(program.where / "repo")).save_lock(os.getpid(), exclusive=True, age=3723, host="elsewhere")
        locked = program.run("check", *common, code=11).stderr
        who = re.search(r"unable to create lock.+already locked.+?by (.+)$", locked, re.M).group(1)
        age = re.search(r"lock was created at.+\(([^()]+)\s+ago\)", locked).group(1)
        assert re.fullmatch(r"(\d+h)?(\d+m)?[\d.]+(m|µ|n)?s", age) and age.startswith("1h2m"), age  # what Go's time.ParseDuration takes
        assert re.search(r"the\W+unlock\W+command can be used to remove stale locks", locked)
        waiting = program.run("check", *common, "--retry-lock=1s", code=11)
        wait = re.search(r"repo already locked, waiting up to (\S+) for the lock", waiting.stdout + waiting.stderr).group(1)
        program.run("unlock", "--remove-all", *common)
        found.append((counts, processed, told(summary), re.sub(r"\d+", "<n>", who), wait))
    assert found[0] == found[1]


def test_backrest(both, small_tree, tmp_path):
    """pkg/restic: whether there is a repository is asked with `cat config`; progress of both outputs in one."""
    found = []
    for program in both:
        env = {"RESTIC_REPOSITORY": program.where / "repo", "RESTIC_PASSWORD": PASSWORD, "RESTIC_PROGRESS_FPS": "2"}
        run = lambda *words, code=0: program.run(*words, "-o", "local.connections=2", code=code, cwd=tmp_path, env=env)
        assert run("cat", "config", code=10)
        made = json.loads(run("init", "--json").stdout)
        config = json.loads(run("cat", "config").stdout)
        assert made["id"] == config["id"] and {"version", "id", "chunker_polynomial"} <= config.keys()
        again = run("init", "--json", code=1)
        assert "config file already exists" in again.stdout + again.stderr or "already initialized" in again.stdout + again.stderr
        events = []
        for words in ([small_tree, "--tag", "plan:nightly", "--tag", "created-by:host"], [small_tree, tmp_path / "missing"]):
            done = run("backup", "--json", *words, "--host", HOST, code=None)
            kinds = [json.loads(line)["message_type"] for line in (done.stdout + done.stderr).splitlines() if line.startswith("{")]
            events.append((done.returncode, [kind for kind in kinds if kind != "status"]))
            summary = json.loads([line for line in done.stdout.splitlines() if '"summary"' in line][0])
            assert len(summary["snapshot_id"]) == 64
        snapshots = json.loads(run("snapshots", "--json", "--tag", "plan:nightly").stdout)
        listing = run("ls", "--json", snapshots[0]["id"], str(tmp_path / "small")).stdout.splitlines()
        nodes = [json.loads(line) for line in listing]
        assert nodes[0]["id"] == snapshots[0]["id"] and all({"name", "type", "path", "mtime"} <= node.keys() for node in nodes[1:])
        stats = json.loads(run("stats", "--json", "--mode=raw-data").stdout)
        restored = run("restore", "--json", f"{snapshots[0]['id']}:{tmp_path}/small", "--target", program.where / "out").stdout.splitlines()
        archive = program.start(["sh", "-c", f"{program.path} dump {snapshots[0]['id']} {tmp_path}/small --archive tar | tar t"], 0, tmp_path, env).stdout
        found.append((events, told(snapshots), [(n["name"], n["type"], n["path"]) for n in nodes[1:]], list(stats), told(json.loads(restored[-1])), archive,
                      run("check").returncode, run("unlock").returncode, list(made)))
    assert found[0] == found[1]


def test_autorestic(both, small_tree, tmp_path):
    """internal/metadata: lines of a backup's text; internal/location.go: the second repository in variables that end in 2."""
    found = []
    for program in both:
        env = {"RESTIC_REPOSITORY": program.where / "repo", "RESTIC_PASSWORD": PASSWORD}
        second = {"RESTIC_REPOSITORY2": program.where / "second", "RESTIC_PASSWORD2": PASSWORD}
        assert program.run("check", env=env, code=None).returncode != 0
        program.run("init", env=env)
        program.run("init", env={"RESTIC_REPOSITORY": second["RESTIC_REPOSITORY2"], "RESTIC_PASSWORD": PASSWORD})
        texts = [program.run("backup", "--tag", "ar:location:here", "small", cwd=tmp_path, env=env).stdout for _ in range(2)]
        read = []
        for text in texts:
            (name,) = re.findall(r"(?i)^snapshot (\w+) saved", text, re.M)
            changes = [re.sub(r"[^\d,]", "", line.split(":")[1]) for line in text.splitlines() if re.match(r"(?i)^(Files|Dirs):", line)]
            (processed,) = [line for line in text.splitlines() if re.match(r"(?i)^processed \d* files", line)]
            (added,) = [line for line in text.splitlines() if re.match(r"(?i)^Added to the repo(sitory)?: ([\d\.]+ \w+)( \([\d\.]+[\w\s]+\))?", line)]
            read.append((len(name), changes, processed.split("in")[0], added.split()[:3], bool(re.search(r"(?i)^using parent snapshot", text, re.M))))
        program.run("copy", name, env=env | second)
        copied = json.loads(program.run("snapshots", "--json", env={"RESTIC_REPOSITORY": second["RESTIC_REPOSITORY2"], "RESTIC_PASSWORD": PASSWORD}).stdout)
        program.run("restore", "--target", program.where / "out", "--tag", "ar:location:here", "latest", env=env)
        code = program.run("self-update", code=None).returncode
        found.append((read, told(copied), code))
    assert found[0] == found[1]


# ---- features and options --------------------------------------------------------------------------------------------------

def test_features(recoup, restic):
    """The same flags of the same kinds with the same defaults."""
    rows = lambda program: [line.split()[:3] for line in program.run("features").text.splitlines()]
    assert rows(recoup)[1][:3] == ["Name", "Type", "Default"] and len(rows(recoup)) == len(rows(restic))
    assert [row for row in rows(recoup) if not row[0].startswith("-")] == [row for row in rows(restic) if not row[0].startswith("-")]


@pytest.mark.parametrize("value", ["", "device-id-for-hardlinks", "device-id-for-hardlinks=true,device-id-for-hardlinks=false", "deprecate-legacy-index=false", "nonsense", "nonsense=true",
                                   "s3-restore=perhaps", "s3-restore=F", "backend-error-redesign=1", ",", "=", "safe-forget-keep-tags,"])
def test_features_from_the_environment(recoup, restic, value):
    """An unknown one is an error of every command, a stable one a warning."""
    env = {"RESTIC_FEATURES": value}
    theirs = restic.run("version", env=env, code=None)
    ours = recoup.run("version", env=env, code=theirs.code)
    said = [program.errors.replace("Fatal: ", "").splitlines() for program in (ours, theirs)]
    if theirs.code:  # the error comes last; restic tells of the others in a random order, recoup looks at all first
        assert said[0][-1].startswith(said[1][-1].split(": strconv")[0])
    else:
        assert said[0] == said[1]


def test_device_numbers_of_hard_links_only(recoup, restic, new_repo, small_tree, tmp_path):
    """The feature changes what is stored, alike in both."""
    os.link(small_tree / "d0/f0", small_tree / "again")
    os.mkfifo(small_tree / "fifo")
    env = {"RESTIC_FEATURES": "device-id-for-hardlinks=true"}
    trees = [backup(program, new_repo(f"{program.name}-{bool(chosen)}"), "small", cwd=tmp_path, env=chosen).tree for chosen in (env, {}) for program in (recoup, restic)]
    assert trees[0] == trees[1] != trees[2] == trees[3]


def test_options(recoup, restic):
    """Each option of restic for the kinds of storage there are, under the same heading and in the same form."""
    listed = lambda program: {line.split()[0]: line for line in program.run("options").text.splitlines()[1:]}
    ours, theirs = listed(recoup), listed(restic)
    assert recoup.run("options").text.startswith("All Extended Options:\n  local.connections ")
    assert {name for name in theirs if name.startswith(("local.", "s3."))} <= ours.keys()
    assert list(ours) == sorted(ours)


def test_every_listed_option_is_taken(recoup, tmp_path):
    """And nothing is taken that is not listed: the S3 backend names what it knows when it is asked for what it does not."""
    names = [line.split()[0] for line in recoup.run("options").text.splitlines()[1:]]
    ask = lambda option: recoup.run("-r", "s3:http://127.0.0.1:1/bucket", "-o", option, "cat", "config", env={"RESTIC_PASSWORD": "x"}, code=None).errors
    known = set(re.findall(r"s3\.[a-z0-9-]+", ask("s3.nonsense=1").split("knows")[1]))
    assert known == {name for name in names if name.startswith("s3.")}


def test_self_update(recoup, tmp_path):
    """Nothing is loaded: it says how to get the next version, and fails."""
    done = recoup.run("self-update", "--output", tmp_path / "new", code=1)
    assert "does not update itself" in done.errors and not (tmp_path / "new").exists()


def test_manual_pages(both, tmp_path):
    """A page for every command under the name that it is called by, without a complaint of the renderer's."""
    program = both[0]
    program.run("generate", "--man", tmp_path / "man")
    pages = sorted(path.name for path in (tmp_path / "man").iterdir())
    (tmp_path / "theirs").mkdir()
    both[1].run("generate", "--man", tmp_path / "theirs")
    theirs = {path.name for path in (tmp_path / "theirs").iterdir()}
    missing = {page for page in theirs - set(pages)}
    assert {page.removesuffix(".1").split("-")[1] for page in missing} <= {"forget", "migrate", "mount", "prune", "recover", "repair", "rewrite", "tag"}
    for page in pages:
        done = subprocess.run(["groff", "-Kutf8", "-man", "-Tutf8", tmp_path / "man" / page], capture_output=True, text=True, env=os.environ | {"LANG": "C.UTF-8"})
        assert done.returncode == 0 and done.stderr == "", page
        text = re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)
        assert "NAME" in text and "SYNOPSIS" in text and "OPTIONS" in text, page
