"""Removing a directory whatever a restore has put there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator


def remove_tree(top: str | bytes) -> None:
    """Removes a directory and all that is in it, if it is there: however deep it is, whatever its modes, and following
    no link. Raises OSError."""
    root = os.fsencode(top)
    if not os.path.lexists(root):
        return
    # Directories within are moved up, next to each other: so no path becomes longer than the system takes.
    names = _unused_names(root)
    waiting = [root]
    while waiting:
        directory = waiting.pop()
        os.chmod(directory, stat.S_IRWXU)
        with os.scandir(directory) as entries:
            found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        if directory == root:
            waiting.append(root)  # once more, when all below has gone
        for path, is_directory in found:
            if not is_directory:
                os.unlink(path)
                continue
            if directory != root:
                moved = next(names)
                os.chmod(path, stat.S_IRWXU)  # or its ".." cannot be changed
                os.rename(path, moved)
                path = moved
            waiting.append(path)
        if directory != root or not found:
            os.rmdir(directory)
            if directory == root:
                return


def _unused_names(root: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        name = os.path.join(root, b".removing-%d" % number)
        number += 1
        if not os.path.lexists(name):
            yield name
