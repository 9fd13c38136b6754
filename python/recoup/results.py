"""What long operations tell while they run, and what they return. Sizes are in bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ._engine import DamagedError, IncompleteError


class ItemError(NamedTuple):
    """Something that went wrong with one file; the rest went on."""

    path: str
    message: str


@dataclass(frozen=True)
class BackupProgress:
    """Where a backup is. The totals are 0 until everything was counted once; of a stream they stay 0 until its end."""

    files_done: int
    bytes_done: int
    total_files: int
    total_bytes: int
    current_file: str


@dataclass(frozen=True)
class RestoreProgress:
    """Where a restore is. Files are entries of any type. Totals grow while the snapshot is read."""

    files_done: int
    bytes_done: int
    total_files: int
    total_bytes: int


@dataclass(frozen=True)
class CheckProgress:
    """Where a check is within its phase, which is "index" (files), "snapshots", or "packs"."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class CopyProgress:
    """Where a copy is within its phase: "source index" and "destination index" (files), then for each snapshot "trees", of
    which the total is not known and 0, and "packs" of the source."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class SnapshotSummary:
    """What the backup that made a snapshot did."""

    backup_start: datetime
    backup_end: datetime
    files_new: int
    files_changed: int
    files_unmodified: int
    dirs_new: int
    dirs_changed: int
    dirs_unmodified: int
    #: Blobs that the repository did not have yet.
    data_blobs: int
    tree_blobs: int
    #: Their size, and as it is stored: compressed and encrypted.
    data_added: int
    data_added_packed: int
    total_files_processed: int
    total_bytes_processed: int


@dataclass(frozen=True)
class BackupResult:
    """What a backup did. The counts are those of `SnapshotSummary`."""

    #: None if nothing had changed and `skip_if_unchanged` was given, or if it was a dry run.
    snapshot_id: str | None
    #: Id of the root tree.
    tree: str
    files_new: int
    files_changed: int
    files_unmodified: int
    dirs_new: int
    dirs_changed: int
    dirs_unmodified: int
    data_blobs: int
    tree_blobs: int
    data_added: int
    data_added_packed: int
    total_files_processed: int
    total_bytes_processed: int
    #: What could not be read, by path.
    errors: list[ItemError] = field(default_factory=list)

    def raise_for_errors(self) -> None:
        """Raises IncompleteError if anything could not be read. The snapshot was made all the same."""
        if self.errors:
            raise IncompleteError(f"not everything could be backed up: {_first_of(e.message for e in self.errors)}")


@dataclass(frozen=True)
class RestoreResult:
    """What a restore did; files are entries of any type."""

    total_files: int
    files_restored: int
    files_skipped: int
    files_deleted: int
    total_bytes: int
    bytes_restored: int
    bytes_skipped: int
    files_verified: int
    #: What is missing or incomplete, by path.
    errors: list[ItemError] = field(default_factory=list)

    def raise_for_errors(self) -> None:
        """Raises IncompleteError if anything could not be restored."""
        if self.errors:
            raise IncompleteError(f"not everything could be restored: {_first_of(e.message for e in self.errors)}")


@dataclass(frozen=True)
class CheckResult:
    """What a check found. Errors mean that something is damaged or missing; hints are untidy, but nothing is lost."""

    errors: list[str]
    hints: list[str]
    #: Ids.
    broken_packs: list[str]
    broken_snapshots: list[str]
    damaged_indexes: list[str]
    #: Packs that no index lists, left behind by interrupted runs.
    unreferenced_packs: int
    suggest_repair_index: bool
    suggest_prune: bool

    @property
    def clean(self) -> bool:
        return not self.errors

    def raise_for_errors(self) -> None:
        """Raises DamagedError unless the repository is clean."""
        if self.errors:
            raise DamagedError(f"the repository is damaged: {_first_of(self.errors)}")


class CopiedSnapshot(NamedTuple):
    """A snapshot and its copy, by their ids."""

    source: str
    copy: str


@dataclass(frozen=True)
class CopyResult:
    """What a copy did."""

    copied: list[CopiedSnapshot]
    #: The destination had these already.
    skipped: list[CopiedSnapshot]
    #: That the destination did not have, and by how much its packs grew.
    blobs: int
    bytes_stored: int
    #: Snapshots that could not be copied, by id (`path`): something they need cannot be read.
    errors: list[ItemError] = field(default_factory=list)

    def raise_for_errors(self) -> None:
        """Raises DamagedError if a snapshot could not be copied. The others were."""
        if self.errors:
            raise DamagedError(f"not every snapshot could be copied: {_first_of(map(': '.join, self.errors))}")


def _first_of(messages: Iterable[str]) -> str:
    first, *others = messages
    return first + (f" (and {len(others)} more)" if others else "")
