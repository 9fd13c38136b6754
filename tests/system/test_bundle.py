"""The bundle runs where nothing is: in roots and containers without recoup's libraries, glibc, network or package installs."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import uuid

import pytest

import incus
import roots
from support import s3

PASSWORD = {"RESTIC_PASSWORD": "secret"}
#: the name that support.tls's certificate "wrong_host" is for, which is the right host here
HOST = "backups.example.org"


@pytest.fixture(scope="module", params=["debian", "musl", "newer_glibc"])
def root(request, bundle, tmp_path_factory):
    made = getattr(roots, request.param)(tmp_path_factory.mktemp(request.param) / "system")
    made.install(bundle)
    yield made
    shutil.rmtree(made.path)


@pytest.fixture
def repository(root):
    """Initialised; with files of two owners in /tmp/data."""
    shutil.rmtree(root.path / "tmp", ignore_errors=True)
    root.write("/tmp/data/file", "one\n")
    root.write("/tmp/data/folder/other", "two\n" * 1000)
    os.chown(root.path / "tmp/data/file", 70, 70)
    root.run("recoup", "-r", "/tmp/repository", "init", **PASSWORD)
    return "/tmp/repository"


@pytest.fixture(scope="module")
def secure_minio(certificates, tmp_path_factory):
    with s3.Minio(tmp_path_factory.mktemp("secure"), certificate=certificates.wrong_host) as server:
        server.make_bucket("backups")
        yield server


def test_the_archive_is_the_same_each_time(bundle, recoup, tmp_path):
    made = subprocess.run([roots.REPOSITORY_ROOT / "tools/bundle.sh", recoup, tmp_path], capture_output=True, text=True,
                          preexec_fn=lambda: os.umask(0o077))
    assert made.returncode == 0, made.stderr
    again = pathlib.Path(made.stdout.strip())
    assert again.name == bundle.name
    assert again.read_bytes() == bundle.read_bytes()


def test_it_says_what_it_carries_and_under_which_licences(bundle, tmp_path):
    subprocess.run(["tar", "-C", tmp_path, "-xzf", bundle], check=True)
    carried = (tmp_path / "recoup/VERSION").read_text()
    for part in ("glibc", "openssl", "curl", "libsodium", "ca-certificates"):
        assert f"  {part} " in carried
        assert (tmp_path / "recoup/licenses" / part).stat().st_size > 500
    # The machine that builds may trust authorities of its own; nobody else should.
    allowed = b"".join(each.read_bytes() for each in sorted(pathlib.Path("/usr/share/ca-certificates/mozilla").glob("*.crt")))
    assert (tmp_path / "recoup/ca-certificates.crt").read_bytes() == allowed


def test_a_backup_comes_back_with_its_owners_names(root, repository):
    root.run("restic", "-r", repository, "backup", "/tmp/data", **PASSWORD)
    tree = json.loads(root.run("restic", "-r", repository, "cat", "tree", "latest:/tmp/data", **PASSWORD))
    assert {node["name"]: (node["user"], node["group"]) for node in tree["nodes"]} == {
        "file": ("postgres", "postgres"), "folder": ("root", "root")}
    root.run("restic", "-r", repository, "restore", "latest", "--target", "/tmp/back", **PASSWORD)
    assert subprocess.run(["diff", "-r", root.path / "tmp/data", root.path / "tmp/back/tmp/data"]).returncode == 0
    assert (root.path / "tmp/back/tmp/data/file").stat().st_uid == 70


def test_it_keeps_the_name_that_it_was_called_by(root):
    assert 'unknown command "nothing" for "restic"' in root.run("restic", "nothing", code=None)
    assert 'unknown command "nothing" for "recoup"' in root.run("recoup", "nothing", code=None)


def test_the_process_list_calls_it_recoup(root, repository):
    waiting = subprocess.Popen([roots.CHROOT, root.path, "restic", "-r", repository, "backup", "--stdin"], stdin=subprocess.PIPE,
                               env={"PATH": "/usr/local/bin:/bin", **PASSWORD}, stdout=subprocess.DEVNULL)
    try:
        comm = pathlib.Path(f"/proc/{waiting.pid}/comm")
        incus.wait_for(lambda: comm.read_text() == "recoup\n", 120, "the process's name to be recoup")
    finally:
        waiting.communicate(b"text")
    assert waiting.returncode == 0


def test_libraries_elsewhere_do_not_reach_it(root):
    (root.path / "tmp/broken").mkdir(parents=True, exist_ok=True)
    for name in ("libc.so.6", "libm.so.6"):
        (root.path / "tmp/broken" / name).write_bytes(b"no library")
    assert "recoup 0." in root.run("/usr/local/bin/recoup", "version", LD_LIBRARY_PATH="/tmp/broken")


def test_programs_that_it_starts_do_not_see_its_libraries(root, repository):
    root.write("/tmp/password", "#!/bin/sh\nenv >/tmp/seen\necho secret\n")
    (root.path / "tmp/password").chmod(0o755)
    root.run("restic", "-r", repository, "snapshots", RESTIC_PASSWORD_COMMAND="/tmp/password")
    seen = (root.path / "tmp/seen").read_text()
    assert "RESTIC_PASSWORD_COMMAND=" in seen and "LD_" not in seen


def test_it_is_found_through_links_and_without_proc(root):
    """No /proc is mounted in any of these roots."""
    assert not list((root.path / "proc").iterdir())
    (root.path / "usr/bin/linked").unlink(missing_ok=True)
    (root.path / "usr/bin/linked").symlink_to("/usr/local/bin/restic")
    assert "recoup 0." in root.run("linked", "version")


def test_files_that_are_apart_are_an_error_that_says_so(root):
    shutil.copy(root.path / "usr/local/lib/recoup/recoup", root.path / "tmp/alone")
    assert "must stay together" in root.run("/tmp/alone", "version", code=None)


@pytest.fixture
def over_https(root, secure_minio):
    """Settings of a repository on a server that is known by a name in /etc/hosts only; the root has no certificates."""
    root.write("/etc/hosts", f"127.0.0.1 localhost {HOST}\n")
    for name in ("etc/ssl", "etc/resolv.conf"):
        path = root.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    location = f"s3:https://{HOST}:{secure_minio.port}/backups/{uuid.uuid4()}"
    return {"RESTIC_REPOSITORY": location, **secure_minio.root.environment(), **PASSWORD}


def test_s3_by_name_with_an_authority_of_ones_own(root, over_https, certificates):
    root.write("/tmp/authority.pem", certificates.authority.read_text())
    refused = root.run("restic", "init", code=None, **over_https)
    assert "certificate" in refused and "created" not in refused
    root.run("restic", "--cacert", "/tmp/authority.pem", "init", **over_https)
    root.write("/tmp/data/file", "one\n")
    root.run("restic", "--cacert", "/tmp/authority.pem", "backup", "/tmp/data", **over_https)
    listed = json.loads(root.run("restic", "--cacert", "/tmp/authority.pem", "snapshots", "--json", **over_https))
    assert [each["paths"] for each in listed] == [["/tmp/data"]]


def test_its_certificates_are_trusted_only_where_the_system_has_none(root, over_https, certificates):
    carried = root.path / "usr/local/lib/recoup/ca-certificates.crt"
    kept = carried.read_text()
    try:
        carried.write_text(kept + certificates.authority.read_text())
        root.run("restic", "init", **over_https)
        root.write("/etc/ssl/certs/ca-certificates.crt", kept)
        assert "certificate" in root.run("restic", "snapshots", code=None, **over_https)
        root.run("restic", "snapshots", SSL_CERT_FILE="/usr/local/lib/recoup/ca-certificates.crt", **over_https)
    finally:
        carried.write_text(kept)


def test_a_strange_openssl_configuration_is_no_obstacle(root, over_https, certificates):
    """One for the system's own OpenSSL: with settings that the one within does not know, and a module in place of the defaults."""
    for place in ("/usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf"):
        root.write(place, "openssl_conf = x\n[x]\nssl_conf = y\nproviders = z\n[y]\nsystem_default = q\n[q]\nFutureSetting = 1\n"
                          "[z]\nfuture = f\n[f]\nmodule = /nonexistent.so\nactivate = 1\n")
    root.write("/tmp/authority.pem", certificates.authority.read_text())
    root.run("restic", "--cacert", "/tmp/authority.pem", "init", **over_https)
    (root.path / "usr/lib/ssl/openssl.cnf").unlink()


def test_in_a_container_under_a_hardened_unit(bundle, minio):
    """A bare Debian of its own kernel namespaces, with the archive pushed into it; nothing else."""
    bucket = f"bundle-{uuid.uuid4().hex[:8]}"
    minio.make_bucket(bucket)
    guest = incus.launch()
    try:
        guest.push(bundle, "/root/recoup.tar.gz")
        guest.shell("tar -C /usr/local/lib -xzf /root/recoup.tar.gz; ln -s ../lib/recoup/recoup /usr/local/bin/recoup")
        guest.write("/etc/restic.env", "".join(f"{name}={value}\n" for name, value in {
            "RESTIC_REPOSITORY": minio.location(bucket), **minio.root.environment(), **PASSWORD}.items()), mode="0600")
        hardened = ["--wait", "--pipe", "--quiet", "--property=EnvironmentFile=/etc/restic.env", "--property=ProtectSystem=strict",
                    "--property=ProtectHome=read-only", "--property=NoNewPrivileges=yes", "--property=PrivateTmp=yes",
                    "--property=CacheDirectory=recoup", "--setenv=RESTIC_CACHE_DIR=/var/cache/recoup", "--property=MemoryDenyWriteExecute=yes"]
        guest.run("systemd-run", *hardened, "/usr/local/bin/recoup", "init")
        guest.run("systemd-run", *hardened, "/usr/local/bin/recoup", "backup", "/etc", "--tag", "production")
        listed = subprocess.run([os.environ["RESTIC"], "--no-cache", "snapshots", "--json"], capture_output=True, text=True, check=True,
                                env={"RESTIC_REPOSITORY": minio.location(bucket), **minio.root.environment(), **PASSWORD})
        assert [(each["hostname"], each["paths"], each["tags"]) for each in json.loads(listed.stdout)] == [
            (guest.name, ["/etc"], ["production"])]
    finally:
        guest.delete()
