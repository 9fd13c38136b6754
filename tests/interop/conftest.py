"""Fixtures for the tests against real restic. See README.md in this folder."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
import uuid

import pytest

from support import format, programs, s3, storage, trees
from support.commands import backup
from support.programs import PASSWORD, Program, Repository
from support.storage import place
from support.trees import write

STAND_IN = programs.stand_in()


def pytest_addoption(parser):
    parser.addoption("--storage", choices=["local", "minio", "versitygw"], default=os.environ.get("RECOUP_STORAGE") or "local",
                     help="where the repositories lie: in directories, or in a bucket of a server that the session starts")


def pytest_report_header(config):
    lines = [f"repositories: {config.getoption('storage')}"]
    for program in (programs.recoup(), programs.restic(), programs.restic_old()):
        try:
            said = subprocess.run([program.path, "version"], capture_output=True, text=True).stdout.strip()
        except OSError as why:
            said = f"cannot run: {why.strerror}"
        lines.append(f"{program.name}: {program.path}: {said}")
    if STAND_IN:
        lines.append("restic stands in for recoup: cases that only recoup can do are left out")
    return lines


def pytest_collection_modifyitems(config, items):
    unwanted = ["recoup_only"] if STAND_IN else []
    if config.getoption("storage") != "local":
        unwanted += ["local_only", "storage_blind"]
    left_out = [item for item in items if any(item.get_closest_marker(marker) for marker in unwanted)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        chosen = set(map(id, left_out))
        items[:] = [item for item in items if id(item) not in chosen]


def pytest_sessionstart(session):
    """A missing program, or no root, is an error here and not a skip: these tests must not be passed by not running."""
    missing = [f"{p.name} ({p.path})" for p in (programs.recoup(), programs.restic(), programs.restic_old())
               if not os.access(p.path, os.X_OK)]
    if session.config.getoption("storage") != "local":
        missing += [f"{name} ({s3.program(variable, name)}): tools/s3-servers.sh builds it" for variable, name in
                    (("MINIO", "minio"), ("MC", "mc"), ("VERSITYGW", "versitygw")) if not os.access(s3.program(variable, name), os.X_OK)]
    missing += [tool for tool in ("rsync", "setpriv", "unshare", "mount", "umount") if shutil.which(tool) is None]
    if missing:
        pytest.exit("needed and not found: " + ", ".join(missing), returncode=4)
    if os.geteuid() != 0:
        pytest.exit("these tests make device nodes, foreign owners and mounts: run them as root", returncode=4)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Names that are no UTF-8 stand in messages as escapes: pytest-xdist cannot send them otherwise."""
    report = (yield).get_result()
    if report.failed:
        text = str(report.longrepr)
        safe = text.encode("utf-8", "backslashreplace").decode()
        if safe != text:
            report.longrepr = safe


@pytest.fixture(scope="session")
def minio(tmp_path_factory):
    """The session's MinIO: one for each process that runs tests. Who kills it, fills it or changes its users starts one of his own."""
    with s3.Minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def second_server(tmp_path_factory):
    """The session's other S3 server, Versity's gateway."""
    with s3.Versity(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def _storage(request):
    """Where `place` puts repositories."""
    chosen = {"minio": "minio", "versitygw": "second_server"}.get(request.config.getoption("storage"))
    storage.use(request.getfixturevalue(chosen) if chosen else None)
    yield
    storage.use(None)


@pytest.fixture(autouse=True)
def _nothing_left_in_the_bucket(request):
    """What pytest does with tmp_path: a test that succeeded leaves nothing."""
    yield
    where = request.node.funcargs.get("tmp_path")
    if storage.is_bucket() and where is not None:
        storage.remove_tree(place(where))


@pytest.fixture(scope="session")
def stable_root():
    """A directory in /var/tmp for trees that are backed up by absolute path: the time of each parent is part of what is stored,
    and /tmp's own changes all the time."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="recoup-interop-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stable(stable_root):
    folder = stable_root / uuid.uuid4().hex[:8]
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def recoup(tmp_path) -> Program:
    return programs.recoup().at(tmp_path)


@pytest.fixture
def restic(tmp_path) -> Program:
    return programs.restic().at(tmp_path)


@pytest.fixture
def restic_old(tmp_path) -> Program:
    return programs.restic_old().at(tmp_path)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Empty repositories that restic itself made, v1 and v2, with one cheap key each instead of restic's half a second."""
    home = tmp_path_factory.mktemp("templates")
    made = {}
    for version in (1, 2):
        repo = Repository(home / f"v{version}", version)
        programs.restic().at(home).run("init", "--repository-version", version, repo=repo)
        format.Repo(repo.path, PASSWORD).replace_keys(PASSWORD)
        for folder in (repo.path / "data").iterdir():  # made again when needed; 256 fewer to copy for each test
            folder.rmdir()
        made[version] = repo
    return made


@pytest.fixture
def new_repo(template, tmp_path):
    """new_repo("name", version=2): a copy of the template. All copies of one version have the same chunker polynomial."""
    def make(name: str = "repo", version: int = 2, where: pathlib.Path | None = None) -> Repository:
        path = place((where or tmp_path) / name)
        storage.copy_tree(template[version].path, path)
        return Repository(path, version)
    return make


@pytest.fixture
def repo(new_repo) -> Repository:
    return new_repo()


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def version(request) -> int:
    return request.param


@pytest.fixture(scope="session")
def odd_tree(stable_root):
    """The odd tree, made once; nobody may change it."""
    return trees.odd_tree(stable_root / "odd")


@pytest.fixture(scope="session")
def restorable_tree(stable_root):
    """The odd tree without what restic stores but doesn't bring back the same."""
    return trees.odd_tree(stable_root / "restorable", hard_linked_specials=False, sockets=False)


@pytest.fixture
def small_tree(tmp_path):
    return trees.small_tree(tmp_path / "small")


@pytest.fixture
def tmpfs(tmp_path):
    """tmpfs("name", "size=8m"): mounts a memory file system; all are unmounted at the end."""
    mounted = []

    def mount(name: str, options: str = "size=64m", where: pathlib.Path | None = None) -> pathlib.Path:
        path = (where or tmp_path) / name
        path.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
        mounted.append(path)
        return path

    yield mount
    for path in reversed(mounted):
        subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture(scope="session")
def history(template, tmp_path_factory):
    """A repository with six snapshots of several trees, hosts and tags. Nobody changes it."""
    home = tmp_path_factory.mktemp("history")
    repo = Repository(place(home / "repo"))
    storage.copy_tree(template[2].path, repo.path)
    restic = programs.restic().at(home)
    tree = trees.odd_tree(home / "tree", large=2_000_000)
    save = lambda *args, **kw: backup(restic, repo, *args, cwd=home, **kw).id
    ids = [save("tree", "--tag=first,daily", "--time=2024-01-01 10:00:00")]
    write(os.fsencode(tree / "structure/added.TXT"), b"added")
    (tree / "structure/wide/f1").unlink()
    write(os.fsencode(tree / "contents/text"), b"changed")
    (tree / "modes/file-0644").chmod(0o600)
    os.utime(tree / "structure/wide/f2", ns=(0, 0))
    (tree / "structure/wide/f3").unlink()
    (tree / "structure/wide/f3").mkdir()
    (tree / "structure/wide/f4").unlink()
    (tree / "structure/wide/f4").symlink_to("f5")
    (tree / "links/dangling").unlink()
    (tree / "links/dangling").symlink_to("elsewhere")
    os.setxattr(tree / "attributes/file", "user.one", b"2")
    os.chown(tree / "structure/wide/f6", 5, 5)
    (tree / "structure/fresh/deep").mkdir(parents=True)
    ids.append(save("tree", "--tag=daily", "--time=2024-01-02 10:00:00"))
    trees.small_tree(home / "small")
    ids.append(save("small", "--time=2024-01-03 10:00:00"))
    ids.append(save("small", "small/d0", "--host=second", "--time=2024-01-04 11:12:13", host=None))
    ids.append(save("small", "--host=second", "--tag=daily", "--time=2023-06-01 00:00:00", host=None))
    ids.append(save("--stdin", "--stdin-filename=dump.sql", "--tag=dump", "--time=2024-02-01 00:00:00", stdin=b"select 1;\n" * 1000))
    return repo, ids, home


@pytest.fixture
def sound(tmp_path):
    """sound(version=2): a small repository written by our own writer, with one snapshot of three files."""
    def make(version=2):
        made = format.Repo.create(place(tmp_path / "sound"), version)
        writer = made.writer()
        tree = writer.tree([writer.file(b"a", b"aaaa" * 100), writer.folder(b"d", [writer.file(b"b", b"bb")]), writer.file(b"z", b"zzz" * 50)])
        writer.finish()
        made.save_snapshot(tree)
        return made, Repository(made.path, version), tree
    return make
