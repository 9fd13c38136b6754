"""examples/terraform/homelab from nothing to a restored backup and back, with Terraform and with OpenTofu.

The tests of this file follow one another on one lab, in the order that they stand in: the first apply costs most of the time, and a
homelab is not made anew for each change either. test_homelab_with_terraform.py and test_homelab_with_opentofu.py take them, so that pytest
runs both labs beside each other and each in one process.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
import secrets
import subprocess
import time
import uuid

import pytest

import claim
import incus
from support import s3
from terraform import Terraform, leaks

SCHEDULE = "module.restic_lxc.recoup_schedule.this"
CONTAINER = "module.restic_lxc.recoup_container.this"


class Lab:
    """One apply of the example, and eyes and hands beside it: Incus's own client, the real restic, boto3."""

    def __init__(self, cli: str, folder: pathlib.Path, configuration: pathlib.Path, minio: s3.Minio):
        self.cli, self.minio, self.folder = cli, minio, folder
        # What shells, units, JSON and URLs would each take for something else.
        self.password = f"pw {secrets.token_hex(8)} \"$HOME\" '%n' \\ {{}} #ä=&"
        run = uuid.uuid4().hex[:8]
        self.buckets = {"restic_bucket": f"restic-{run}", "velero_bucket": f"velero-{run}"}
        self.project = self.network = claim.name()
        self.guest = incus.Guest("restic-backup", self.project)
        # A bridge of its own, as two containers of one name cannot be on one. This machine's other addresses are reached through it.
        subnet = claim.network(incus.setting("ADDRESS"))
        self.gateway, self.address = f"{subnet}.1", f"{subnet}.25"
        self.repository = minio.location(self.buckets["restic_bucket"])
        self.secrets = {"the repository's password": self.password, "the S3 secret key": minio.root.secret_key}
        self.terraform = Terraform(os.environ[cli], folder, "homelab", configuration, {
            "TF_VAR_s3_access_key": minio.root.access_key, "TF_VAR_s3_secret_key": minio.root.secret_key,
            "TF_VAR_restic_password": self.password})
        self.terraform.set(s3_endpoint=minio.endpoint, **self.buckets, image=incus.setting("IMAGE"), container_network=self.network,
                           incus={"socket": incus.setting("SOCKET"), "project": self.project}, container_address=f"{self.address}/24",
                           container_gateway=self.gateway, paths=["/srv/data", "/etc"], calendar=["0 2 * * *"])

        self.seconds_of_an_update = 20.0

    def __enter__(self) -> Lab:
        incus.wait_for(self.made_network, 300, f"network {self.network} to be there")
        incus.client("project", "create", self.project, *(f"--config=features.{name}=false" for name in ("images", "profiles", "storage.volumes")))
        self.terraform.processes.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.terraform.processes.__exit__()
        if self.guest.info():
            self.guest.delete()
        incus.client("project", "delete", self.project)
        incus.wait_for(self.removed_network, 300, f"network {self.network} to go")

    def made_network(self) -> bool:
        """Incus looks at every bridge meanwhile, and fails if another test's container is just going."""
        incus.client("network", "create", self.network, f"ipv4.address={self.gateway}/24", "ipv4.nat=false", "ipv4.firewall=false",
                     "ipv6.address=none", "ipv6.firewall=false", code=None)
        return self.network in self.networks()

    def removed_network(self) -> bool:
        """As made_network."""
        incus.client("network", "delete", self.network, code=None)
        return self.network not in self.networks()

    @staticmethod
    def networks() -> list[str]:
        return [line.split(",")[0] for line in incus.client("network", "list", "--format=csv").splitlines()]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "RESTIC_REPOSITORY": self.repository, "RESTIC_PASSWORD": self.password,
                **self.minio.root.environment()}

    def snapshots(self) -> list[dict]:
        """As the real restic lists them."""
        said = subprocess.run([os.environ["RESTIC"], "--no-cache", "--no-lock", "snapshots", "--json"], env=self.environment(),
                              capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout)

    def back_up(self) -> None:
        self.guest.run("systemctl", "start", "restic-backup.service")

    def fill(self) -> None:
        """Owners, modes, links and times that have to come back."""
        self.guest.shell("""mkdir -p /srv/data/folder; cd /srv/data
            echo one > file; chown 1000:1001 file; chmod 640 file; touch -d '2020-02-03 04:05:06.789' file
            ln -f file folder/same; ln -sf ../file folder/link
            dd if=/dev/urandom of=folder/large bs=64K count=40 status=none; mkfifo -m 600 pipe || true""")

    def is_well(self) -> None:
        assert self.guest.unit("restic-backup.timer", "ActiveState", "UnitFileState") == {"ActiveState": "active", "UnitFileState": "enabled"}
        assert self.guest.shell("stat -c '%a %U:%G' /etc/restic.env").strip() == "600 root:root"


@pytest.fixture(scope="module")
def lab(request, provider, minio, tmp_path_factory):
    cli = request.module.CLI
    with Lab(cli, tmp_path_factory.mktemp(cli.lower()), provider, minio) as made:
        made.terraform.run("init", "-no-color")
        yield made


@pytest.fixture(scope="module")
def applied(lab):
    said = lab.terraform.apply()
    lab.fill()
    return said


def due_in(seconds: int) -> str:
    """A systemd calendar event that comes so soon, once a day."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return f"*-*-* {when:%H:%M:%S} UTC"


def test_planning_dials_no_server(lab):
    """The one that keeps the buckets may not be there yet."""
    endpoint = lab.terraform.settings["s3_endpoint"]
    try:
        lab.terraform.set(s3_endpoint="http://127.0.0.1:9")
        planned = lab.terraform.plan()
    finally:
        lab.terraform.set(s3_endpoint=endpoint)
    assert planned == dict.fromkeys(["recoup_bucket.restic", "recoup_bucket.velero", "recoup_repository.restic", CONTAINER, SCHEDULE], ["create"])


def test_apply_makes_what_the_runbook_describes(lab, applied):
    lab.is_well()
    addresses = [each["address"] for each in lab.guest.info()["state"]["network"]["eth0"]["addresses"] if each["family"] == "inet"]
    assert addresses == [lab.address]
    timer = lab.guest.unit("restic-backup.timer", "TimersCalendar", "Persistent")
    assert "OnCalendar=*-*-* 02:00:00" in timer["TimersCalendar"] and timer["Persistent"] == "yes"
    assert "15min" in lab.guest.read("/etc/systemd/system/restic-backup.timer")
    definition = json.loads(lab.guest.read("/etc/recoup/schedules/restic-backup.json"))
    kept = {name: value for name, value in definition["retention"].items() if name.startswith("keep_") and value and value != ""}
    assert {name: kept.get(name) for name in ("keep_daily", "keep_weekly", "keep_monthly")} == {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12}
    for bucket in lab.buckets.values():
        client = lab.minio.client()
        assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert [rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules if "NoncurrentVersionExpiration" in rule] == [30]


def test_the_second_plan_is_empty(lab, applied):
    lab.terraform.is_settled()


def test_a_started_service_makes_a_snapshot_that_comes_back(lab, applied, recoup, tmp_path):
    lab.back_up()
    latest = lab.snapshots()[-1]
    assert (latest["tags"], latest["paths"], latest["hostname"]) == (["production"], ["/etc", "/srv/data"], "restic-backup")
    subprocess.run([recoup, "--no-cache", "restore", "latest", "--target", tmp_path], env=lab.environment(), check=True, capture_output=True)
    pack = "cd {}srv && tar --sort=name --numeric-owner --format=posix --pax-option=delete=atime,delete=ctime -cf - data | sha256sum"
    assert lab.guest.shell(pack.format("/")) == subprocess.run(["sh", "-c", pack.format(f"{tmp_path}/")], capture_output=True, text=True).stdout
    assert (tmp_path / "etc/debian_version").read_text() == lab.guest.read("/etc/debian_version")
    # The runbook's own commands, with its own file, in the container: from a shell, and from a unit that somebody wrote by hand.
    assert latest["short_id"] in lab.guest.shell("set -a; . /etc/restic.env; set +a; restic --no-cache snapshots")
    by_hand = ["systemd-run", "--quiet", "--pipe", "--wait", "--property=EnvironmentFile=/etc/restic.env"]
    assert latest["short_id"] in lab.guest.run(*by_hand, "/usr/local/bin/restic", "--no-cache", "snapshots")


def test_other_paths_and_times_are_changed_in_place(lab, applied):
    made = lab.guest.info()["created_at"]
    lab.terraform.set(paths=["/srv/data"], calendar=["30 3 * * *"])
    assert lab.terraform.plan() == {SCHEDULE: ["update"]}
    lab.terraform.apply()
    assert "OnCalendar=*-*-* 03:30:00" in lab.guest.unit("restic-backup.timer", "TimersCalendar")["TimersCalendar"]
    assert lab.guest.info()["created_at"] == made
    lab.is_well()
    lab.back_up()
    assert lab.snapshots()[-1]["paths"] == ["/srv/data"]
    lab.terraform.is_settled()


@pytest.mark.parametrize("damage", [
    "systemctl stop restic-backup.timer",
    "systemctl disable restic-backup.timer",
    "sed -i 's/^OnCalendar=.*/OnCalendar=weekly/' /etc/systemd/system/restic-backup.timer && systemctl daemon-reload",
    "sed -i 's/^ExecStart=.*/ExecStart=true/' /etc/systemd/system/restic-backup.service",
    "rm /etc/restic.env",
    "chmod 644 /etc/restic.env",
    "echo RESTIC_PASSWORD=other >> /etc/restic.env",
    "rm /etc/systemd/system/restic-backup.timer && systemctl daemon-reload",
    "rm /usr/local/bin/recoup",
])
def test_what_other_hands_changed_is_seen_and_mended(lab, applied, damage):
    before = lab.guest.shell("cat /etc/systemd/system/restic-backup.* /etc/restic.env")
    lab.guest.shell(damage)
    planned = lab.terraform.plan()
    assert planned and set(planned) <= {SCHEDULE, CONTAINER} and all(actions == ["update"] for actions in planned.values())
    lab.terraform.apply()
    lab.is_well()
    assert lab.guest.shell("cat /etc/systemd/system/restic-backup.* /etc/restic.env") == before
    lab.guest.run("recoup", "version")
    lab.terraform.is_settled()


def test_a_deleted_container_is_made_anew(lab, applied):
    before = lab.guest.info()["config"].get("volatile.eth0.hwaddr") or lab.guest.info()["devices"]["eth0"]["hwaddr"]
    lab.guest.delete()
    assert {CONTAINER, SCHEDULE} <= set(lab.terraform.plan())
    lab.terraform.apply()
    lab.is_well()
    after = lab.guest.info()
    assert (after["config"].get("volatile.eth0.hwaddr") or after["devices"]["eth0"]["hwaddr"]) == before
    lab.fill()
    count = len(lab.snapshots())
    lab.back_up()
    assert len(lab.snapshots()) >= count
    lab.terraform.is_settled()


class Runs:
    """How often the service had run, and the newest snapshot. Retention makes counting snapshots useless."""

    def __init__(self, lab: Lab):
        self.lab, self.count, self.latest = lab, self._count(lab), lab.snapshots()[-1]["id"]

    @staticmethod
    def _count(lab: Lab) -> int:
        said = lab.guest.run("journalctl", "--quiet", "--output=json", "_PID=1", "UNIT=restic-backup.service", "JOB_TYPE=start", "JOB_RESULT=done")
        return len(said.splitlines())

    def wait_for_another(self, seconds: float, what: str) -> None:
        incus.wait_for(lambda: self._count(self.lab) > self.count, seconds, what, pause=1)
        assert self.lab.snapshots()[-1]["id"] != self.latest
        assert self.lab.guest.unit("restic-backup.service", "Result")["Result"] == "success"


def test_the_timer_fires_by_itself(lab, applied):
    before, start = Runs(lab), time.monotonic()
    lab.terraform.set(calendar=[due_in(20)], on_boot=None)
    lab.terraform.apply()
    lab.seconds_of_an_update = time.monotonic() - start
    if lab.seconds_of_an_update > 20:  # it was too late: now that it is known how long that takes
        before = Runs(lab)
        lab.terraform.set(calendar=[due_in(round(2 * lab.seconds_of_an_update))])
        lab.terraform.apply()
    before.wait_for_another(3 * lab.seconds_of_an_update + 300, "the timer to fire")


def test_a_run_that_was_missed_is_made_up_for(lab, applied):
    """The container is off when the run is due. Nothing else starts one after boot."""
    shortest = max(20, round(2 * lab.seconds_of_an_update))
    for due in (shortest, 3 * shortest, 9 * shortest):
        lab.terraform.set(calendar=[due_in(due)], on_boot=None)
        start = time.monotonic()
        lab.terraform.apply()
        before = Runs(lab)
        lab.guest.stop()
        is_missed = time.monotonic() - start < due
        if is_missed:
            incus.wait_for(lambda: time.monotonic() - start > due + 3, due + 10, "the run to be missed")
        lab.guest.start()
        lab.guest.wait_running()
        if is_missed:
            break
    assert is_missed, f"this machine is too slow: an apply and a stop took longer than {due} s"
    before.wait_for_another(300, "the missed run to be made up for")


def test_it_runs_after_boot(lab, applied):
    lab.terraform.set(calendar=["0 2 1 1 *"], on_boot="25s")
    lab.terraform.apply()
    incus.wait_for(lambda: lab.guest.unit("restic-backup.service", "ActiveState")["ActiveState"] == "inactive", 300, "a first run to end")
    lab.guest.stop()
    before = lab.snapshots()[-1]["id"]  # none is made while it is off; how long it takes to boot does not matter
    lab.guest.start()
    lab.guest.wait_running()
    incus.wait_for(lambda: lab.snapshots()[-1]["id"] != before, 300, "the run after boot", pause=1)
    incus.wait_for(lambda: lab.guest.unit("restic-backup.service", "ActiveState")["ActiveState"] == "inactive", 300, "that run to end")
    assert lab.guest.unit("restic-backup.service", "Result")["Result"] == "success"


def test_no_secret_is_anywhere(lab, applied):
    """By value, in every form: in the state, plans, logs at TRACE, process lists, and all that the container keeps but the one file."""
    lab.terraform.run("state", "pull")
    lab.terraform.plan()
    texts = lab.terraform.everything()
    assert {"terraform.tfstate", "processes"} <= {pathlib.Path(name).name for name in texts}
    assert any(name.startswith("logs/") and "TRACE" in text for name, text in texts.items())
    for place in ("/etc", "/run/systemd", "/usr/local", "/root", "/tmp", "/var/tmp", "/var/lib/systemd"):
        texts[place] = lab.guest.shell(f"find {place} -type f -size -4M ! -path /etc/restic.env ! -path '/usr/local/lib/recoup/*' -exec cat {{}} +")
    texts["the journal"] = lab.guest.run("journalctl", "--output=json")
    texts["systemctl show"] = lab.guest.run("systemctl", "show", "restic-backup.service", "restic-backup.timer")
    assert leaks(texts, lab.secrets) == []
    assert any("backup" in each and "recoup" in each for each in lab.terraform.processes.seen), "the watch over processes saw no backup"
    # The search finds what is there.
    where_they_are = {"/etc/restic.env": re.sub(r"\\(.)", r"\1", lab.guest.read("/etc/restic.env"))}
    assert {each.split(" is ")[0] for each in leaks(where_they_are, lab.secrets)} == set(lab.secrets)


def test_destroy_leaves_the_data_and_says_so_and_a_fresh_apply_adopts_it(lab, applied):
    kept = [each["id"] for each in lab.snapshots()]
    identity = lab.minio.client().get_object(Bucket=lab.buckets["restic_bucket"], Key="config")["ETag"]
    said = re.sub(r"\s+", " ", lab.terraform.run("destroy", "-no-color", "-auto-approve").replace("│", " "))
    assert said.count("Left in Place") >= 3
    assert lab.buckets["restic_bucket"] in said and "stay where they are" in said
    assert lab.guest.info() is None
    assert [each["id"] for each in lab.snapshots()] == kept

    lab.terraform.forget()
    lab.terraform.set(calendar=["0 2 * * *"], on_boot="15min", paths=["/srv/data", "/etc"])
    lab.terraform.apply()
    assert lab.minio.client().get_object(Bucket=lab.buckets["restic_bucket"], Key="config")["ETag"] == identity
    assert [each["id"] for each in lab.snapshots()] == kept
    lab.is_well()
    lab.terraform.is_settled()
    lab.fill()
    lab.back_up()
    assert len(lab.snapshots()) > len(kept)
