"""Files that are there whole or not at all, and what is left where a process was killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from recoup.velero.files import appearing, is_unfinished, unfinished


@pytest.mark.parametrize("is_private", [False, True])
def test_it_takes_the_place_of_what_was_there(tmp_path, is_private):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with appearing(str(path), is_private=is_private) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after" and os.listdir(tmp_path) == ["file"]
    assert bool(path.stat().st_mode & 0o044) is not is_private


def test_it_does_not_where_the_block_raises(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), appearing(str(path)) as file:
        file.write(b"after")
        raise ZeroDivisionError
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_what_a_killed_process_leaves_is_known(tmp_path):
    path = tmp_path / ("x" * 255)
    program = "import os, signal, sys; from recoup.velero.files import appearing\nwith appearing(sys.argv[1]): os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -signal.SIGKILL
    (left,) = os.listdir(tmp_path)
    assert is_unfinished(left, path.name) and not is_unfinished(left, "y")


@pytest.mark.parametrize("name", ["restore.json", "Ünicode" * 40, "latin1-\udce9"])
def test_names(name):
    made = os.path.basename(unfinished(f"/directory/{name}"))
    assert is_unfinished(made, name) and len(os.fsencode(made)) <= 255
    for other in (name, "." + name, made + "x", "x" + made, made[:-5]):
        assert not is_unfinished(other, name)
