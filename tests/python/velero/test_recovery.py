"""docs/recovery.md, each command of it, in its order: what somebody types in the night in which it is needed."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import venv

import pytest
from kubelet import Kubelet, needs_kubelet
from kubernetes_server import KubernetesServer
from velero_commands import PROGRAM
from velero_volumes import expected_entries, on_disk

import recoup
from support import s3

PAGE = pathlib.Path(__file__).parents[3] / "docs/recovery.md"
FAILED = "media/plex-config"  # in the newest backup


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def lines() -> list[str]:
    """All but the installation, which is tried by itself: what follows runs with the package that is to be tested."""
    return [line for block in blocks()[1:] for line in block.splitlines() if line]


def test_the_wheel_is_all_that_is_needed(first_genuine, tmp_path):
    wheel = os.environ.get("RECOUP_WHEEL")
    if not wheel:
        pytest.skip("RECOUP_WHEEL is not set: it names the wheel of recoup")
    (tmp_path / pathlib.Path(wheel).name).symlink_to(wheel)
    venv.create(tmp_path / "venv", with_pip=True)
    clean = {"PATH": f"{tmp_path / 'venv/bin'}:{os.defpath}", "HOME": str(tmp_path)}
    for script in (blocks()[0], f"recoup velero -b {shlex.quote(str(first_genuine.path))} backups"):
        done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=1200, check=False)
        assert done.returncode == 0, done
    assert first_genuine.expected["backups"][-1]["name"] in done.stdout
    imported = subprocess.run([tmp_path / "venv/bin/python", "-c", "import kubernetes"], cwd=tmp_path, env=clean, check=False)
    assert imported.returncode == 0


@pytest.fixture(scope="module")
def places(minio):
    """The buckets of the homelab, and a new cluster."""
    needs_kubelet()
    if not os.environ.get("RECOUP"):
        pytest.skip("RECOUP is not set: it names the command")
    server = KubernetesServer()
    kubelet = Kubelet(server)
    try:
        yield minio, kubelet
    finally:
        kubelet.stop()
        server.stop()


@pytest.fixture(scope="module")
def done(places, quickly_opened, tmp_path_factory):
    """Runs the page: what each command printed, its exit code, and the directory for all."""
    minio, kubelet = places
    home = tmp_path_factory.mktemp("recovery")
    genuine = quickly_opened("velero-1.16.2-restic")
    bucket = minio.make_bucket("velero-backups")
    for path in genuine.path.rglob("*"):
        if path.is_file():
            bucket.write(str(path.relative_to(genuine.path)), path.read_bytes())
    containers_backup(minio, home)
    user = minio.add_user(s3.READ_ONLY("*"))
    script = ["exec 2>&1"]
    for number, line in enumerate(lines()):
        for of_the_homelab, here in {
            "http://10.20.0.103:9000": minio.endpoint, "/srv/restore": str(home / "restore"), "/root/restic.password": str(home / "password"),
            "AWS_ACCESS_KEY_ID=restore AWS_SECRET_ACCESS_KEY=restore-secret":
                f"AWS_ACCESS_KEY_ID={user.access_key} AWS_SECRET_ACCESS_KEY={shlex.quote(user.secret_key)}",
        }.items():  # fmt: skip
            line = line.replace(of_the_homelab, here)
        script += [f"echo @@{number}", line, 'echo "@@=$?"']
    (home / "restore").mkdir()
    ran = subprocess.run(
        ["bash"], input="\n".join(script), env=environment(home, kubelet), capture_output=True, text=True, timeout=2400, check=True
    )
    found = re.findall(r"^@@\d+\n(.*?)@@=(\d+)$", ran.stdout, re.MULTILINE | re.DOTALL)
    assert len(found) == len(lines()), ran.stdout
    return home / "restore", dict(zip(lines(), ((said, int(code)) for said, code in found)))


def environment(home, kubelet) -> dict[str, str]:
    """As on a machine on which recoup is installed and nothing set."""
    programs = home / "bin"
    programs.mkdir()
    (programs / "recoup").symlink_to(os.environ["RECOUP"])
    (programs / "recoup-velero").write_text(f"#!{sys.executable}\n{PROGRAM}\n")
    (programs / "recoup-velero").chmod(0o755)
    package = pathlib.Path(recoup.__file__).parents[1]
    return {
        "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(home), "KUBECONFIG": str(kubelet.server.kubeconfig), "PYTHONPATH": str(package),
        "TZ": "UTC", "LC_ALL": "C.UTF-8",
    }  # fmt: skip


def containers_backup(minio, home) -> None:
    minio.make_bucket("restic-backups")
    (home / "password").write_text("a password\n")
    (home / "data").mkdir()
    (home / "data/letter").write_text("dear")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in minio.environment().items():
            patch.setenv(name, value)
        recoup.init(minio.location("restic-backups"), "a password").backup([home / "data"], tags=["production"])


@pytest.mark.parametrize("line", lines())
def test_each_command(done, line):
    said, code = done[1][line]
    assert code == 0, said


def test_what_is_there_afterwards(done, places, quickly_opened):
    restored, kubelet = done[0], places[1]
    genuine = quickly_opened("velero-1.16.2-restic")
    newest = {}
    for backup in genuine.expected["backups"]:
        newest.update({f"{each['namespace']}/{each['pvc']}": each for each in backup["volumes"] if each["pvc"] and each["phase"] == "Completed"})

    def wanted(name):
        return expected_entries(genuine.expected, newest[name])

    assert on_disk(restored / "postgres") == wanted("db/data-postgres-0")
    assert on_disk(restored / "plex") == wanted(FAILED)
    for name in newest:
        assert on_disk(kubelet.volume(*name.split("/"))) == wanted(name)
        assert on_disk(restored / "everything/volumes" / name) == wanted(name)
    report = json.loads((restored / "report.json").read_text())
    assert report["is_complete"] and not [each for each in report["objects"] if each["outcome"] == "refused"]
    assert {each["name"]: each["outcome"] for each in report["volumes"]}["db/data-postgres-0"] == "already", "it was filled alone, before"
    [letter] = (restored / "containers").rglob("letter")
    assert letter.read_text() == "dear"
    assert any("StorageClass" in file.read_text() for file in (restored / "classes").iterdir())
    assert "restorable" in (restored / "drill.html").read_text()
    assert list((restored / "scratch").iterdir()) == []


def test_what_is_said(done):
    said = {line: text for line, (text, _) in done[1].items()}
    assert re.search(r"^backup-20260103-000000 +partial +PartiallyFailed", said["recoup velero backups"], re.MULTILINE)
    volumes = said["recoup velero volumes latest"]
    assert re.search(rf"^{FAILED} +failed", volumes, re.MULTILINE) and re.search(r"^media/plex-transcode +skipped .*opted out", volumes, re.MULTILINE)
    assert "note: there is a newer" not in said["recoup velero restore-pvc db/data-postgres-0 --target /srv/restore/postgres"]
    assert "default-password" in said["recoup velero audit --fail-on never"] or "static" in said["recoup velero audit --fail-on never"]
