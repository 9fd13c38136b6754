"""Passwords, repositories and filters from flags and the environment; `init`, `key`, `version`, `cache`, completions."""

import json
import os
import re
import shutil
import subprocess

import pytest

from support import format, storage
from support.commands import backup, restore
from support.compare import assert_same
from support.programs import HOST, PASSWORD, Repository, wait_until
from support.same import same_json, same_text
from support.storage import place

# ---- settings from the environment -----------------------------------------------------------------------------------

PASSWORDS = [
    ([], {"RESTIC_PASSWORD": PASSWORD}), (["--password-file", "{d}/pw"], {}), (["-p", "{d}/pw"], {}), ([], {"RESTIC_PASSWORD_FILE": "{d}/pw"}),
    (["--password-file", "{d}/pw-crlf"], {}), (["--password-file", "{d}/pw-spaces"], {}), (["--password-file", "{d}/pw-bom"], {}), (["--password-file", "{d}/pw-utf16"], {}),
    (["--password-command", "echo geheim"], {}), ([], {"RESTIC_PASSWORD_COMMAND": "printf geheim"}), (["--password-command", "sh -c 'echo \"ge\"heim'"], {}),
    (["--password-command", "cat {d}/pw"], {}), (["--password-file", "{d}/pw"], {"RESTIC_PASSWORD": "wrong"}), (["--password-command", "echo geheim"], {"RESTIC_PASSWORD": "wrong"}),
    (["--password-file", "{d}/pw"], {"RESTIC_PASSWORD_FILE": "{d}/missing"}), (["--password-file", "{d}/wrong"], {"RESTIC_PASSWORD": PASSWORD}),
    ([], {"RESTIC_PASSWORD": "wrong", "RESTIC_PASSWORD_FILE": "{d}/pw"}), ([], {"RESTIC_PASSWORD": PASSWORD, "RESTIC_PASSWORD_COMMAND": "echo wrong"}),
    ([], {"RESTIC_PASSWORD_FILE": "{d}/pw", "RESTIC_PASSWORD_COMMAND": "echo wrong"}), ([], {"RESTIC_PASSWORD": " geheim "}), ([], {"RESTIC_PASSWORD": "geheim\n"}),
]


@pytest.mark.parametrize("args, env", PASSWORDS, ids=range(len(PASSWORDS)))
def test_password_sources(recoup, restic, repo, tmp_path, args, env):
    for name, content in (("pw", b"geheim\n"), ("pw-crlf", b"geheim\r\n"), ("pw-spaces", b"  geheim \t\n\n"), ("pw-bom", b"\xef\xbb\xbfgeheim\n"),
                          ("pw-utf16", "geheim\n".encode("utf-16")), ("wrong", b"falsch\n")):
        (tmp_path / name).write_bytes(content)
    args = [a.format(d=tmp_path) for a in args]
    env = {"RESTIC_PASSWORD": None} | {k: v.format(d=tmp_path) for k, v in env.items()}
    theirs = restic.run("cat", "config", *args, repo=repo, env=env, code=None)
    recoup.run("cat", "config", *args, repo=repo, env=env, code=theirs.code)


def test_password_from_standard_input(recoup, repo):
    """No terminal: the first line is the password."""
    for text, code in ((b"geheim\n", 0), (b"geheim", 0), (b"geheim\r\n", 0), (b"falsch\n", 12)):
        recoup.run("cat", "config", repo=repo, env={"RESTIC_PASSWORD": None}, stdin=text, code=code)


def test_password_is_nowhere_to_be_seen(recoup, repo, tmp_path):
    (tmp_path / "f").write_text("x")
    with recoup.start("backup", "--stdin", repo=repo, stdin=subprocess.PIPE) as running:
        wait_until(lambda: repo.ids("locks"), what="the backup works")
        assert PASSWORD.encode() not in open(f"/proc/{running.pid}/cmdline", "rb").read()
        running.process.stdin.write(b"x")
        result = running.finish(0)
    assert PASSWORD not in result.everything
    for args in (["snapshots", "-vv"], ["backup", "f", "-vv", "--json"], ["key", "list", "--json"], ["check", "-vv"]):
        assert PASSWORD not in recoup.run(*args, repo=repo, cwd=tmp_path).everything


def test_repository_sources(recoup, restic, repo, tmp_path):
    env = {"RESTIC_REPOSITORY": None}
    (tmp_path / "where").write_text(f"{repo.path}\n")
    (tmp_path / "nowhere").write_text("/nonexistent\n")
    for args, more in ((["-r", repo.path], {}), (["--repo", repo.path], {}), ([f"--repo={repo.path}"], {}), (["-r", f"local:{repo.path}"], {}), (["--repository-file", tmp_path / "where"], {}),
                       ([], {"RESTIC_REPOSITORY": str(repo.path)}), ([], {"RESTIC_REPOSITORY_FILE": str(tmp_path / "where")}), (["-r", repo.path], {"RESTIC_REPOSITORY": "/nonexistent"}),
                       (["--repository-file", tmp_path / "where"], {"RESTIC_REPOSITORY_FILE": str(tmp_path / "nowhere")}), (["-r", repo.path, "--repository-file", tmp_path / "where"], {}),
                       (["-r", repo.path], {"RESTIC_REPOSITORY_FILE": str(tmp_path / "nowhere")}), ([], {"RESTIC_REPOSITORY": str(repo.path), "RESTIC_REPOSITORY_FILE": str(tmp_path / "where")}),
                       (["--repository-file", tmp_path / "missing"], {})):
        theirs = restic.run("cat", "config", *args, repo=repo, env=env | more, code=None)
        recoup.run("cat", "config", *args, repo=repo, env=env | more, code=theirs.code)
    if not storage.is_bucket():
        recoup.run("cat", "config", "-r", os.path.relpath(repo.path, tmp_path), repo=repo, cwd=tmp_path, env=env)
    recoup.run("-r", repo.path, "cat", "config", repo=repo, env=env)
    recoup.run("cat", "-r", repo.path, "config", repo=repo, env=env)


@pytest.mark.local_only
def test_settings_that_a_local_repository_does_not_need(recoup, repo, small_tree, tmp_path):
    """Scripts and unit files carry them: they must be taken."""
    flags = ["-o", "s3.connections=8", "-o", "local.connections=4", "--limit-upload=100000", "--limit-download=100000", "--no-extra-verify", "--pack-size=8",
             "--insecure-tls", "--http-user-agent=x", "--stuck-request-timeout=1m", "--key-hint=00000000", "--no-cache", "--cleanup-cache", "--compression=auto"]
    env = {"RESTIC_FEATURES": "", "RESTIC_CACERT": "", "RESTIC_TLS_CLIENT_CERT": "", "RESTIC_KEY_HINT": "abcd", "RESTIC_HTTP_USER_AGENT": "x", "AWS_ACCESS_KEY_ID": "a",
           "AWS_SECRET_ACCESS_KEY": "b", "RESTIC_READ_CONCURRENCY": "4", "GOMAXPROCS": "1", "RESTIC_PROGRESS_FPS": "0.016"}
    recoup.run("backup", "small", "--read-concurrency=3", "--no-scan", *flags, repo=repo, cwd=tmp_path, env=env)
    restore(recoup, repo, "latest", tmp_path / "out", *flags, env=env)
    assert_same(small_tree, tmp_path / "out/small")


def test_short_and_joined_flags(recoup, repo, small_tree, tmp_path):
    """As pflag takes them."""
    recoup.run("backup", "-vHanother", "-eexcluded", "--tag", "a", "-n", "small", repo=repo, cwd=tmp_path)
    recoup.run("backup", "small", "-fxq", "-H=equals", "--", repo=repo, cwd=tmp_path)
    recoup.run("backup", "--verbose=2", "--no-scan=true", "--json=false", "--", "small", repo=repo, cwd=tmp_path)
    recoup.run("backup", "-v", "-v", "--quiet=false", "small", "--host", HOST, repo=repo, cwd=tmp_path)
    hosts = {s["hostname"] for s in recoup.run("snapshots", "--json", repo=repo).json()}
    assert hosts == {"equals", os.uname().nodename, HOST}
    assert len(recoup.run("snapshots", "-cHequals", "--json", repo=repo).json()) == 1


def test_filters_from_the_environment(recoup, restic, history):
    repo, ids, _ = history
    for env in ({"RESTIC_HOST": "second"}, {"RESTIC_HOST": "nobody"}, {}):
        same_json(recoup, restic, repo, "snapshots", env=env)
        same_json(recoup, restic, repo, "ls", "latest", env=env)
        same_json(recoup, restic, repo, "snapshots", "--host=", env=env)
        same_json(recoup, restic, repo, "snapshots", f"--host={HOST}", env=env)


# ---- init, keys, version, cache --------------------------------------------------------------------------------------

def test_init(recoup, restic, tmp_path):
    for args, version in (([], 2), (["--repository-version=1"], 1)):
        said = {}
        for program in (restic, recoup):
            repo = Repository(place(tmp_path / f"{program.name}{version}{len(args)}{args and args[0][-1]}"))
            said[program.name] = result = program.run("init", "--json", *args, repo=repo)
            made = format.Repo(repo.path)
            assert result.json()["id"] == made.config["id"] and made.config["version"] == version
            assert list(made.config) == ["version", "id", "chunker_polynomial"]
            (name,) = made.names("keys")
            key = json.loads((repo.path / "keys" / name).read_bytes())
            assert list(key) == ["created", "username", "hostname", "kdf", "N", "r", "p", "salt", "data"]
            assert key["N"] >= 4096 and key["hostname"] == os.uname().nodename and key["username"] == "root"
        assert said["recoup"].json().keys() == said["restic"].json().keys()
        assert said["recoup"].json()["message_type"] == "initialized"
    text = recoup.run("init", "--repository-version=latest", repo=Repository(place(tmp_path / "text"))).text
    assert str(place(tmp_path / "text")) in text and "password" in text


def test_init_with_the_chunker_of_another_repository(recoup, repo, tmp_path):
    other = Repository(place(tmp_path / "other"), password="another")
    recoup.run("init", "--copy-chunker-params", "--from-repo", repo.path, repo=other, env={"RESTIC_FROM_PASSWORD": PASSWORD})
    assert format.Repo(other.path, "another").config["chunker_polynomial"] == format.Repo(repo.path).config["chunker_polynomial"]
    (tmp_path / "pw").write_text(PASSWORD + "\n")
    third = Repository(place(tmp_path / "third"))
    recoup.run("init", "--copy-chunker-params", "--from-repo", repo.path, "--from-password-file", tmp_path / "pw", repo=third)
    assert format.Repo(third.path).config["chunker_polynomial"] == format.Repo(repo.path).config["chunker_polynomial"]


def test_keys(recoup, restic, repo, tmp_path):
    """Each program adds, lists, changes and removes what the other made."""
    (tmp_path / "second").write_text("zweites\n")
    (tmp_path / "third").write_text("drittes\n")
    first = format.Repo(repo.path).key_id
    for program, other, file, password in ((recoup, restic, "second", "zweites"), (restic, recoup, "third", "drittes")):
        said = program.run("key", "add", "--new-password-file", tmp_path / file, "--user", "ursula", "--host", "somewhere", repo=repo)
        (name,) = re.findall(r"saved new key with ID ([0-9a-f]{64})", said.text)
        made = Repository(repo.path, password=password)
        other.run("snapshots", repo=made)
        listed = other.run("key", "list", "--json", repo=made).json()
        (entry,) = [k for k in listed if k["id"] == name]
        assert entry["current"] is True and (entry["userName"], entry["hostName"]) == ("ursula", "somewhere")
        same_json(recoup, restic, made, "key", "list", sort=lambda key: key["id"])
        refused = other.run("key", "remove", name, repo=made, code=1)  # the one in use
        assert "current" in refused.errors or "in use" in refused.errors
    assert len(repo.ids("keys")) == 3
    second = Repository(repo.path, password="zweites")
    (tmp_path / "fourth").write_text("viertes")
    recoup.run("key", "passwd", "--new-password-file", tmp_path / "fourth", repo=second)
    assert len(repo.ids("keys")) == 3
    recoup.run("snapshots", repo=second, code=12)
    fourth = Repository(repo.path, password="viertes")
    restic.run("snapshots", repo=fourth)
    recoup.run("key", "remove", first[:8], repo=fourth)
    assert first not in repo.ids("keys")
    restic.run("snapshots", repo=repo, code=12)
    made = format.Repo(repo.path, "viertes")
    made.replace_keys("viertes")
    for args in (["key", "remove", "00000000"], ["key", "remove"], ["key", "add", "--new-password-file", tmp_path / "missing"], ["key", "add", "--new-password-file", "/dev/null"]):
        theirs = restic.run(*args, repo=fourth, code=None)
        recoup.run(*args, repo=fourth, code=theirs.code)
    recoup.run("key", "add", "--new-insecure-no-password", repo=fourth)
    restic.run("snapshots", "--insecure-no-password", repo=repo, env={"RESTIC_PASSWORD": None})
    recoup.run("snapshots", "--insecure-no-password", repo=repo, env={"RESTIC_PASSWORD": None})


def test_words_of_key_list(recoup, restic, repo):
    for number in range(3):
        hint = format.Repo(repo.path).add_key(f"password {number}")
    same_text(recoup, restic, repo, "key", "list", edit=lambda text: sorted(text.splitlines()))
    for program in (recoup, restic):
        program.run("cat", "config", "--key-hint", hint, repo=repo, env={"RESTIC_PASSWORD": "password 2"})


def test_version(recoup):
    assert re.match(r"\S+ \d+\.\d+", recoup.run("version").text)
    said = recoup.run("version", "--json").json()
    assert said["message_type"] == "version" and re.match(r"\d+\.\d+", said["version"])
    assert {"go_os", "go_arch"} <= said.keys() and said["go_os"] == "linux"


def test_help(recoup):
    """Every command of the first stage is listed and explains itself."""
    listed = recoup.run("help").everything + recoup.run("--help").everything
    for command in "init backup restore snapshots ls find dump cat list check stats diff key unlock version cache".split():
        assert re.search(rf"^\s+{command}\b", listed, re.M), command
        said = recoup.run(command, "--help").everything
        assert command in said and "--json" in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(recoup, tmp_path, shell):
    flag = f"--{shell}-completion"
    recoup.run("generate", flag, tmp_path / "completion")
    text = (tmp_path / "completion").read_text()
    assert len(text) > 500
    if shell == "bash":
        subprocess.run(["bash", "-n", tmp_path / "completion"], check=True)


def test_cache(recoup, restic, repo, small_tree, tmp_path):
    """restic's cache directories, listed alike, cleaned alike, and harmless."""
    env = {"RESTIC_CACHE_DIR": str(tmp_path / "cache")}
    backup(recoup, repo, "small", cwd=tmp_path, env=env)
    restic.run("ls", "latest", repo=repo, env=env)
    recoup.run("ls", "latest", repo=repo, env=env)
    identity = format.Repo(repo.path).config["id"]
    same_text(recoup, restic, None, "cache", env=env)
    same_text(recoup, restic, None, "cache", "--no-size", env=env)
    old = tmp_path / "cache" / ("ab" * 32)
    shutil.copytree(tmp_path / "cache" / identity, old)
    os.utime(old, (0, 0))
    same_text(recoup, restic, None, "cache", env=env)
    recoup.run("cache", "--cleanup", "--max-age=30", env=env)
    assert not old.exists() and (tmp_path / "cache" / identity).exists()
    assert not (tmp_path / "none").exists()
    theirs = restic.run("cache", env={"RESTIC_CACHE_DIR": str(tmp_path / "none")}, code=None)
    recoup.run("cache", env={"RESTIC_CACHE_DIR": str(tmp_path / "none")}, code=theirs.code)
