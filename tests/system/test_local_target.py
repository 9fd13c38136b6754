"""The target `local`: Terraform and OpenTofu run, as root, on the machine that is backed up. It is a bare Debian container into which
they, the provider and recoup's bundle are put, and nothing else. The tests of this file follow one another on one machine for each."""

from __future__ import annotations

import json
import os
import pathlib
import re
import secrets

import pytest

import incus
from terraform import leaks

REPOSITORY = "/var/backups/repository"
DIRECTORY = "/root/backup"
ENVIRONMENT = {"TF_CLI_CONFIG_FILE": f"{DIRECTORY}/cli.tfrc", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1", "HOME": "/root"}
CLI_CONFIGURATION = """
provider_installation {
  filesystem_mirror {
    path = "/opt/mirror"
  }
}
"""
CONFIGURATION = """
terraform {
  required_providers {
    recoup = {
      source = "recoup/recoup"
    }
  }
}

variable "password" {
  type      = string
  ephemeral = true
}

variable "calendar" {
  type    = list(string)
  default = ["0 2 * * *"]
}

provider "recoup" {
  repository_passwords = { "/var/backups/repository" = var.password }
}

resource "recoup_repository" "this" {
  location            = "/var/backups/repository"
  password_wo         = var.password
  password_wo_version = 1
}

resource "recoup_schedule" "this" {
  target    = "local"
  backup    = { paths = ["/srv/data"], tags = ["local"] }
  calendar  = var.calendar
  retention = { keep_daily = 7 }

  environment                   = { RESTIC_REPOSITORY = recoup_repository.this.location }
  secret_environment_wo         = { RESTIC_PASSWORD = var.password }
  secret_environment_wo_version = 1
}
"""


class Machine:
    """A container in which one of the two programs runs, and what it says."""

    def __init__(self, cli: str, provider: pathlib.Path, bundle: pathlib.Path):
        self.password = f"pw \"$HOME\" '%n' {secrets.token_hex(8)}"
        self.guest = incus.launch()
        for path, source in {"/opt/mirror": provider.parent / "mirror", "/usr/local/bin/program": os.environ[cli],
                             "/usr/local/bin/restic": os.environ["RESTIC"]}.items():
            incus.client("config", "device", "add", self.guest.name, pathlib.Path(path).name, "disk", f"source={source}", f"path={path}", "readonly=true")
        self.guest.push(bundle, "/root/recoup.tar.gz")
        self.guest.shell("tar -C /usr/local/lib -xzf /root/recoup.tar.gz; ln -s ../lib/recoup/recoup /usr/local/bin/recoup")
        self.guest.write(f"{DIRECTORY}/main.tf", CONFIGURATION)
        self.guest.write(f"{DIRECTORY}/cli.tfrc", CLI_CONFIGURATION)
        self.run("init")

    def run(self, command: str, *arguments: str, code: int = 0, program: str = f"cd {DIRECTORY} && program") -> str:
        """What it said, with its frames, colours and line breaks taken out."""
        script = f'{{ {program} "$@"; }} 2>&1; echo "ended with $?"'
        said = self.guest.run("sh", "-c", script, "sh", command, *arguments, env=ENVIRONMENT | {"TF_VAR_password": self.password}, timeout=1200)
        said = re.sub(r"\s+", " ", re.sub(r"[│╷╵]|\x1b\[[0-9;]*m", " ", said))
        assert said.rstrip().endswith(f"ended with {code}"), said
        return said

    def apply(self, *arguments: str) -> str:
        return self.run("apply", "-auto-approve", *arguments)

    def is_settled(self) -> None:
        self.run("plan", "-detailed-exitcode")

    def is_well(self) -> None:
        assert self.guest.unit("restic-backup.timer", "ActiveState", "UnitFileState") == {"ActiveState": "active", "UnitFileState": "enabled"}
        assert self.guest.shell("stat -c '%a %U:%G' /etc/restic.env").strip() == "600 root:root"

    def restic(self, *arguments: str) -> str:
        return self.guest.run("restic", "--no-cache", "-r", REPOSITORY, *arguments, env={"RESTIC_PASSWORD": self.password})


@pytest.fixture(scope="module", params=[name for name in ("TERRAFORM", "TOFU") if os.environ.get(name)])
def machine(request, provider, bundle):
    made = Machine(request.param, provider, bundle)
    yield made
    made.guest.delete()


@pytest.fixture(scope="module")
def applied(machine):
    machine.guest.shell("""mkdir -p /srv/data/folder; cd /srv/data; echo one > file; chown 1000:1001 file; chmod 640 file
        touch -d '2020-02-03 04:05:06.789' file; ln file folder/same; ln -s ../file folder/link; dd if=/dev/urandom of=large bs=64K count=20 status=none""")
    machine.apply()


def test_an_apply_makes_a_timer_and_the_second_plan_is_empty(machine, applied):
    machine.is_well()
    assert "OnCalendar=*-*-* 02:00:00" in machine.guest.unit("restic-backup.timer", "TimersCalendar")["TimersCalendar"]
    machine.is_settled()


def test_a_started_service_makes_a_snapshot_that_comes_back(machine, applied):
    machine.guest.run("systemctl", "start", "restic-backup.service")
    assert [(each["tags"], each["paths"]) for each in json.loads(machine.restic("snapshots", "--json"))] == [(["local"], ["/srv/data"])]
    machine.restic("restore", "latest", "--target", "/root/back")
    pack = "cd {}/srv && tar --sort=name --numeric-owner --format=posix --pax-option=delete=atime,delete=ctime -cf - data | sha256sum"
    assert machine.guest.shell(pack.format("/root/back")) == machine.guest.shell(pack.format(""))


def test_the_password_is_only_in_the_environment_file(machine, applied):
    texts = {"state": machine.guest.read(f"{DIRECTORY}/terraform.tfstate"), "journal": machine.guest.run("journalctl", "--output=json"),
             "units": machine.guest.shell("cat /etc/systemd/system/restic-backup.* /etc/recoup/schedules/*"),
             "systemctl show": machine.guest.run("systemctl", "show", "restic-backup.service")}
    assert leaks(texts, {"the password": machine.password}) == []
    written = re.sub(r"\\(.)", r"\1", machine.guest.read("/etc/restic.env"))
    assert leaks({"file": written}, {"the password": machine.password})


def test_another_time_is_changed_in_place(machine, applied):
    said = machine.apply("-var", 'calendar=["30 3 * * Mon"]')
    assert "0 added, 1 changed, 0 destroyed" in said
    assert "Mon *-*-* 03:30:00" in machine.guest.unit("restic-backup.timer", "TimersCalendar")["TimersCalendar"]
    machine.apply()


def test_what_other_hands_changed_is_seen_and_mended(machine, applied):
    before = machine.guest.shell("cat /etc/systemd/system/restic-backup.* /etc/restic.env")
    machine.guest.shell("""sed -i 's/^Type=.*/Type=simple/' /etc/systemd/system/restic-backup.service
        systemctl stop restic-backup.timer; rm /etc/restic.env""")
    said = machine.run("plan", "-detailed-exitcode", code=2)
    for drift in ("/etc/systemd/system/restic-backup.service was edited: line", "restic-backup.timer is inactive instead of active",
                  "/etc/restic.env is not there"):
        assert drift in said
    machine.apply()
    machine.is_well()
    assert machine.guest.shell("cat /etc/systemd/system/restic-backup.* /etc/restic.env") == before
    machine.is_settled()


def test_whoever_is_not_root_is_told_what_to_do(machine, applied):
    copy = "/tmp/not-root"
    machine.guest.shell(f"rm -rf {copy}; cp -a {DIRECTORY} {copy}; chown -R nobody {copy}")
    as_nobody = f"cd {copy} && HOME={copy} TF_CLI_CONFIG_FILE={copy}/cli.tfrc setpriv --reuid=nobody --regid=nogroup --clear-groups program"
    try:
        planning = machine.run("plan", code=1, program=as_nobody)
        applying = machine.run("apply", "-auto-approve", "-refresh=false", "-var", 'calendar=["@daily"]', code=1, program=as_nobody)
    finally:
        machine.guest.shell(f"rm -r {copy}")
    assert "user id 65534 may not do this: run as the owner of the repository" in planning and "secret_key" not in planning
    assert 'target = "local"' in applying
    assert 'Terraform is run by nobody (user 65534) and not by root, which the target "local" needs' in applying
    assert 'or use "ssh://root@localhost"' in applying
    machine.is_settled()


def test_a_schedule_that_the_state_lost_is_imported(machine, applied):
    machine.run("state", "rm", "recoup_schedule.this")
    assert "import ADDRESS 'local#restic-backup'" in machine.run("apply", "-auto-approve", code=1)
    machine.run("import", "recoup_schedule.this", "local#restic-backup")
    assert "0 added, 1 changed, 0 destroyed" in machine.apply()  # the version of the secrets is not on the machine
    machine.is_settled()


def test_a_destroy_removes_the_schedule_and_leaves_the_backups(machine, applied):
    kept = machine.restic("snapshots", "--json")
    assert json.loads(kept)
    machine.run("destroy", "-auto-approve")
    left = machine.guest.shell("ls -A /etc/restic.env /etc/recoup/schedules /etc/systemd/system /etc/systemd/system/timers.target.wants 2>/dev/null || true")
    assert "restic" not in left
    assert machine.guest.run("systemctl", "list-units", "--all", "--no-legend", "restic-backup*") == ""
    assert machine.restic("snapshots", "--json") == kept
