"""What is installed: modules, types, the command."""

from __future__ import annotations

import ast
import importlib.metadata
import pathlib
import re
import subprocess
import sysconfig

import recoup

ROOT = pathlib.Path(__file__).parents[2]


def test_version_is_that_of_the_header():
    header = (ROOT / "include/recoup/core/version.hpp").read_text()
    parts = re.findall(r"RECOUP_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
    assert recoup.__version__.split("-")[0] == ".".join(parts)


def test_everything_promised_is_there():
    assert sorted(recoup.__all__) == sorted(set(recoup.__all__))
    for name in recoup.__all__:
        assert getattr(recoup, name).__doc__ or name.startswith("_") or name.isupper()


def test_the_command_is_installed_and_of_the_same_version():
    command = pathlib.Path(sysconfig.get_path("scripts"), "recoup")
    said = subprocess.run([command, "version"], capture_output=True, text=True, check=True).stdout
    assert recoup.__version__ in said


def test_wheel_holds_the_package_and_the_commands_only():
    files = {str(file) for file in importlib.metadata.files("recoup") or ()}
    package = {name for name in files if name.startswith("recoup/") and "__pycache__" not in name}
    assert "recoup/py.typed" in package
    assert "recoup/_engine.pyi" in package
    assert all(re.fullmatch(r"recoup/((velero/(\w+/)?)?\w+\.pyi?|py\.typed|_engine\.[\w.-]+\.so)", name) for name in package), package
    others = files - package
    assert all(re.search(r"\.dist-info/|/bin/recoup(-velero)?$|__pycache__", name) for name in others), others


def test_extension_keeps_its_libraries_to_itself():
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", recoup._engine.__file__], capture_output=True, text=True, check=True
    ).stdout.split()
    assert symbols[2::3] == ["PyInit__engine"]


def test_source_has_no_syntax_newer_than_python_3_9():
    for source in (ROOT / "python/recoup").glob("*.py"):
        ast.parse(source.read_text(encoding="utf-8"), str(source), feature_version=(3, 9))
