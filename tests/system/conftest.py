"""Fixtures for tests on whole systems: real containers, real S3 servers, real restic, Terraform and OpenTofu. See README.md here."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

import incus
import roots
from support import s3, tls

pytest.register_assert_rewrite("homelab")
# Said in the header, where it is so.
collect_ignore = [] if os.environ.get("TERRAFORM") else ["test_homelab_with_terraform.py"]

REPOSITORY_ROOT = roots.REPOSITORY_ROOT
_NEEDED = ("RECOUP", "RESTIC", "MINIO", "TOFU", "RECOUP_TEST_INCUS_SOCKET", "RECOUP_TEST_INCUS_IMAGE", "RECOUP_TEST_INCUS_ADDRESS")


def pytest_sessionstart(session):
    """What is missing is an error and no skip: these tests must not be passed by not running."""
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    missing += [tool for tool in ("incus", "chroot", "tar", "ps") if shutil.which(tool) is None]
    if missing:
        pytest.exit(f"needed and not set or not found: {', '.join(missing)}; `tests/run system` sets them, by tools/incus.sh, "
                    "tools/restic.sh, tools/s3-servers.sh and tools/opentofu.sh", returncode=4)
    if os.geteuid() != 0:
        pytest.exit("these tests make containers: run them as root", returncode=4)


def pytest_report_header(config):
    return [] if os.environ.get("TERRAFORM") else ["TERRAFORM is not set: what runs with Terraform and OpenTofu runs with OpenTofu only"]


@pytest.fixture(scope="session")
def recoup() -> pathlib.Path:
    return pathlib.Path(os.environ["RECOUP"])


@pytest.fixture(scope="session")
def bundle(recoup, tmp_path_factory) -> pathlib.Path:
    """The archive."""
    made = subprocess.run([REPOSITORY_ROOT / "tools/bundle.sh", recoup, tmp_path_factory.mktemp("bundle")], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return pathlib.Path(made.stdout.strip())


@pytest.fixture(scope="session")
def provider(recoup, tmp_path_factory) -> pathlib.Path:
    """The configuration that makes Terraform and OpenTofu take the provider from what `make provider` makes. No registry is asked."""
    folder = tmp_path_factory.mktemp("provider")
    made = subprocess.run([REPOSITORY_ROOT / "tools/provider.sh", recoup, folder], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "cli.tfrc"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> tls.Certificates:
    return tls.Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def minio(tmp_path_factory):
    """Where both this machine and containers reach it."""
    with s3.Minio(tmp_path_factory.mktemp("minio"), address=incus.setting("ADDRESS")) as server:
        yield server
