"""recoup: backups in restic's repository format, from Python.

    import recoup

    repository = recoup.init("/srv/backup", password="secret")    # or recoup.open(…)
    repository.backup("/home/u", exclude=["*.tmp"], tags=["nightly"])

    snapshot = repository.snapshot("latest")
    for path, node in snapshot.walk("/home/u"):
        print(path, node.size)
    with snapshot.open("/home/u/notes.txt", "r") as file:
        text = file.read()
    snapshot.restore("/tmp/back", include=["/home/u/notes.txt"])

What is in a bucket beside repositories is read too: `recoup.open_objects("s3:http://host:9000/bucket")`.

Repositories are the same ones that the commands `recoup` and `restic` use. Long calls release the GIL, can be ended with
Ctrl-C, and tell their progress to a function if one is given. What goes wrong raises a subclass of `recoup.Error`, whose
`exit_code` is the one that the command would have; what is odd but stops nothing goes to the logger "recoup".

File names that are not UTF-8 are str with surrogate escapes, as everywhere in Python: `os.fsencode` gives the bytes back.
"""

from ._engine import (
    AccessDeniedError,
    DamagedError,
    Error,
    IncompleteError,
    InvalidArgumentError,
    LockedError,
    Node,
    NoSpaceError,
    NotFoundError,
    RepositoryMissingError,
    StoppedError,
    StorageError,
    UnsupportedError,
    WrongPasswordError,
)
from ._engine import version as __version__
from .chunking import DEFAULT_POLYNOMIAL, Chunk, chunk
from .network import Network
from .objects import ObjectInfo, ObjectStore, open_objects
from .repository import Repository, init, open
from .results import (
    BackupProgress,
    BackupResult,
    CheckProgress,
    CheckResult,
    CopiedSnapshot,
    CopyProgress,
    CopyResult,
    ItemError,
    RestoreProgress,
    RestoreResult,
    SnapshotSummary,
)
from .snapshot import Snapshot, SnapshotFile

__all__ = [
    "DEFAULT_POLYNOMIAL",
    "AccessDeniedError",
    "BackupProgress",
    "BackupResult",
    "CheckProgress",
    "CheckResult",
    "Chunk",
    "CopiedSnapshot",
    "CopyProgress",
    "CopyResult",
    "DamagedError",
    "Error",
    "IncompleteError",
    "InvalidArgumentError",
    "ItemError",
    "LockedError",
    "Network",
    "NoSpaceError",
    "Node",
    "NotFoundError",
    "ObjectInfo",
    "ObjectStore",
    "Repository",
    "RepositoryMissingError",
    "RestoreProgress",
    "RestoreResult",
    "Snapshot",
    "SnapshotFile",
    "SnapshotSummary",
    "StoppedError",
    "StorageError",
    "UnsupportedError",
    "WrongPasswordError",
    "__version__",
    "chunk",
    "init",
    "open",
    "open_objects",
]
