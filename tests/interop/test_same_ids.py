"""Same files, same ids: recoup and restic 0.19.1 name every tree with the same hash, whatever the files and the arguments."""

import concurrent.futures
import os
import shutil
import subprocess

import pytest

from support import format, trees
from support.commands import backup, check_clean, explain
from support.programs import Repository
from support.trees import write

# Trees and bytes are the same wherever they lie.
pytestmark = pytest.mark.storage_blind

SEED = int(os.environ.get("RECOUP_SEED", "1"))

#: what both must count alike; the stored size depends on the compressor
COUNTS = ("files_new files_changed files_unmodified dirs_new dirs_changed dirs_unmodified data_blobs tree_blobs data_added "
          "total_files_processed total_bytes_processed").split()
SNAPSHOT_FIELDS = "tree paths hostname username uid gid excludes tags".split()


@pytest.fixture
def same(recoup, restic, new_repo, tmp_path):
    """same(arguments…): backs up with both programs, each into its own repository, and compares ids, counts and snapshots.

    Called again it continues in the same two repositories, so that the second backup has a parent. Where ids differ both are
    asked again, restic last: if it now gets another id itself, the files have changed meanwhile (the time of a parent
    directory, say).
    """
    repos: dict[int, tuple[Repository, Repository]] = {}

    def run(*args, version=2, **options):
        if version not in repos:
            repos[version] = (new_repo(f"of-restic-v{version}", version), new_repo(f"of-recoup-v{version}", version))
        of_restic, of_recoup = repos[version]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            waiting = pool.submit(backup, restic, of_restic, *args, **options)
            ours = backup(recoup, of_recoup, *args, **options)
            theirs = waiting.result()
        moved = False
        for _ in range(3):
            if theirs.tree == ours.tree:
                break
            before, moved = theirs.tree, True
            ours, theirs = backup(recoup, of_recoup, *args, **options), backup(restic, of_restic, *args, **options)
            if theirs.tree == before:
                break
        assert theirs.tree == ours.tree, explain(of_restic, theirs.tree, of_recoup, ours.tree)
        assert [theirs.snapshot.get(k) for k in SNAPSHOT_FIELDS] == [ours.snapshot.get(k) for k in SNAPSHOT_FIELDS]
        assert ("parent" in theirs.snapshot) == ("parent" in ours.snapshot)
        if not moved:
            assert [(k, theirs.summary[k]) for k in COUNTS] == [(k, ours.summary[k]) for k in COUNTS]
            assert [(k, theirs.snapshot["summary"][k]) for k in COUNTS] == [(k, ours.snapshot["summary"][k]) for k in COUNTS]
        ours.repo, theirs.repo = of_recoup, of_restic
        return ours, theirs

    return run


def entries(ours, kind=None):
    """Paths in the snapshot, without its leading directories' names being special."""
    return {e.path: e.node for e in format.Repo(ours.repo.path).walk(ours.tree) if kind in (None, e.node["type"])}


# ---- everything odd -----------------------------------------------------------------------------------------------------

def test_odd_tree(same, odd_tree, version, restic):
    ours, theirs = same(odd_tree.name, cwd=odd_tree.parent, version=version)
    if version == 1:  # nothing is compressed: the stored size is the same too, but for the frames (36 bytes) of full packs
        difference = abs(ours.summary["data_added_packed"] - theirs.summary["data_added_packed"])
        assert difference % 36 == 0 and difference <= 4 * 36
    found = entries(ours)
    assert {"file", "dir", "symlink", "fifo", "dev", "chardev"} == {n["type"] for n in found.values()}
    assert any(len(n["content"] or []) > 8 for n in found.values())
    ours, _ = same(odd_tree.name, cwd=odd_tree.parent, version=version)
    assert ours.summary["files_new"] == ours.summary["files_changed"] == ours.summary["data_blobs"] == 0
    assert ours.summary["tree_blobs"] == 0 and ours.summary["files_unmodified"] > 400
    check_clean(restic, ours.repo)


@pytest.mark.storage_blind
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Africa/Monrovia", "Pacific/Apia",
                                  "Europe/Amsterdam", "Etc/GMT+12", ":Europe/Berlin", "/usr/share/zoneinfo/Asia/Tehran",
                                  "", "CET-1CEST", "No/Such_Zone", "EST5EDT", None],
                         ids=lambda z: "unset" if z is None else z or "empty")
def test_zones(same, tmp_path, zone):
    """Times are stored in the zone valid at that instant; sub-minute offsets of 1901 are cut to minutes."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for number, when in enumerate(trees.ODD_TIMES + trees.LATE_TIMES + list(range(-2_100_000_000_000_000_000, 4_000_000_000_000_000_000,
                                                                                7_776_000_000_000_000))):
        write(os.fsencode(tree / f"t{number}"), when=when)
    same("tree", cwd=tmp_path, env={"TZ": zone})


def test_years_that_no_timestamp_holds(same, tmpfs):
    tree = tmpfs("times")
    for number, seconds in enumerate([-62_135_596_801, -62_167_219_200, -62_167_219_201, -99_999_999_999, 253_402_300_799,
                                      253_402_300_800, 999_999_999_999, 2**40, -2**40]):
        write(os.fsencode(tree / f"t{number}"))
        subprocess.run(["touch", "-h", "-m", "-d", f"@{seconds}.123456789", tree / f"t{number}"], check=True)
    os.utime(tree, ns=(0, 0))
    for zone in ("UTC", "Asia/Tokyo", "America/Los_Angeles"):
        same(".", "--force", cwd=tree, env={"TZ": zone})


@pytest.mark.parametrize("number", range(6))
def test_random_trees(same, tmp_path, number, restic):
    """Property: whatever tree, however it changed since the parent."""
    seed = (SEED, number)
    made = trees.RandomTree(tmp_path / "tree", seed).grow(90)
    version = 1 + number % 2
    zone = {"TZ": ["UTC", "Europe/Berlin", "America/St_Johns"][number % 3]}
    for _ in range(3):
        ours, _ = same("tree", cwd=tmp_path, version=version, env=zone)
        made.change()
    check_clean(restic, ours.repo, read_data=False)


def test_chunks_of_every_size(same, tmp_path, version):
    """Sizes around the smallest and the largest chunk, with contents that never or always offer a cut."""
    tree = tmp_path / "tree"
    tree.mkdir()
    kib = 1024
    for size in (512 * kib - 1, 512 * kib, 512 * kib + 1, 1024 * kib, 8192 * kib - 1, 8192 * kib, 8192 * kib + 1, 17_000_000):
        write(os.fsencode(tree / f"zeros-{size}"), bytes(size))
        write(os.fsencode(tree / f"noise-{size}"), trees.noise(size, size))
        write(os.fsencode(tree / f"period-{size}"), (trees.noise(63, size) * (size // 63 + 1))[:size])
    write(os.fsencode(tree / "text"), trees.text(6_000_000, SEED))
    ours, _ = same("tree", cwd=tmp_path, version=version)
    lengths = {n["name"]: len(n["content"]) for n in entries(ours, "file").values()}
    assert lengths["noise-17000000"] > 4 and lengths["noise-524287"] == 1 and lengths["zeros-8388609"] >= 2


# ---- targets ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def layout(stable):
    """a/same/…, b/same/…, c/deep/same, links to them; in a place whose parents stay as they are."""
    for folder in ("a/same", "b/same", "c/deep/same", "c/deep/other", "a-b", "a.b"):
        path = stable / folder
        path.mkdir(parents=True)
        write(os.fsencode(path / "file"), folder.encode())
    write(os.fsencode(stable / "single file"), b"single")
    write(os.fsencode(stable / "[glob]*"), b"glob")
    (stable / "to-a").symlink_to("a")
    (stable / "dangling").symlink_to("nowhere")
    os.mkfifo(stable / "pipe")
    for folder, _, _ in os.walk(stable, topdown=False):
        os.utime(folder, ns=(1, 1_500_000_000_000_000_000))
    return stable


@pytest.mark.storage_blind
@pytest.mark.parametrize("targets", [
    ["{}"], ["{}/"], ["{}/."], ["{}/a/../b"], ["{}//a///same"], ["{}/a", "{}/b"], ["{}/a/same", "{}/b/same"],
    ["{}/a", "{}/a/same"], ["{}/a/same", "{}/a"], ["{}/single file"], ["{}/a", "{}/a"], ["{}/c/deep/same", "{}/c"],
    ["{}/to-a"], ["{}/to-a/"], ["{}/to-a/same"], ["{}/dangling"], ["{}/pipe"], ["{}", "a"], ["a", "{}/b"],
    ["."], ["./"], ["a"], ["./a"], ["a/"], ["a/."], ["./a/./same/."], ["a/same", "b/same"], ["b/same", "a/same"],
    ["a/same", "b/same", "c/deep/same"], ["a", "b/same", "c/deep"], ["a", "a/same"], ["a/same", "a"], ["a", "a"], ["a", "./a", "a/"],
    [".", "a"], ["a", "."], ["single file"], ["single file", "a/same/file", "b/same/file"], ["[glob]*"], ["a/same/.", "b/same/."],
    ["c/../a"], ["to-a"], ["to-a/"], ["to-a/."], ["dangling", "pipe"], ["a-b", "a.b", "a"], ["c", "c/deep/same/file"],
    ["../{0}"], ["..//{0}/a"],
], ids=lambda t: " ".join(t).replace("/", "⁄"))
def test_targets(same, layout, targets):
    absolute = [t.format(layout if t.startswith("{") else layout.name) for t in targets]
    same(*absolute, cwd=layout)


def test_parent_of_the_working_directory(same, layout):
    same("..", cwd=layout / "a" / "same")
    same("../..", cwd=layout / "a" / "same")


def test_whole_machine_but_little(same, layout, tmp_path):
    """`/` as the target: its own entries are the root tree. Everything beside the way down to the layout is excluded."""
    way = [*reversed(layout.parents), layout]
    # By patterns, because others make files in these directories meanwhile.
    beside = [f"{folder / '*'}\n!{next_one}\n" for folder, next_one in zip(way, way[1:])]
    (tmp_path / "beside").write_text("".join(beside))
    ours, _ = same("/", f"--exclude-file={tmp_path / 'beside'}", "--one-file-system", code=(0, 3))
    assert os.fsencode(layout / "a/same/file") in entries(ours) and len(entries(ours)) < 100


@pytest.mark.parametrize("count", [2, 12])
def test_same_base_name_many_times(same, tmp_path, count):
    for number in range(count):
        folder = tmp_path / f"{number}" / "x"
        folder.mkdir(parents=True)
        write(os.fsencode(folder / "who"), b"%d" % number)
    (tmp_path / "x-1").mkdir()
    same(*[f"{n}/x" for n in range(count)], "x-1", cwd=tmp_path)


# ---- what is left out ---------------------------------------------------------------------------------------------------

@pytest.fixture
def filter_tree(stable):
    top = stable / "top"
    files = ("a.txt b.TXT c.log sub/a.txt sub/keep.log sub/deep/a.txt sub/deep/x/y/z.txt node_modules/m.js "
             "sub/node_modules/n.js foo/bar/baz foo/bar/qux/baz bar/foo/baz [x]/y *star/z sp ace/f "
             "Case/File.TXT case/file.txt cache/CACHEDIR.TAG cache/data/d cache2/CACHEDIR.TAG cache2/x .hidden/.h skip/.nobackup "
             "skip/inside/f skip2/.nobackup skip2/f big/k1 big/k2 big/m1 uni/é.txt uni/E\u0301.txt a/b/c/d/e/f/g !bang #hash $dollar "
             "back\\slash q?mark").split(" ")
    for name in files:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(os.fsencode(path), name.encode())
    write(os.fsencode(top / "bad\udcff/x\udcfe.txt".replace("/", "-")), b"invalid UTF-8")
    write(os.fsencode(top / "cache/CACHEDIR.TAG"), b"Signature: 8a477f597d28d172789f06886806bc55\nmore")
    write(os.fsencode(top / "cache2/CACHEDIR.TAG"), b"Signature: wrong")
    write(os.fsencode(top / "skip2/.nobackup"), b"# header of the tag\nx")
    write(os.fsencode(top / "big/k1"), bytes(1024))
    write(os.fsencode(top / "big/k2"), bytes(1025))
    write(os.fsencode(top / "big/m1"), bytes(1 << 20))
    (top / "link-to-skip").symlink_to("skip")
    for folder, _, _ in os.walk(stable, topdown=False):
        os.utime(folder, ns=(1, 1_500_000_000_000_000_000))
    return top


EXCLUDES = [
    ["*.txt"], ["*.TXT"], ["a.txt"], ["/a.txt"], ["{}/a.txt"], ["{}/*.txt"], ["{}/**/*.txt"], ["{}/sub/**/z.txt"], ["**"], ["*"],
    ["sub"], ["sub/"], ["sub/*"], ["sub/**"], ["sub/**/a.txt"], ["**/deep/**"], ["foo/bar"], ["foo/*/baz"], ["foo/**/baz"],
    ["**/foo/**/baz"], ["node_modules"], ["node_modules/*"], ["*/node_modules"], ["/**/node_modules"], [".*"], [".hidden"], ["?.txt"],
    ["[ab].*"], ["[^ab].*"], ["[a-c].???"], ["\\[x\\]"], ["\\*star"], ["[[]x]"], ["sp"], ["sub/*", "!sub/keep.log"],
    ["*.txt", "!a.txt"], ["!a.txt", "*.txt"], ["*", "!{}"], ["sub", "!sub/keep.log"], ["*.txt", "!sub/**", "{}/sub/deep"],
    ["\\!bang"], ["#hash"], ["$dollar"], ["é.txt"], ["*\u0301*"], ["a/b/c/d/e/f/g"], ["a/**/g"], ["b/c"], ["/b/c"], ["{}"],
    ["{}/*", "!{}/foo"], ["./sub"], ["../top"], ["top"], ["to*/su?"], ["{}/sub/../foo"], ["//a.txt"], ["back\\\\slash"], ["q\\?mark"],
    ["**/**/a.txt"], ["sub/**/**/a.txt"], ["{}/**"], ["*/*/*/*/*/*.txt"], ["a.txt", "c.log", "foo"], ["bad*"], ["f"], ["**/f/**"],
]


INSENSITIVE = [["*.TXT"], ["A.TXT"], ["CASE"], ["{}/SUB/**/Z.txt"], ["sub/*", "!SUB/KEEP.LOG"], ["É.txt"], ["[A-C].???"], ["FOO/**/baz"]]


@pytest.mark.storage_blind
@pytest.mark.parametrize("kind, group", [("--exclude", EXCLUDES[n:n + 4]) for n in range(0, len(EXCLUDES), 4)]
                         + [("--iexclude", INSENSITIVE[n:n + 4]) for n in range(0, len(INSENSITIVE), 4)],
                         ids=lambda v: v.strip("-") if isinstance(v, str) else " ".join(v[0]).replace("/", "⁄"))
def test_excludes(same, filter_tree, kind, group):
    for patterns in group:
        filled = [p.format(filter_tree) for p in patterns]
        try:
            same(filter_tree, "--force", *(f"{kind}={p}" for p in filled))
        except AssertionError as why:
            raise AssertionError(f"{kind} {patterns}: {why}") from why


@pytest.mark.parametrize("patterns", [["*.txt"], ["sub/*", "!sub/keep.log"], ["/top/sub"], ["{}/sub"]])
def test_excludes_with_a_relative_target(same, filter_tree, patterns):
    same("top", *(f"-e={p.format(filter_tree)}" for p in patterns), cwd=filter_tree.parent)
    same(".", "--force", *(f"-e={p.format(filter_tree)}" for p in patterns), cwd=filter_tree)


@pytest.mark.storage_blind
@pytest.mark.parametrize("content", [
    b"*.txt\n", b"  *.txt  \n\n# comment\n  # another\nsub/deep\n", b"\xef\xbb\xbf*.txt\nsub\n", b"*.txt\r\nsub\r\n", b"$WHERE/sub\n${WHERE}/foo\n",
    b"$$dollar\n$UNSET/a.txt\n", b"*.txt\n!a.txt\n", b"", b"#only\n", b"*.txt", "\ufeff*.log\n".encode("utf-16-le"),
    "\ufeff*.log\n".encode("utf-16-be"), b"\\#hash\n", b"a b\n\tsub\t\n"], ids=range(14))
@pytest.mark.parametrize("kind", ["--exclude-file", "--iexclude-file"])
def test_exclude_files(same, filter_tree, tmp_path, kind, content):
    file = tmp_path / "patterns"
    file.write_bytes(content)
    same(filter_tree, f"{kind}={file}", env={"WHERE": str(filter_tree)})


@pytest.mark.storage_blind
@pytest.mark.parametrize("args, content", [
    (["--exclude=[a"], b""), (["--iexclude=x", "--iexclude=a]b[", "--iexclude=[]"], b""), (["--exclude=\\"], b""),
    (["--exclude-file={}"], b"good\n[bad\n"), (["--iexclude-file={}"], b"[bad\n"), (["--exclude-file={}x"], b""),
    (["--exclude-larger-than=much"], b""), (["--exclude-larger-than=-5"], b""), (["--exclude-if-present="], b""),
    (["--exclude-if-present=:x"], b""), (["--exclude-if-present=.x:"], b""),
], ids=lambda v: None if isinstance(v, bytes) else " ".join(v))
def test_wrong_excludes_are_refused_alike(recoup, restic, repo, filter_tree, tmp_path, args, content):
    (tmp_path / "patterns").write_bytes(content)
    filled = [a.format(tmp_path / "patterns") for a in args]
    theirs = restic.run("backup", filter_tree, *filled, repo=repo, code=None)
    ours = recoup.run("backup", filter_tree, *filled, repo=repo, code=theirs.code)
    if theirs.code:
        assert ours.errors.strip() and len(format.Repo(repo.path).names("snapshots")) == 0


@pytest.mark.storage_blind
@pytest.mark.parametrize("args", [
    ["--exclude-caches"], ["--exclude-if-present=.nobackup"], ["--exclude-if-present=.nobackup:# header"],
    ["--exclude-if-present=.nobackup:wrong"], ["--exclude-if-present=.nobackup", "--exclude-if-present=k1"],
    ["--exclude-if-present=CACHEDIR.TAG"], ["--exclude-if-present=inside"], ["--exclude-larger-than=1k"], ["--exclude-larger-than=1024"],
    ["--exclude-larger-than=1M"], ["--exclude-larger-than=0"], ["--exclude-larger-than=1023"], ["--exclude-larger-than=1G"],
    ["--exclude-caches", "--exclude-larger-than=1K", "--iexclude=*.TXT", "--exclude=!x"]], ids=" ".join)
def test_excludes_by_content_and_size(same, filter_tree, args):
    same(filter_tree, *args)


def test_a_named_target_is_never_excluded(same, filter_tree):
    same(filter_tree / "sub", filter_tree / "a.txt", "--exclude=sub", "--exclude=*.txt", "--exclude-larger-than=1")
    same(filter_tree / "skip", "--exclude-if-present=.nobackup")
    same(filter_tree / "cache", "--exclude-caches")


@pytest.mark.parametrize("flag", ["-x", "--one-file-system"])
def test_one_file_system(same, stable, tmpfs, flag):
    top = trees.small_tree(stable / "top")
    inner = tmpfs("mounted", where=top)
    write(os.fsencode(inner / "inside"), b"in another file system")
    (top / "dir/below").mkdir(parents=True)
    second = tmpfs("below", where=top / "dir")
    (second / "further").mkdir()
    same(top, flag)
    same(top, "--force")
    same(top, inner, flag, "--force")
    same(inner, flag)
    same(top / "d0", second / "further", flag)
    same(".", flag, cwd=top)


# ---- metadata options and parents ---------------------------------------------------------------------------------------

def test_with_atime(same, tmpfs):
    tree = tmpfs("noatime", "size=64m,noatime")
    top = trees.small_tree(tree / "top")
    for number, path in enumerate(sorted(top.rglob("*"))):
        os.utime(path, ns=(trees.ODD_TIMES[number % len(trees.ODD_TIMES)], 1_600_000_000_000_000_000), follow_symlinks=False)
    with_it, _ = same("top", "--with-atime", cwd=tree)
    without, _ = same("top", cwd=tree)
    assert with_it.tree != without.tree
    again, _ = same("top", "--with-atime", cwd=tree)
    assert again.tree == with_it.tree


def test_changes_since_the_parent(same, tmp_path):
    """Each kind of change that the parent comparison must notice, and those that it must not."""
    tree = trees.small_tree(tmp_path / "tree", files=40)
    same("tree", cwd=tmp_path)
    one, two, three, four, five, six = (tree / f"d{n % 4}/f{n}" for n in range(6))
    before = one.stat()
    one.write_bytes(trees.noise(before.st_size, "same size and mtime"))  # only ctime tells
    os.utime(one, ns=(before.st_atime_ns, before.st_mtime_ns))
    two.chmod(0o600)                                                     # metadata only
    three.write_bytes(b"other size")
    shutil.copy2(four, tmp_path / "copy")
    os.replace(tmp_path / "copy", four)                                  # same content, other inode
    five.unlink()
    five.mkdir()                                                         # other type
    six.unlink()
    os.utime(tree / "d3", ns=(5, 5))
    ours, _ = same("tree", cwd=tmp_path)
    assert ours.summary["files_changed"] >= 4 and ours.summary["dirs_changed"] >= 4
    ours, _ = same("tree", cwd=tmp_path)
    assert ours.summary["files_changed"] == 0


@pytest.mark.parametrize("flag", ["--ignore-ctime", "--ignore-inode"])
def test_ignored_changes(same, tmp_path, flag):
    tree = trees.small_tree(tmp_path / "tree")
    same("tree", cwd=tmp_path)
    victim = tree / "d0/f0"
    before = victim.stat()
    if flag == "--ignore-inode":
        shutil.copy2(victim, tmp_path / "copy")
        os.replace(tmp_path / "copy", victim)
    victim.write_bytes(trees.noise(before.st_size, "changed unseen"))
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    ours, _ = same("tree", flag, cwd=tmp_path)
    assert ours.summary["files_changed"] == 0  # the option's price: the change is not seen
    ours, _ = same("tree", cwd=tmp_path, env={flag[2:].upper().replace("IGNORE-", "RESTIC_IGNORE_"): "true"})
    assert ours.summary["files_changed"] == 0
    ours, _ = same("tree", "--force", cwd=tmp_path)
    assert ours.summary["files_new"] == 20


def test_parent_of_other_paths_hosts_and_groups(same, tmp_path):
    trees.small_tree(tmp_path / "tree")
    first, theirs = same("tree", cwd=tmp_path)
    moved, _ = same("tree/d0", "tree/d1", cwd=tmp_path)
    assert "parent" not in moved.snapshot
    same("tree", "--group-by=host", cwd=tmp_path)
    ours, _ = same("tree", "--host=elsewhere", cwd=tmp_path, host=None)
    assert "parent" not in ours.snapshot
    ours, _ = same("tree", "--host=elsewhere", "--group-by=paths", cwd=tmp_path, host=None)
    assert "parent" in ours.snapshot
    ours, _ = same("tree", "--group-by=", "--tag=a,b", "--tag=c", cwd=tmp_path)
    assert ours.snapshot["tags"] == ["a", "b", "c"]
    ours, _ = same("tree", "--group-by=tags", "--tag=a", cwd=tmp_path)
    assert "parent" in ours.snapshot
    ours, _ = same("tree", "--group-by=tags", "--tag=z", cwd=tmp_path)
    assert "parent" not in ours.snapshot
    ours, _ = same("tree", "--time=2001-02-03 04:05:06", cwd=tmp_path)
    assert "parent" not in ours.snapshot and ours.snapshot["time"] == "2001-02-03T04:05:06Z"


def test_environment_chooses_the_host(same, tmp_path, small_tree):
    ours, _ = same("small", cwd=tmp_path, host=None, env={"RESTIC_HOST": "from-environment"})
    assert ours.snapshot["hostname"] == "from-environment"
    ours, _ = same("small", cwd=tmp_path, host=None)
    assert ours.snapshot["hostname"] == os.uname().nodename


# ---- standard input -----------------------------------------------------------------------------------------------------

WHEN = "--time=2024-05-06 07:08:09"


@pytest.mark.parametrize("content", [b"x", trees.noise(3_000_000, "stdin")], ids=["one", "chunks"])
@pytest.mark.parametrize("name", [None, "x.sql", "/dump/db.sql", "a/b/c", "dir with space/ü"])
def test_stdin(same, content, name):
    named = [f"--stdin-filename={name}"] if name else []
    ours, _ = same("--stdin", WHEN, *named, stdin=content, env={"TZ": "Europe/Berlin"})
    assert ours.snapshot["paths"] == ["/" + (name or "stdin").lstrip("/")]


def test_empty_stdin_is_taken_for_a_failure(same):
    """No data at all: more likely a broken pipe than an empty dump. The snapshot is made, without the file."""
    ours, _ = same("--stdin", WHEN, "--stdin-filename=a/b/c", stdin=b"", code=3)
    assert list(entries(ours)) == [b"/a", b"/a/b"]


def test_stdin_from_command(same):
    same("--stdin-from-command", WHEN, "--", "printf", "%s\\n", "from a command", "-x")
    same("--stdin-from-command", WHEN, "--stdin-filename=out/put", "--", "sh", "-c", "cat; echo $0", "arg", stdin=b"in")


# ---- lists of files -----------------------------------------------------------------------------------------------------

@pytest.mark.storage_blind
@pytest.mark.parametrize("kind, content", [
    ("--files-from", b"a\nb\n"), ("--files-from", b"# comment\n\n  a  \n*/same\n"), ("--files-from", b"c/*/*\n"),
    ("--files-from", b"c/deep/[so]*\n"), ("--files-from", b"single file\n\\[glob]\\*\n"),
    ("--files-from-verbatim", b"a\n[glob]*\n"), ("--files-from-verbatim", b"single file\nb\n\n"),
    ("--files-from-raw", b"a\0[glob]*\0"), ("--files-from-raw", b"single file\0"),
], ids=range(9))
def test_lists_of_files(same, layout, tmp_path, kind, content):
    (tmp_path / "list").write_bytes(content)
    same(f"{kind}={tmp_path / 'list'}", cwd=layout)
    same(f"{kind}={tmp_path / 'list'}", "a-b", cwd=layout)
    same(f"{kind}=-", cwd=layout, stdin=content)


@pytest.mark.storage_blind
@pytest.mark.parametrize("kind", ["--files-from", "--files-from-verbatim"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_of_files_with_a_byte_order_mark(same, layout, tmp_path, kind, encoding):
    (tmp_path / "list").write_bytes("a\nsingle file\n".encode(encoding))
    same(f"{kind}={tmp_path / 'list'}", cwd=layout)


@pytest.mark.storage_blind
@pytest.mark.parametrize("kind, content", [
    ("--files-from", b"no*thing\n"), ("--files-from", b"\n#\n"), ("--files-from", b"[bad\n"), ("--files-from-verbatim", b""),
    ("--files-from-raw", b"a"), ("--files-from-raw", b"a\0\0b\0"), ("--files-from-raw", b""), ("--files-from-verbatim", b"missing\n"),
    ("--files-from-raw", b"missing\0a\0"), ("--files-from", b"a\nno*thing\n"), ("--files-from-verbatim", b"a\nmissing\n")])
def test_wrong_lists_of_files_end_alike(recoup, restic, repo, layout, tmp_path, kind, content):
    (tmp_path / "list").write_bytes(content)
    theirs = restic.run("backup", f"{kind}={tmp_path / 'list'}", repo=repo, cwd=layout, code=None)
    ours = recoup.run("backup", f"{kind}={tmp_path / 'list'}", repo=repo, cwd=layout, code=theirs.code)
    assert theirs.code == 0 or ours.errors.strip()
